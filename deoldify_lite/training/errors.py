"""What can go wrong in training, each with a message for the person who started it."""

from ..errors import DeoldifyError, UsageError


class TrainingError(DeoldifyError, RuntimeError):
    "Training cannot go on."


class StageMissing(TrainingError):
    "A stage was asked for before the one that it builds on. The message names it."

    exit_code = UsageError.exit_code


class WrongCheckpoint(TrainingError):
    "A checkpoint or result that cannot be used to go on. The message says why and what to do."


class TrainingDiverged(TrainingError):
    "The loss is not a number any more. The message says where and what was kept."
