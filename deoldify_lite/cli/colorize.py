"""`deoldify-lite colorize`: a photo, or a folder of photos."""

import errno
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import DeoldifyError, Interrupted, UsageError
from ..limits import MAX_PIXELS
from .common import (
    Device,
    LikeOption,
    MaxPixels,
    Overwrite,
    Precision,
    Recursive,
    RenderFactor,
    Report,
    Strength,
    Variants,
    Weights,
)


def colorize(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A photo, or a folder of photos.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Where the results go: a folder, or for one photo also a file.")
    ],
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    weights: Weights = "lite",
    render_factor: RenderFactor = None,
    strength: Strength = 1.0,
    hints: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Colours for places in the photo, as JSON (docs/hints.md). By default NAME.hints.json beside each "
            "photo, if there is one.",
        ),
    ] = None,
    like: LikeOption = None,
    variants: Variants = 1,
    squash: Annotated[bool, typer.Option(help="Work as DeOldify does: squeeze to a square, clip colours.")] = False,
    restore: Annotated[bool, typer.Option(help="Restore each photo first, as `deoldify-lite restore` does.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only part I of N, for I from 1 to N, to share a folder out over N machines. A photo's part follows "
            "from its path within INPUT.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Stay, and colorize each photo that comes into the folder, until Ctrl-C. Looks every 2 seconds.",
        ),
    ] = False,
    report: Report = None,
    verbose: Annotated[bool, typer.Option(help="Say what is used, and what was noticed in each photo.")] = False,
) -> None:
    """Put colour on a photo, or on a folder of photos.

    Prints the path of each result. What is done is skipped, so the same command goes on after an interruption.
    """
    if hints and not hints.is_file():
        raise UsageError(f"{hints}: no such file")
    if hints and source.is_dir():
        raise UsageError("--hints is for one photo; in a folder put NAME.hints.json beside each photo that has hints")
    if watch:
        check_watched(source, target, recursive)
    jobs, report_lines = find_work(source, target, recursive, report, shard, may_be_empty=watch)
    if hints:
        jobs = [replace(job, hints=hints) for job in jobs]

    from ..colorize.colorizer import Colorizer
    from ..colorize.deoldify_colorizer import DeOldifyColorizer
    from ..colorize.pipeline import colorize_all
    from ..device import about_precision

    colorizer = (DeOldifyColorizer if squash else Colorizer)(weights, device, precision, render_factor, restore=restore)
    if verbose:
        engine, factor = colorizer.engine, colorizer.render_factor or "by each photo's size"
        typer.echo(f"{weights} on {engine.device}, render factor {factor}", err=True)
        typer.echo(f"{engine.precision}: {about_precision(engine.device, precision)}", err=True)
    if hints or like or variants > 1:
        colorizer.check_hints_possible()
    run = partial(
        colorize_all,
        colorizer=colorizer,
        strength=strength,
        max_pixels=max_pixels,
        like=colorizer.reference(like, max_pixels=max_pixels) if like else None,
        variants=variants,
    )
    if watch:
        look = partial(find_part, source, target, recursive, shard, may_be_empty=True)
        report_results(watch_folder(look, run, overwrite), None, report_lines, verbose, overwrite)
    else:
        report_results(run(jobs, overwrite=overwrite), len(jobs), report_lines, verbose, overwrite)


def check_watched(source: Path, target: Path, recursive: bool) -> None:
    """
    Raises:
        UsageError: the source is no folder, or the results would be among the photos that are watched for.
    """
    if not source.is_dir():
        raise UsageError(f"{source}: --watch takes a folder that is there")
    if recursive and target.resolve() in source.resolve().parents:
        raise UsageError(f"{target} contains {source}: results could come into the watched folder; name another one")


