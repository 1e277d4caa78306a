"""What several commands have: options, how their errors end them, how one becomes a program of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..errors import DeoldifyError, Interrupted
from ..models import MODELS

Weights = Annotated[
    str,
    typer.Option(help=f"{', '.join(MODELS)}, or a file: .safetensors of this package, .pth of DeOldify."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Also the subfolders; the tree is kept.")]
Overwrite = Annotated[bool, typer.Option(help="Do again what is already there, instead of skipping it.")]
RenderFactor = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=64,
        help="The network sees a picture of 16 times this; lower is faster. By default what suits weights and photo.",
    ),
]
Strength = Annotated[float, typer.Option(min=0, max=3, help="0 is grayscale, 1 as predicted, more exaggerates.")]
LikeOption = Annotated[
    Path | None, typer.Option("--like", metavar="FILE", help="A colour photo: what it shows, too, gets its colours.")
]
Variants = Annotated[
    int,
    typer.Option(min=1, max=8, help="So many different results for each photo, likeliest first: NAME_1, NAME_2, ..."),
]
MaxPixels = Annotated[int, typer.Option(min=1, help="Larger photos are refused before they are decoded.")]
Report = Annotated[Path | None, typer.Option(help="Append a JSON line for every photo to this file.")]
Stabilize = Annotated[
    bool, typer.Option("--stabilize/--no-stabilize", help="Average colours of videos along the motion within a shot.")
]
Codec = Annotated[
    str,
    typer.Option(help="Of videos: h264, h265, av1, vp9, or an FFmpeg encoder; auto suits the container."),
]
Crf = Annotated[float | None, typer.Option(min=0, max=63, help="Quality of the codec; lower is better.")]
TrainingPrecision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
TrainingPhotos = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of photos or of tar archives; may be given again. Remembered in the run folder."),
]
EncoderWeights = Annotated[Path | None, typer.Option(help="Pretrained encoder (safetensors), for offline use.")]
CheckpointSeconds = Annotated[float, typer.Option(help="How often to save what a killed run goes on from.")]


class Command(TyperCommand):
    """A command whose errors become one line on standard error and an exit code.

    Options whose metavar ends in `...` take several values: `PHOTOS --weights A B`.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        lists = [p for p in self.params if p.param_type_name == "option" and str(p.metavar).endswith("...")]
        return super().parse_args(ctx, repeat_options(args, {name for option in lists for name in option.opts}))

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            failure = Interrupted("interrupted")
        except DeoldifyError as error:
            failure = error
        except OSError as error:
            if not error.filename:  # a broken pipe, for one, which is Typer's business
                raise
            failure = DeoldifyError(f"{error.filename}: {error.strerror}")
        typer.echo(f"error: {' '.join(map(str.strip, str(failure).splitlines()))}", err=True)
        raise typer.Exit(failure.exit_code)


def repeat_options(arguments: list[str], lists: set[str]) -> list[str]:
    """`PHOTOS --weights A B` as `PHOTOS --weights A --weights B`, for the options `lists`.

    Where the arguments begin with an option, nothing is changed: PHOTOS could not be told from the last of its values.
    """
    repeated, option = [], None
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in lists and not arguments[0].startswith("-") else None
        elif option and repeated[-1] != option:
            repeated.append(option)
        repeated.append(argument)
    return repeated


def single(command: Callable) -> typer.Typer:
    "One command as a program of its own."
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command(cls=Command)(command)
    return program


def script(command: Callable) -> None:
    "Run one command as a program of its own."
    single(command)()


@contextmanager
def advice_on_memory(change: str) -> Iterator[None]:
    "Where memory does not suffice: an error that says what to change, for instance `lower the batch`."
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise DeoldifyError(f"out of memory: {change}, and run the same again") from error
