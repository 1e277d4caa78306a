"""Sum up what people thought of the results on the page.

python scripts/feedback.py              of feedback/
python scripts/feedback.py FOLDER
"""

from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.app.feedback import LINES, read, summary
from deoldify_lite.cli import USAGE, fail, script


def feedback(
    folder: Annotated[Path, typer.Argument(help="What --feedback of scripts/app.py named.")] = Path("feedback"),
) -> None:
    "Print a table by weights and settings, then the remarks."
    try:
        lines, damaged = read(folder / LINES)
    except OSError as error:
        raise fail(f"{folder / LINES}: {error.strerror}", USAGE) from error
    for line in summary(lines):
        typer.echo(line)
    if damaged:
        typer.echo(f"{damaged} damaged lines left out", err=True)


if __name__ == "__main__":
    script(feedback)