def watch_folder(look: Callable[[], list], run: Callable[..., Iterator], overwrite: bool) -> Iterator:
    """The results of all photos that are in the folder or come into it, until SIGINT or SIGTERM.

    What has been begun then is still finished. A second signal ends the process at once.
    """
    from ..colorize.watch import watch

    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: Any) -> None:
        stopped.set()
        restore()

    for number in before:
        signal.signal(number, stop)
    typer.echo("watching for photos; Ctrl-C ends", err=True)
    try:
        for jobs, again in watch(look, stopped, partial(typer.echo, err=True)):
            yield from run(takewhile(lambda _: not stopped.is_set(), jobs), overwrite=overwrite or again)
    finally:
        restore()


def find_work(
    source: Path,
    target: Path,
    recursive: bool,
    report: Path | None,
    shard: str | None = None,
    kind: Any = None,
    may_be_empty: bool = False,
) -> tuple[list, AbstractContextManager]:
    """The jobs of a colorizing command, and its report, opened; the process is prepared for them.

    `kind`: the `Kind` of files, photos by default. Ends the command where the request makes no sense, or where the
    shard is empty.
    """
    from ..colorize.folder import PHOTOS
    from ..files import remove_leftovers
    from ..photo.decoders import configure_decoders

    for stream in (sys.stdout, sys.stderr):  # names of files need not be text, nor text that a terminal can show
        exact = stream is sys.stdout and stream.encoding.lower() in ("utf-8", "utf8")
        stream.reconfigure(errors="surrogateescape" if exact else "backslashreplace", line_buffering=True)
    kind = kind or PHOTOS
    jobs = find_part(source, target, recursive, shard, kind, may_be_empty)
    if not jobs and not may_be_empty:
        typer.echo(f"no {kind.plural} in shard {shard}", err=True)
        raise typer.Exit
    try:
        report_lines = report.open("a", encoding="utf-8") if report else nullcontext()
    except OSError as error:
        raise UsageError(f"{report}: the report cannot be written: {error.strerror}") from error
    for folder in {job.output.parent for job in jobs}:
        remove_leftovers(folder)
    configure_decoders()
    return jobs, report_lines


def find_part(
    source: Path, target: Path, recursive: bool, shard: str | None, kind: Any = None, may_be_empty: bool = False
) -> list:
    "The jobs for a file or folder, or those of its shard."
    from ..colorize.folder import PHOTOS, find_jobs
    from ..colorize.shard import Shard

    part = Shard.parse(shard) if shard is not None else None
    jobs = find_jobs(source, target, recursive, kind or PHOTOS, may_be_empty)
    return part.select(jobs, target if source.is_dir() else jobs[0].output.parent) if part else jobs


def report_results(
    results: Generator,
    total: int | None,
    report: AbstractContextManager,
    verbose: bool = False,
    overwrite: bool = False,
) -> None:
    "Say on the streams and in the report what becomes of each photo; end with an exit code that sums it up."
    from tqdm import tqdm

    from ..colorize.folder import report_line

    counts, errors = Counter(done=0, skipped=0, failed=0), False
    try:
        with report as lines, closing(results):  # which ends what goes on in the background
            for result in tqdm(results, total=total, unit="photo", disable=None):
                counts[result.status] += 1
                report_line(lines, result)
                if result.status == "done":
                    for path in result.variants or [result.output]:
                        tqdm.write(path, file=sys.stdout)
                if result.error:  # of the photo, or of some of its pages
                    errors = True
                    tqdm.write(f"{result.input}: {result.error}", file=sys.stderr)
                for note in result.notes if verbose else ():
                    tqdm.write(f"{result.input}: {note}", file=sys.stderr)
    except KeyboardInterrupt:
        next_time = "does all again (--overwrite)" if overwrite else "goes on from here"
        raise Interrupted(f"interrupted; the same command {next_time}") from None
    except OSError as error:  # not about a photo, whose errors are results
        if error.errno == errno.EPIPE:  # Typer's business
            raise
        raise DeoldifyError(f"the report cannot be written: {error.strerror}") from error
    typer.echo(", ".join(f"{n} {status}" for status, n in counts.items() if n), err=True)
    if errors:
        raise typer.Exit(1)
