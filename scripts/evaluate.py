"""Score generators on photos whose colours are known; the grey input is scored as well.

python scripts/evaluate.py photos-valid.tar --weights lite --weights runs/nogan/generator.safetensors
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.cli import script


def evaluate(
    photos: Annotated[Path, typer.Argument(help="Folder or tar archive of colour photos.")],
    weights: Annotated[list[str], typer.Option(help="Generators to score; may be given again.")] = ["lite"],  # noqa: B006
    size: Annotated[int, typer.Option(help="Side of the square that is cut from the middle of each photo.")] = 256,
    render_factor: Annotated[int | None, typer.Option(help="As for colorizing.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many photos, spread over all.")] = None,
) -> None:
    """Print a line of JSON for the grey input and for each generator."""
    from deoldify_lite import Colorizer
    from deoldify_lite.evaluate.scores import Judge, file_hash, read_truth
    from deoldify_lite.modeling.weights import find_weights

    truths = list(read_truth([photos], size))
    if limit:
        truths = truths[:: max(1, len(truths) // limit)][:limit]
    judge = Judge(truths)
    typer.echo(json.dumps({"weights": "grey input", "size": size} | judge.score(None)))
    for name in weights:
        colorizer = Colorizer(name, render_factor=render_factor)
        about = {"weights": name, "sha256": file_hash(find_weights(name)), "size": size}
        about |= {"render_factor": colorizer.render_factor, "precision": str(colorizer.engine.precision)}
        typer.echo(json.dumps(about | judge.score(colorizer)))


if __name__ == "__main__":
    script(evaluate)
