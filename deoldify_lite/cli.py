"""The command line: `deoldify-lite colorize` and `deoldify-lite nogan`. `scripts/` calls the same functions.

Exit codes: 0 all well, 1 some photos failed or training went wrong, 2 wrong usage, 3 no model or device,
130 interrupted. Results go to standard output, all else to standard error.
"""

import errno
import logging
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .errors import DeoldifyError, Interrupted, UsageError
from .limits import MAX_PIXELS

USAGE, UNAVAILABLE, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    help="Colour for black-and-white photographs, and the training of such colorizers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


# Options that several commands have.
Weights = Annotated[
    str, typer.Option(help="lite, resnet34, or a file: .safetensors of this package, .pth of DeOldify.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
TrainingPrecision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
TrainingPhotos = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of photos or of tar archives; may be given again. Remembered in the run folder."),
]
EncoderWeights = Annotated[Path | None, typer.Option(help="Pretrained encoder (safetensors), for offline use.")]
CheckpointSeconds = Annotated[float, typer.Option(help="How often to save what a killed run goes on from.")]


class StageName(str, Enum):
    generator = "generator"
    generate = "generate"
    critic = "critic"
    gan = "gan"
    all = "all"


def fail(message: str, code: int) -> typer.Exit:
    "One line on standard error and an exit code: `raise fail(...)`."
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(code)


class Command(TyperCommand):
    "A command whose errors become one line on standard error and an exit code."

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DeoldifyError as error:
            raise fail(" ".join(str(error).splitlines()), error.exit_code) from error
        except KeyboardInterrupt:
            raise fail("interrupted", Interrupted.exit_code) from None


def script(command: Callable) -> None:
    "Run one command as a program of its own."
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(cls=Command)(command)
    single()


@contextmanager
def advice_on_memory(change: str) -> Iterator[None]:
    "Where memory does not suffice: an error that says how to need less, for instance `--set gan.batch=4`."
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise DeoldifyError(f"out of memory: {change}, and run the same again") from error


@app.command(cls=Command)
def colorize(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A photo, or a folder of photos.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Where the results go: a folder, or for one photo also a file.")
    ],
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Also the subfolders; the tree is kept.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Do again what is already there, instead of skipping it.")] = False,
    weights: Weights = "lite",
    render_factor: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=64,
            help="The network sees a picture of 16 times this; lower is faster. By default what suits the weights.",
        ),
    ] = None,
    strength: Annotated[float, typer.Option(min=0, max=3, help="0 is grey, 1 as predicted, more is louder.")] = 1.0,
    squash: Annotated[bool, typer.Option(help="Work as DeOldify does: squeeze to a square, clip colours.")] = False,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Larger photos are refused before they are decoded.")
    ] = MAX_PIXELS,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only part I of N, for I from 1 to N, to share a folder out over N machines. A photo's part follows "
            "from its path within INPUT.",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Append a JSON line for every photo to this file.")] = None,
    verbose: Annotated[bool, typer.Option(help="Say what is used, and what was noticed in each photo.")] = False,
) -> None:
    """Put colour on a photo, or on a folder of photos.

    Prints the path of each result. What is done is skipped, so the same command goes on after an interruption.
    """
    jobs, report_lines = find_work(source, target, recursive, report, shard)

    from .colorize.colorizer import Colorizer
    from .colorize.deoldify_colorizer import DeOldifyColorizer
    from .colorize.pipeline import colorize_all
    from .device import about_precision

    colorizer = (DeOldifyColorizer if squash else Colorizer)(weights, device, precision, render_factor)
    if verbose:
        engine, factor = colorizer.engine, colorizer.render_factor
        typer.echo(f"{weights} on {engine.device}, render factor {factor}", err=True)
        typer.echo(f"{engine.precision}: {about_precision(engine.device, precision)}", err=True)
    results = colorize_all(jobs, colorizer, overwrite=overwrite, strength=strength, max_pixels=max_pixels)
    tell(results, len(jobs), report_lines, verbose)


