"""Many files: mirror the tree, skip what is done, survive what is broken, report each file."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from ..photo import EXTENSIONS, MAX_PIXELS, UNREADABLE, WRITABLE, BadPhoto, Photo, open_photo, output_name, save_photo
from .colorizer import Colorizer

AHEAD = 3  # photos that are read or written while the network works on another


class BadRequest(ValueError):
    "Input and output that make no sense. The message says why."


@dataclass(frozen=True)
class Job:
    "One photo to do."

    input: Path
    output: Path


@dataclass
class Result:
    "What became of one photo: a line of the report."

    input: str
    output: str
    status: str  # done, skipped or failed
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    seconds: float | None = None

    def to_json(self) -> str:
        return json.dumps({k: v for k, v in asdict(self).items() if v not in (None, [])})


def find_jobs(source: Path, target: Path, recursive: bool = False) -> list[Job]:
    """What there is to do, in a fixed order: the file `source`, or the photos in the folder `source`.

    Names and subfolders are kept, so that two photos of one name in two folders never meet. Hidden files and whatever
    has no photo's extension are passed over, and so is `target` where it lies inside `source`. A subfolder that cannot
    be listed becomes a job, which will fail, so that it is not forgotten.

    Raises:
        BadRequest: `source` is missing or empty, or a result would replace an original.
    """
    try:
        if not source.exists():
            raise BadRequest(f"{source}: no such file or folder")
        return _find_in_folder(source, target, recursive) if source.is_dir() else [_find_one(source, target)]
    except OSError as error:
        raise BadRequest(f"{error.filename}: {error.strerror}") from error
    except RuntimeError as error:  # how Python before 3.13 reports a loop of links
        raise BadRequest(str(error)) from error


def _find_in_folder(source: Path, target: Path, recursive: bool) -> list[Job]:
    if target.is_file():
        raise BadRequest(f"{target} is a file; colorizing a folder takes a folder to write to")
    if target.exists() and target.samefile(source):
        raise BadRequest(f"{target} is the folder of the originals; name another one for the results")
    jobs = [
        Job(source / inside, target / inside.parent / output_name(inside.name))
        for inside in sorted(_photos_in(source, recursive, target))
    ]
    if not jobs:
        hint = "" if recursive else " (-r looks into subfolders, too)"
        raise BadRequest(f"{source}: no photos in this folder{hint}")
    # Folders may contain, or link to, one another in such a way that a result lands on an original.
    resolved = {folder: folder.resolve() for job in jobs for folder in (job.input.parent, job.output.parent)}
    originals = {resolved[job.input.parent] / job.input.name for job in jobs}
    for job in jobs:
        if resolved[job.output.parent] / job.output.name in originals:
            raise BadRequest(f"{job.output} is one of the originals; name another folder for the results")
    return jobs


def _find_one(source: Path, target: Path) -> Job:
    into_folder = target.is_dir() or not target.suffix
    output = target / output_name(source.name) if into_folder else target
    if output.suffix.lower() not in WRITABLE:
        raise BadRequest(f"{output}: cannot write this format; use one of {' '.join(sorted(WRITABLE))}")
    if output.exists() and output.samefile(source):
        raise BadRequest(f"{output} is the original; name another file for the result")
    return Job(source, output)


def _photos_in(folder: Path, recursive: bool, avoid: Path) -> Iterator[Path]:
    """Paths below `folder`, relative to it, of photos and of folders that cannot be listed.

    Links are followed, each folder is entered once, under its own name rather than that of a link to it.
    """
    entered = {_identity(avoid)} if avoid.exists() else set()
    folders, links = deque([Path()]), deque()
    while folders or links:
        inside = (folders or links).popleft()
        try:
            identity = _identity(folder / inside)
            entries = sorted((folder / inside).iterdir())
        except OSError:
            if inside == Path():
                raise
            yield inside
            continue
        if identity in entered:
            continue
        entered.add(identity)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if recursive:
                    (links if entry.is_symlink() else folders).append(inside / entry.name)
            elif entry.suffix.lower() in EXTENSIONS or entry.suffix.lower() in UNREADABLE:
                yield inside / entry.name


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # in a folder that may be listed but not entered
        return False


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def colorize_all(
    jobs: Iterable[Job],
    colorizer: Colorizer,
    *,
    overwrite: bool = False,
    strength: float = 1.0,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Result]:
    """Do the jobs, in order; a `Result` for each. No file, however broken, stops the rest.

    Photos are read and written in the background while the network works. A result is written atomically: it is there
    in full or not at all, so what exists is skipped unless `overwrite`.
    """
    claimed: dict[Path, Path] = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        reading: deque[tuple[Job, Future | Result]] = deque()
        writing: deque[Future | Result] = deque()
        todo = iter(jobs)
        try:
            while True:
                while len(reading) < AHEAD and (job := next(todo, None)):
                    if early := _needs_nothing(job, claimed, overwrite):
                        reading.append((job, early))
                    else:
                        reading.append((job, pool.submit(_read, job, max_pixels)))
                if not reading:
                    break
                job, photo = reading.popleft()
                writing.append(photo if isinstance(photo, Result) else _colorize(job, photo, colorizer, strength, pool))
                while len(writing) >= AHEAD:
                    yield _result(writing.popleft())
            while writing:
                yield _result(writing.popleft())
        finally:
            for _, photo in reading:
                if isinstance(photo, Future):
                    photo.cancel()


def _needs_nothing(job: Job, claimed: dict[Path, Path], overwrite: bool) -> Result | None:
    "A result at once where there is no work: done before, or in the way of another photo."
    other = claimed.setdefault(job.output, job.input)
    if other != job.input:
        return _failed(job, f"its result would replace that of {other}")
    try:
        if job.output.is_file() and not overwrite:
            return Result(str(job.input), str(job.output), "skipped")
    except OSError as error:  # a name that is too long once .png is added to it
        return _failed(job, error)
    return None


def _read(job: Job, max_pixels: int) -> tuple[Photo, float]:
    if job.input.is_dir():
        raise BadPhoto("a folder that cannot be listed")
    began = time.monotonic()
    return open_photo(job.input, max_pixels), began


def _colorize(
    job: Job, reading: Future, colorizer: Colorizer, strength: float, pool: ThreadPoolExecutor
) -> Future | Result:
    try:
        photo, began = reading.result()
        merge = colorizer.predict(photo, strength)
    except Exception as error:
        return _failed(job, error)
    return pool.submit(_write, job, photo, merge, began)


def _write(job: Job, photo: Photo, merge: Callable[[], np.ndarray], began: float) -> Result:
    try:
        save_photo(merge(), photo, job.output)
    except Exception as error:
        return _failed(job, error)
    width, height = photo.size
    return Result(
        str(job.input), str(job.output), "done", None, photo.notes, width, height, round(time.monotonic() - began, 3)
    )


def _result(item: Future | Result) -> Result:
    return item if isinstance(item, Result) else item.result()


def _failed(job: Job, error: Exception | str) -> Result:
    if isinstance(error, (BadPhoto, str)):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "too large for this machine's memory"
    elif isinstance(error, OSError) and error.strerror:
        message = f"could not be written: {error.strerror}"
    else:
        message = f"{type(error).__name__}: {error}"
    return Result(str(job.input), str(job.output), "failed", message)


def report_line(report: TextIO | None, result: Result) -> None:
    "Append a result to the report, at once, so that a crash loses none."
    if report is not None:
        report.write(result.to_json() + "\n")
        report.flush()
