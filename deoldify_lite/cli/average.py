"""`deoldify-lite average`: one generator out of several."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError


def average(
    weights: Annotated[
        list[str], typer.Argument(metavar="WEIGHTS...", help="Generators that began from the same weights.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, .safetensors.")],
) -> None:
    """Write the mean of several generators' weights, which can be better than each of them.

    Train twice from the same weights, with --set seed=1 and --set seed=2, or with other photos or sizes, and average.
    """
    from ..modeling.weights import average_weights

    if len(weights) < 2:
        raise UsageError("one generator has no mean: name two or more")
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: weights are written as .safetensors")
    average_weights(weights, out)
    typer.echo(out)
