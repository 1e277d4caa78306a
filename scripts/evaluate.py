"""Judge colorizers on photos whose colours are known: figures, pictures side by side, best and worst photos.

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

from deoldify_lite.cli import INTERRUPTED, UNAVAILABLE, USAGE, Device, fail, script

LISTS = ("--weights", "--results", "--features")


class ProtocolName(str, Enum):
    all = "all"
    val5k = "val5k"


def evaluate(
    photos: Annotated[list[Path], typer.Argument(help="Folders, photos or tar archives, in colour.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]WEIGHTS...", help="Generators to judge: lite, or files. By default lite."),
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER...", help="Finished pictures to judge, each named as its photo."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for figures, report and grids.")] = Path("runs/evaluation"),
    protocol: Annotated[
        ProtocolName, typer.Option(help="val5k: the first 5000 photos by name, at 256 pixels, as the literature does.")
    ] = ProtocolName.all,
    size: Annotated[
        int | None, typer.Option(min=64, help="Side of the square cut from the middle of each photo; by default 256.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many photos, spread over all.")] = None,
    render_factor: Annotated[int | None, typer.Option(min=2, max=64, help="As for colorizing.")] = None,
    features: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="More feature networks, by their names in timm.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="Of the generators: auto, float32, bfloat16 or float16.")] = "auto",
) -> None:
    """Judge generators, and finished pictures, beside the truth. Writes metrics.json, report.html and PNG grids.

    Exits with 1 when something had to be left out.
    """
    from deoldify_lite.device import DeviceUnavailable, pick_device
    from deoldify_lite.evaluate.comparison import figures_table
    from deoldify_lite.evaluate.evaluation import evaluate
    from deoldify_lite.evaluate.output import write_all
    from deoldify_lite.evaluate.records import BadRecords
    from deoldify_lite.evaluate.subjects import find_subjects
    from deoldify_lite.evaluate.truths import choose_protocol, find_truths
    from deoldify_lite.modeling.weights import BadWeights

    try:
        chosen = choose_protocol(protocol.value, size, limit)
        everything, problems = find_truths(photos)
        truths = chosen.choose(everything)
        generators = weights or ([] if results else ["lite"])
        subjects, left_out = find_subjects(
            generators, results or [], truths, everything, device, precision, render_factor
        )
        problems += left_out
        for problem in problems:
            typer.echo(problem, err=True)
        if len(truths) < (chosen.limit or 0):
            typer.echo(f"note: there are {len(truths)} photos where {chosen.limit} were asked for", err=True)
        if not subjects:
            raise fail("there is nothing left to judge", UNAVAILABLE)
        evaluation = evaluate(truths, subjects, chosen, features or [], pick_device(device), out / "records.sqlite")
    except (BadWeights, DeviceUnavailable) as error:
        raise fail(str(error), UNAVAILABLE) from error
    except BadRecords as error:
        raise fail(str(error), 1) from error
    except ValueError as error:
        raise fail(str(error), USAGE) from error
    except KeyboardInterrupt:
        raise fail("interrupted; the same command goes on from here", INTERRUPTED) from None
    for problem in evaluation.problems:
        typer.echo(problem, err=True)
    evaluation.problems[:0] = problems
    try:
        metrics = write_all(evaluation, out)
    except OSError as error:
        raise fail(f"{out}: the report cannot be written: {error.strerror}", 1) from error
    typer.echo(figures_table(metrics["subjects"]))
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