def find_work(
    source: Path, target: Path, recursive: bool, report: Path | None, shard: str | None = None
) -> tuple[list, AbstractContextManager]:
    """The jobs of a colorizing command, and its report, opened; the process is prepared for them.

    Ends the command where the request makes no sense, or where the shard is empty.
    """
    from .colorize.folder import find_jobs
    from .colorize.shard import Shard
    from .files import remove_leftovers
    from .photo.quiet import quiet_decoders

    for stream in (sys.stdout, sys.stderr):  # names of files need not be text, nor text that a terminal can show
        exact = stream is sys.stdout and stream.encoding.lower() in ("utf-8", "utf8")
        stream.reconfigure(errors="surrogateescape" if exact else "backslashreplace", line_buffering=True)
    part = Shard.parse(shard) if shard is not None else None
    jobs = find_jobs(source, target, recursive)
    if part:
        jobs = part.select(jobs, target if source.is_dir() else jobs[0].output.parent)
        if not jobs:
            typer.echo(f"no photos in shard {part}", err=True)
            raise typer.Exit
    try:
        report_lines = report.open("a", encoding="utf-8") if report else nullcontext()
    except OSError as error:
        raise UsageError(f"{report}: the report cannot be written: {error.strerror}") from error
    for folder in {job.output.parent for job in jobs}:
        remove_leftovers(folder)
    quiet_decoders()
    return jobs, report_lines


def tell(results: Generator, total: int, report: AbstractContextManager, verbose: bool = False) -> None:
    "Say on the streams and in the report what becomes of each photo; end with an exit code that sums it up."
    from tqdm import tqdm

    from .colorize.folder import report_line

    counts = Counter(done=0, skipped=0, failed=0)
    try:
        with report as lines, closing(results):  # which ends what goes on in the background
            for result in tqdm(results, total=total, unit="photo", disable=None):
                counts[result.status] += 1
                report_line(lines, result)
                if result.status == "done":
                    tqdm.write(result.output, file=sys.stdout)
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


@app.command(cls=Command)
def samples(target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder to write to.")]) -> None:
    "Write a few black-and-white sample photos to try things on."
    from .samples import write_samples

    try:
        written = write_samples(target)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}") from error
    if not written:
        raise DeoldifyError("no sample photos here: they come with matplotlib and scikit-learn")
    for path in written:
        typer.echo(path)


@app.command(cls=Command)
def nogan(
    stage: Annotated[StageName, typer.Option(help="Which stage to run.")] = StageName.all,
    photos: TrainingPhotos = None,
    run: Annotated[Path, typer.Option(help="Folder for checkpoints, figures and the result.")] = Path("runs/nogan"),
    preset: Annotated[
        str | None,
        typer.Option(
            help="lite, resnet34, artistic, stable, video, finetune, smoke; by default the run folder's, else lite."
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(metavar="WEIGHTS", help="Go on from these weights instead of ImageNet's: lite, or a file."),
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the schedule, e.g. gan.lr=2e-5."),
    ] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Cycles of critic and GAN in all.")] = None,
    use_step: Annotated[int | None, typer.Option(help="Take the generator of this step of the last GAN phase.")] = None,
    encoder_weights: EncoderWeights = None,
    device: Device = "auto",
    precision: TrainingPrecision = "auto",
    checkpoint_seconds: CheckpointSeconds = 120,
) -> None:
    """Train a colorizer by the NoGAN schedule: generator, critic, a short GAN phase.

    The same command goes on where it was interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from .training.run import open_run

    session = open_run(
        run,
        photos or [],
        preset,
        set_ or [],
        repeats,
        start,
        device=device,
        precision=precision,
        encoder_weights=encoder_weights,
        checkpoint_seconds=checkpoint_seconds,
    )
    from .training.nogan import choose_step, run_nogan

    with advice_on_memory("lower the batch of that stage, for instance --set gan.batch=4"):
        typer.echo(choose_step(session, use_step) if use_step is not None else run_nogan(session, stage.value))


def main() -> None:
    app()
