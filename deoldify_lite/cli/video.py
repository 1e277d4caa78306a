"`deoldify-lite video`: a video, or a folder of videos."

import sys
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import DeoldifyError, Interrupted, Unavailable, UsageError
from ..video.errors import INSTALL
from .colorize import find_work
from .common import (
    Codec,
    Crf,
    Device,
    Overwrite,
    Precision,
    Recursive,
    RenderFactor,
    Stabilize,
    Strength,
    Weights,
)


def video(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video, or a folder of videos.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Where the results go: a folder, or for one video also a file.")
    ],
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    weights: Weights = "lite",
    render_factor: RenderFactor = None,
    strength: Strength = 1.0,
    stabilize: Stabilize = True,
    codec: Codec = "auto",
    crf: Crf = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Where to begin: seconds, or hours:minutes:seconds.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Where to end.")] = None,
    keep_interlaced: Annotated[
        bool, typer.Option("--keep-interlaced", help="Leave the lines of interlaced videos as they are.")
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N of a folder, for N machines.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Append a JSON line for every video to this file.")] = None,
    verbose: Annotated[bool, typer.Option(help="Say what is used.")] = False,
) -> None:
    """Put steady colour on a video, or on a folder of videos. Sound and all else stay as they are.

    Prints the path of each result. The same command goes on after an interruption, from the last finished part.
    """
    try:
        from ..video.colorizer import VideoColorizer
        from ..video.containers import VIDEOS
        from ..video.job import Options
    except ImportError as error:
        raise Unavailable(INSTALL) from error

    options = Options(codec, crf, seconds(start, "--start"), seconds(end, "--end"), keep_interlaced)
    if options.end is not None and options.end <= (options.start or 0):
        raise UsageError("--end must be later than --start")
    jobs, report_lines = find_work(source, target, recursive, report, shard, VIDEOS)
    colorizer = VideoColorizer(weights, device, precision, render_factor, strength, stabilize)
    if verbose:
        engine = colorizer.colorizer.engine
        used = f"{weights} on {engine.device} in {engine.precision}, render factor {colorizer.render_factor}"
        typer.echo(used, err=True)
    colorize_videos(jobs, colorizer, options, overwrite, report_lines)


def colorize_videos(
    jobs: list, colorizer: Any, options: Any, overwrite: bool, report: AbstractContextManager, encode: Any = None
) -> None:
    "Say on the streams and in the report what becomes of each video; end with an exit code that sums it up."
    try:
        with report as lines:
            counts = _colorize(jobs, colorizer, options, overwrite, lines, encode)
    except KeyboardInterrupt:
        again = ", after the finished videos, which it does again (--overwrite)" if overwrite and len(jobs) > 1 else ""
        raise Interrupted(f"interrupted; the same command goes on from the last finished part{again}") from None
    typer.echo(", ".join(f"{n} {status}" for status, n in counts.items() if n), err=True)
    if counts["failed"]:
        raise typer.Exit(1)


def _colorize(jobs: list, colorizer: Any, options: Any, overwrite: bool, lines: Any, encode: Any) -> Counter:
    from tqdm import tqdm

    from ..colorize.folder import report_line
    from ..video.job import VideoResult, colorize_file

    counts = Counter(done=0, skipped=0, failed=0)
    for job in jobs:
        with tqdm(unit="frame", desc=job.input.name, disable=None) as bar:

            def progress(done: int, total: int, bar: Any = bar) -> None:
                bar.total = max(done, total)
                if not bar.n:
                    bar.initial = done  # those of a run before do not count as fast
                bar.update(done - bar.n)

            def tell(note: str, job: Any = job) -> None:
                tqdm.write(f"{job.input}: {note}", file=sys.stderr)

            try:
                result = colorize_file(job, colorizer, options, overwrite, progress, tell, encode)
            except Exception as error:
                known = isinstance(error, DeoldifyError)
                message = str(error) if known else f"{type(error).__name__}: {error}"
                report_line(lines, VideoResult(str(job.input), str(job.output), "failed", message))
                if len(jobs) == 1:
                    if known:
                        raise type(error)(f"{job.input}: {error}") from error
                    raise
                tell(message)
                counts["failed"] += 1
            else:
                report_line(lines, result)
                counts[result.status] += 1
                if result.status == "done":
                    tqdm.write(result.output, file=sys.stdout)
    return counts


def seconds(text: str | None, option: str) -> float | None:
    """Seconds of `12.5`, `1:23` or `1:02:03.5`.

    Raises:
        UsageError: it is something else.
    """
    if text is None:
        return None
    try:
        numbers = [float(number) for number in text.split(":")]
    except ValueError:
        numbers = []
    total = sum(number * 60**place for place, number in enumerate(reversed(numbers)))
    if not 1 <= len(numbers) <= 3 or not 0 <= total < float("inf") or any(number < 0 for number in numbers):
        raise UsageError(f"{option} {text}: a time is seconds, or hours:minutes:seconds")
    return total
