"""The base of all errors that a person can do something about.

Each message is one sentence or two: what was wrong, with which file, what to do. The command line prints it on one line
and exits with `exit_code`.
"""


class DeoldifyError(Exception):
    "Something went wrong, or some photos failed."

    exit_code = 1


class UsageError(DeoldifyError, ValueError):
    "What was asked for makes no sense: an unknown name, a value out of range, an input that is not there."

    exit_code = 2


class Unavailable(DeoldifyError):
    "Weights, a device or an optional package that this machine does not have, or weights that cannot be used."

    exit_code = 3


class Interrupted(DeoldifyError):
    "Ctrl-C, where there is something to say about it."

    exit_code = 130
