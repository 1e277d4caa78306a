"""`deoldify-lite evaluate`: scores of generators and finished pictures, and a report."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DeoldifyError, Interrupted
from .common import Device, Precision


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
    precision: Precision = "auto",
) -> None:
    """Score generators, and finished pictures, on colour photos. Writes metrics.json, report.html and PNG grids.

    PHOTOS come first. The same command goes on where it was interrupted. Exits with 1 when something had to be left
    out.
    """
    from tqdm import tqdm

    from ..evaluate.evaluation import evaluate
    from ..evaluate.output import write_all
    from ..evaluate.protocol import choose_protocol
    from ..evaluate.tables import score_table

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
