"""`deoldify-lite compare`: the comparison page of the docs."""

from pathlib import Path
from typing import Annotated

import typer

DOCS = Path("docs")  # of a checkout, in which this is called


def compare(
    metrics: Annotated[list[Path], typer.Argument(help="metrics.json files, all about the same photos.")],
    page: Annotated[Path, typer.Option(help="Markdown with the markers between which the table goes.")] = (
        DOCS / "comparison.md"
    ),
    apart: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Listed with the others, but never marked as the best.")
    ] = None,
    published: Annotated[Path, typer.Option(help="Scores of others, with their sources.")] = DOCS / "published.yaml",
) -> None:
    """Write a table of all scored methods, and of what others published, between the markers of a page."""
    from ..evaluate.comparison import write_comparison

    write_comparison(page, metrics, published, apart or [])
    typer.echo(page)
