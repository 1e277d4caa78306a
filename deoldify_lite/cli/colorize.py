"""`deoldify-lite colorize`: a photo, or a folder of photos."""

import errno
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
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
    jobs, report_lines = find_work(source, target, recursive, report, shard)
    if hints:
        jobs = [replace(job, hints=hints) for job in jobs]

    from ..colorize.colorizer import Colorizer
    from ..colorize.deoldify_colorizer import DeOldifyColorizer
    from ..colorize.pipeline import colorize_all
    from ..device import about_precision

    colorizer = (DeOldifyColorizer if squash else Colorizer)(weights, device, precision, render_factor)
    if verbose:
        engine, factor = colorizer.engine, colorizer.render_factor
        typer.echo(f"{weights} on {engine.device}, render factor {factor}", err=True)
        typer.echo(f"{engine.precision}: {about_precision(engine.device, precision)}", err=True)
    if hints or like or variants > 1:
        colorizer.check_hints_possible()
    results = colorize_all(
        jobs,
        colorizer,
        overwrite=overwrite,
        strength=strength,
        max_pixels=max_pixels,
        like=colorizer.reference(like) if like else None,
        variants=variants,
    )
    report_results(results, len(jobs), report_lines, verbose)


def find_work(
    source: Path, target: Path, recursive: bool, report: Path | None, shard: str | None = None, kind: Any = None
) -> tuple[list, AbstractContextManager]:
    """The jobs of a colorizing command, and its report, opened; the process is prepared for them.

    `kind`: the `Kind` of files, photos by default. Ends the command where the request makes no sense, or where the
    shard is empty.
    """
    from ..colorize.folder import PHOTOS, find_jobs
    from ..colorize.shard import Shard
    from ..files import remove_leftovers
    from ..photo.decoders import configure_decoders

    for stream in (sys.stdout, sys.stderr):  # names of files need not be text, nor text that a terminal can show
        exact = stream is sys.stdout and stream.encoding.lower() in ("utf-8", "utf8")
        stream.reconfigure(errors="surrogateescape" if exact else "backslashreplace", line_buffering=True)
    part = Shard.parse(shard) if shard is not None else None
    kind = kind or PHOTOS
    jobs = find_jobs(source, target, recursive, kind)
    if part:
        jobs = part.select(jobs, target if source.is_dir() else jobs[0].output.parent)
        if not jobs:
            typer.echo(f"no {kind.plural} in shard {part}", err=True)
            raise typer.Exit
    try:
        report_lines = report.open("a", encoding="utf-8") if report else nullcontext()
    except OSError as error:
        raise UsageError(f"{report}: the report cannot be written: {error.strerror}") from error
    for folder in {job.output.parent for job in jobs}:
        remove_leftovers(folder)
    configure_decoders()
    return jobs, report_lines


def report_results(results: Generator, total: int, report: AbstractContextManager, verbose: bool = False) -> None:
    "Say on the streams and in the report what becomes of each photo; end with an exit code that sums it up."
    from tqdm import tqdm

    from ..colorize.folder import report_line

    counts = Counter(done=0, skipped=0, failed=0)
    try:
        with report as lines, closing(results):  # which ends what goes on in the background
            for result in tqdm(results, total=total, unit="photo", disable=None):
                counts[result.status] += 1
                report_line(lines, result)
                if result.status == "done":
                    for path in result.variants or [result.output]:
                        tqdm.write(path, file=sys.stdout)
                elif result.status == "failed":
                    tqdm.write(f"{result.input}: {result.error}", file=sys.stderr)
                for note in result.notes if verbose else ():
                    tqdm.write(f"{result.input}: {note}", file=sys.stderr)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on from here") from None
    except OSError as error:  # not about a photo, whose errors are results
        if error.errno == errno.EPIPE:  # Typer's business
            raise
        raise DeoldifyError(f"the report cannot be written: {error.strerror}") from error
    typer.echo(", ".join(f"{n} {status}" for status, n in counts.items() if n), err=True)
    if counts["failed"]:
        raise typer.Exit(1)
