"""The command line `deoldify-lite`, a module for each command; `scripts/` calls the same functions.

Exit codes: 0 all well, 1 some photos failed or training went wrong, 2 wrong usage, 3 no model or device,
130 interrupted. Results go to standard output, all else to standard error. Modules import at the top what is quick to
import, and the rest in their functions, so that help and errors come at once.
"""

import typer

from . import (
    app,
    average,
    colorize,
    compare,
    evaluate,
    export,
    faces,
    feedback,
    models,
    nogan,
    pix2pix,
    ray,
    restore,
    samples,
    video,
    web,
)
from .common import Command

program = typer.Typer(
    help="Colour for black-and-white photographs, and the training of such colorizers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    colorize.colorize,
    restore.restore,
    video.video,
    ray.ray,
    models.models,
    samples.samples,
    nogan.nogan,
    average.average,
    evaluate.evaluate,
    compare.compare,
    export.export,
    app.app,
    web.web,
    feedback.feedback,
    pix2pix.pix2pix,
    faces.faces,
):
    program.command(cls=Command)(command)


def main() -> None:
    program()
