"""The command line: `deoldify-lite colorize` and `deoldify-lite nogan`. `scripts/` calls the same functions.

Exit codes: 0 all well, 1 some photos failed or training went wrong, 2 wrong usage, 3 no model or device,
130 interrupted. Results go to standard output, all else to standard error.
"""
import logging
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

USAGE, UNAVAILABLE, INTERRUPTED = 2, 3, 130

app = typer.Typer(help="Colour for black-and-white photographs, and the training of such colorizers.",
                  no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


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


def script(command: Callable) -> None:
    "Run one command as a program of its own."
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command()(command)
    run(single)


def run(program: typer.Typer) -> None:
    "Run a Typer program; an interrupt ends it with 130 and without a traceback."
    try:
        program(standalone_mode=True)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)


@app.command()
def nogan(
    stage: Annotated[StageName, typer.Option(help="Which stage to run.")] = StageName.all,
    photos: Annotated[list[Path], typer.Option(help="Folder of photos or of tar archives; may be given again. "
                                                    "Remembered in the run folder.")] = None,
    run: Annotated[Path, typer.Option(help="Folder for checkpoints, figures and the result.")] = Path("runs/nogan"),
    preset: Annotated[str, typer.Option(help="lite, artistic, stable, video, smoke; by default that of the run "
                                             "folder, else lite.")] = None,
    set_: Annotated[list[str], typer.Option("--set", metavar="FIELD=VALUE",
                                            help="Change a field of the schedule, e.g. gan.lr=2e-5.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Cycles of critic and GAN in all.")] = None,
    use_step: Annotated[int, typer.Option(help="Take the generator of this step of the last GAN phase.")] = None,
    encoder_weights: Annotated[Path, typer.Option(help="Pretrained encoder (safetensors), for offline use.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    checkpoint_seconds: Annotated[float, typer.Option(help="How often to save what a killed run goes on from.")] = 120,
) -> None:
    """Train a colorizer by the NoGAN schedule: generator, critic, a short GAN phase.

    The same command goes on where it was interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from .device import DeviceUnavailable, pick_device, pick_precision
    from .training.errors import NoPhotos, StageMissing, TrainingError
    from .training.run import open_run

    try:
        where = pick_device(device)
        dtype = pick_precision(where, precision)
        session = open_run(run, photos or [], preset, set_ or [], repeats, device=where, precision=dtype,
                           encoder_weights=encoder_weights, checkpoint_seconds=checkpoint_seconds)
    except DeviceUnavailable as error:
        raise fail(str(error), UNAVAILABLE) from error
    except ValueError as error:
        raise fail(str(error), USAGE) from error

    from .modeling.pretrained import WeightsUnavailable
    from .training.nogan import choose_step, run_nogan

    try:
        typer.echo(choose_step(session, use_step) if use_step is not None else run_nogan(session, stage.value))
    except WeightsUnavailable as error:
        raise fail(str(error), UNAVAILABLE) from error
    except (NoPhotos, StageMissing) as error:
        raise fail(str(error), USAGE) from error
    except TrainingError as error:
        raise fail(str(error), 1) from error


def main() -> None:
    run(app)
