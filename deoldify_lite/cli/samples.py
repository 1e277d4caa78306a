"""`deoldify-lite samples`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DeoldifyError, UsageError


def samples(target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder to write to.")]) -> None:
    "Write a few black-and-white sample photos to try things on."
    from ..samples import write_samples

    try:
        written = write_samples(target)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}") from error
    if not written:
        raise DeoldifyError("no sample photos here: they come with matplotlib and scikit-learn")
    for path in written:
        typer.echo(path)
