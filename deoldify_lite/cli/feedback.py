"""`deoldify-lite feedback`: what people thought of the results on the page."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError


def feedback(
    folder: Annotated[Path, typer.Argument(help="What --feedback of the page named.")] = Path("feedback"),
) -> None:
    "Print a table by weights and settings, then the remarks."
    from ..app.feedback import FILE_NAME, read, summary

    try:
        lines, damaged = read(folder / FILE_NAME)
    except OSError as error:
        raise UsageError(f"{folder / FILE_NAME}: {error.strerror}") from error
    for line in summary(lines):
        typer.echo(line)
    if damaged:
        typer.echo(f"{damaged} damaged lines left out", err=True)
