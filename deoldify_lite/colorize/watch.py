"""A folder that is watched for new photos, such as a scanner's.

By looking at it again and again: network folders tell nobody of new files, and a new file is not yet a whole one.
"""

import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .folder import BadRequest, Job

INTERVAL = 2.0  # seconds between two looks
SHARE = 0.1  # of the time that looking may take; large folders on slow networks are looked at less often

State = tuple[int, int, int]  # inode, size and time of change of a file


def watch(
    find_jobs: Callable[[], list[Job]],
    stopped: threading.Event,
    tell: Callable[[str], None] = lambda problem: None,
    interval: float = INTERVAL,
) -> Iterator[tuple[list[Job], bool]]:
    """Jobs whose photos are whole, as they come, until `stopped` is set; and whether their results are to be replaced.

    A photo is whole when it is not empty, and its size and time are the same in two looks. One that changes later is
    done again, also where it was gone in between. A folder that cannot be read, such as that of a network that is down,
    is told once, and tried again.
    """
    before: dict[Path, State] = {}
    taken: dict[Path, State] = {}
    problem = None
    while not stopped.is_set():
        started = time.monotonic()
        try:
            jobs = find_jobs()
            problem = None
        except BadRequest as error:
            jobs = []
            if problem != (problem := str(error)):
                tell(problem)
        took = time.monotonic() - started
        now = {job.input: state for job in jobs if (state := _state(job.input))}
        whole = [job for job in jobs if (state := now.get(job.input)) and state == before.get(job.input)]
        for again in (False, True):
            if ready := [
                job for job in whole if (job.input in taken) == again and taken.get(job.input) != now[job.input]
            ]:
                yield ready, again
        taken |= {job.input: now[job.input] for job in whole}
        before = now
        stopped.wait(max(interval, took / SHARE))


def _state(path: Path) -> State | None:
    "None for what is empty, gone, or no file."
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
