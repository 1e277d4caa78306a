"""The command line in a process that writes down what happened when, and how much memory it took.

python -m benchmarks.probe NOTES.json colorize INPUT OUTPUT [OPTIONS]
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    notes = Path(sys.argv.pop(1))
    from deoldify_lite.cli import main as command
    from deoldify_lite.colorize import deoldify_colorizer, pipeline  # noqa: F401  all that the command will import
    from deoldify_lite.colorize.colorizer import Colorizer
    from deoldify_lite.colorize.engine import Engine

    moments = {"imported": time.time()}

    class Probed(Engine):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            moments["loaded"] = time.time()

        def predict(self, inputs):
            moments.setdefault("called", time.time())
            return super().predict(inputs)

    Colorizer.engine_class = Probed
    try:
        command()
    finally:
        notes.write_text(json.dumps(moments | {"peak_memory": peak_memory(), "fastai": "fastai" in sys.modules}))


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes.

    Linux's number for the program itself; `getrusage` would count the process that it was forked from, too.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        if sys.platform == "win32":
            import psutil

            return psutil.Process().memory_info().peak_wset
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on a Mac


if __name__ == "__main__":
    main()
