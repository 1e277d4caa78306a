"""The jobs for a file or folder, and the report of their results. `pipeline` does the jobs."""

import json
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from ..errors import UsageError
from ..files import walk
from ..photo import PHOTO_SUFFIXES, WRITABLE, Photo, output_name


class BadRequest(UsageError):
    "An input or output that cannot be used. The message says why."


@dataclass(frozen=True)
class Kind:
    """A kind of files to search folders for.

    extensions: of the files; writable: of results; output_name: from a file's name to that of its result.
    """

    plural: str
    extensions: AbstractSet[str]
    writable: AbstractSet[str]
    output_name: Callable[[str], str]


MASK_SUFFIX = ".mask.png"  # added to the name of a restored photo for that of its mask
PHOTOS = Kind("photos", PHOTO_SUFFIXES, WRITABLE.keys(), output_name)


@dataclass(frozen=True)
class Job:
    """A file to colorize, and where the result goes.

    hints: a file of hints for it; None for the one beside the photo, if there is one.
    """

    input: Path
    output: Path
    hints: Path | None = None

    def outputs(self, variants: int = 1) -> list[Path]:
        "Where the results go: `output`, or NAME_1, NAME_2, ... for several variants."
        if variants == 1:
            return [self.output]
        return [self.output.with_name(f"{self.output.stem}_{i}{self.output.suffix}") for i in range(1, variants + 1)]


@dataclass
class Result:
    """The result of a job: a line of the report.

    variants: all the files written, where there are several; the first is `output`.
    error: why it failed; or, where it is done, which of its pages failed, and why.
    """

    input: str
    output: str
    status: str  # done, skipped or failed
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    variants: list[str] = field(default_factory=list)
    pages: int | None = None  # of a TIFF or PDF with several

    @classmethod
    def done(cls, job: Job, photo: Photo, started: float, variants: Sequence[Path] = ()) -> "Result":
        "The result of a photo that was written, maybe as `variants`; `started` by the clock `time.monotonic`."
        seconds, written = round(time.monotonic() - started, 3), [str(path) for path in variants]
        first = written[0] if written else str(job.output)
        return cls(str(job.input), first, "done", None, photo.notes, *photo.size, seconds, written)

    def to_json(self) -> str:
        return json.dumps({k: v for k, v in asdict(self).items() if v not in (None, [])})


def find_jobs(
    source: Path, target: Path, recursive: bool = False, kind: Kind = PHOTOS, may_be_empty: bool = False
) -> list[Job]:
    """The jobs, in a fixed order, for the file `source` or the photos in the folder `source`.

    Names and subfolders are kept, so that photos of one name in two folders have different results. Hidden files and
    files without an extension of the `kind` are skipped, and so is `target` if it is inside `source`. A subfolder that
    cannot be listed becomes a job, which will fail, so that it is reported.

    Raises:
        BadRequest: `source` is missing, or empty unless it `may_be_empty`, or a result would replace an original.
    """
    try:
        if not source.exists():
            raise BadRequest(f"{source}: no such file or folder")
        if source.is_dir():
            return _find_in_folder(source, target, recursive, kind, may_be_empty)
        return [single_job(source, target, kind)]
    except OSError as error:
        raise BadRequest(f"{error.filename}: {error.strerror}") from error
    except RuntimeError as error:  # how Python before 3.13 reports a loop of links
        raise BadRequest(str(error)) from error


def _find_in_folder(source: Path, target: Path, recursive: bool, kind: Kind, may_be_empty: bool) -> list[Job]:
    if target.is_file():
        raise BadRequest(f"{target} is a file; colorizing a folder takes a folder to write to")
    if target.exists() and target.samefile(source):
        raise BadRequest(f"{target} is the folder of the originals; name another one for the results")
    jobs = [
        Job(source / inside, target / inside.parent / kind.output_name(inside.name))
        for inside in walk(source, kind.extensions, recursive=recursive, follow_links=True, avoid=target)
        if not _is_mask(source / inside)
    ]
    if not jobs and not may_be_empty:
        hint = "" if recursive else " (-r looks into subfolders, too)"
        raise BadRequest(f"{source}: no {kind.plural} in this folder{hint}")
    # With nested or linked folders, the path of a result may be that of an original.
    resolved = {folder: folder.resolve() for job in jobs for folder in (job.input.parent, job.output.parent)}
    originals = {resolved[job.input.parent] / job.input.name for job in jobs}
    for job in jobs:
        if resolved[job.output.parent] / job.output.name in originals:
            raise BadRequest(f"{job.output} is one of the originals; name another folder for the results")
    return jobs


def _is_mask(photo: Path) -> bool:
    "Whether it is what `restore --save-mask` leaves beside a photo."
    return photo.name.endswith(MASK_SUFFIX) and photo.with_name(photo.name.removesuffix(MASK_SUFFIX)).is_file()


def single_job(source: Path, target: Path, kind: Kind = PHOTOS) -> Job:
    """The job for one photo; `target` is a folder if it exists as one or has no extension, else a file.

    Raises:
        BadRequest: no format has the target's extension, or the target is the original.
    """
    into_folder = target.is_dir() or not target.suffix
    output = target / kind.output_name(source.name) if into_folder else target
    if output.suffix.lower() not in kind.writable:
        raise BadRequest(f"{output}: cannot write this format; use one of {' '.join(sorted(kind.writable))}")
    if output.exists() and source.exists() and output.samefile(source):
        raise BadRequest(f"{output} is the original; name another file for the result")
    return Job(source, output)


def report_line(report: TextIO | None, result: Result) -> None:
    "Append a result to the report and flush, so that a crash loses none."
    if report is not None:
        report.write(result.to_json() + "\n")
        report.flush()
