"""Score colorizers on photos whose colours are known: metrics, plots, predictions side by side, best and worst photos.

python scripts/evaluate.py PHOTOS --weights lite runs/nogan/generator.safetensors --out runs/evaluation
python scripts/evaluate.py PHOTOS --weights before=runs/nogan/generator/4-96/weights.safetensors --weights after=lite
python scripts/evaluate.py PHOTOS --results theirs=FOLDER     pictures that another program made
python scripts/evaluate.py IMAGENET_VAL --protocol val5k      as the literature does

PHOTOS are folders, photos or tar archives, and come first. The same command goes on where it was interrupted.
"""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.cli.common import Device, script
from deoldify_lite.errors import DeoldifyError, Interrupted

LISTS = ("--weights", "--results", "--features")


class ProtocolName(str, Enum):
    all = "all"
    val5k = "val5k"


def evaluate(
    photos: Annotated[list[Path], typer.Argument(help="Folders, photos or tar archives, in colour.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]WEIGHTS...", help="Generators: lite, or files. By default lite."),
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER...", help="Finished pictures of any program, each named as its photo."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for scores, report and grids.")] = Path("runs/evaluation"),
    protocol: Annotated[
        ProtocolName, typer.Option(help="val5k: the first 5000 photos by name, at 256 pixels, as the literature does.")
    ] = ProtocolName.all,
    size: Annotated[
        int | None, typer.Option(min=64, help="Side of each photo's center crop in pixels; by default 256.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many photos, evenly spread.")] = None,
    render_factor: Annotated[int | None, typer.Option(min=2, max=64, help="As for colorizing.")] = None,
    features: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="More feature networks, by their names in timm.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="Of the generators: auto, float32, bfloat16 or float16.")] = "auto",
) -> None:
    """Score generators, and finished pictures, on colour photos. Writes metrics.json, report.html and PNG grids.

    Exits with 1 when something had to be left out.
    """
    from tqdm import tqdm

    from deoldify_lite.evaluate.evaluation import evaluate
    from deoldify_lite.evaluate.output import write_all
    from deoldify_lite.evaluate.protocol import choose_protocol
    from deoldify_lite.evaluate.tables import score_table

    try:
        evaluation = evaluate(
            photos,
            weights or ([] if results else ["lite"]),
            results or [],
            out / "records.sqlite",
            protocol=choose_protocol(protocol.value, size, limit),
            networks=features or [],
            device=device,
            precision=precision,
            render_factor=render_factor,
            warn=lambda problem: tqdm.write(problem, file=sys.stderr),
        )
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on from here") from None
    try:
        metrics = write_all(evaluation, out)
    except OSError as error:
        raise DeoldifyError(f"{out}: the report cannot be written: {error.strerror}") from error
    typer.echo(score_table(metrics["methods"]))
    typer.echo(out / "report.html")
    if evaluation.problems:
        raise typer.Exit(1)


def one_each(arguments: list[str]) -> list[str]:
    """`PHOTOS --weights A B` as `PHOTOS --weights A --weights B`, which is what Typer understands.

    Where PHOTOS do not come first, nothing is changed: it could not be told from the last of the weights.
    """
    spread, option = [], None
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in LISTS and not arguments[0].startswith("-") else None
            spread.append(argument)
        elif option and spread[-1] != option:
            spread += [option, argument]
        else:
            spread.append(argument)
    return spread


if __name__ == "__main__":
    sys.argv[1:] = one_each(sys.argv[1:])
    script(evaluate)
