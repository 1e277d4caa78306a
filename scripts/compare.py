"""Write the comparison table of the docs from the figures that scripts/evaluate.py measured, and from nothing else.

python scripts/compare.py runs/evaluation/metrics.json [MORE...]     into docs/comparison.md
"""

from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.cli import USAGE, fail, script

DOCS = Path(__file__).parent.parent / "docs"


def compare(
    metrics: Annotated[list[Path], typer.Argument(help="metrics.json files, all about the same photos.")],
    page: Annotated[Path, typer.Option(help="Markdown with the markers between which the table goes.")] = (
        DOCS / "comparison.md"
    ),
    apart: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Beside the others but no rival of theirs: never bold.")
    ] = None,
    published: Annotated[Path, typer.Option(help="Figures of others, with their sources.")] = DOCS / "published.yaml",
) -> None:
    """Put a table of all that was judged, and of what others published, between the markers of a page."""
    import yaml

    from deoldify_lite.evaluate.comparison import NotComparable, comparison, read_subjects, write_between_markers
    from deoldify_lite.files import write_atomically

    try:
        others = yaml.safe_load(published.read_text(encoding="utf-8"))
        block = comparison(read_subjects(metrics), others, apart or [])
        write_atomically(page, write_between_markers(page.read_text(encoding="utf-8"), block))
    except NotComparable as error:
        raise fail(str(error), USAGE) from error
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}", USAGE) from error
    typer.echo(page)


if __name__ == "__main__":
    script(compare)
