"""`deoldify-lite pix2pix`: training of the systems that this project is compared with."""

import logging
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .common import (
    CheckpointSeconds,
    Device,
    EncoderWeights,
    TrainingPhotos,
    TrainingPrecision,
    advice_on_memory,
)


def pix2pix(
    recipe: Annotated[str, typer.Option(help="000, 002-unet-30, 002-vanilla-20, ..., 003, 004-batch, 004-instance.")],
    photos: TrainingPhotos = None,
    run: Annotated[Path, typer.Option(help="Folder in which every recipe has one of its own.")] = Path("runs/pix2pix"),
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe.")
    ] = None,
    presentations: Annotated[
        int | None,
        typer.Option(min=1, help="How many photos are shown in all, instead of the recipe's epochs; see docs."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures; the U-Net's depth follows.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe and where each value comes from.")] = False,
    encoder_weights: EncoderWeights = None,
    device: Device = "auto",
    precision: TrainingPrecision = "auto",
    checkpoint_seconds: CheckpointSeconds = 120,
) -> None:
    """Train a colorizer by the recipe of a seed document. Prints the path of its weights.

    The same command goes on where it was interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated")
    from ..training import recipes
    from ..training.pix2pix import open_recipe, train

    if wrong := [change for change in set_ or () if "=" not in change]:
        raise UsageError(f"--set {wrong[0]!r}: write FIELD=VALUE, for instance pixel=l2")
    chosen = recipes.recipe(recipe)
    chosen = chosen.sized(size) if size else chosen
    chosen = replace(chosen, presentations=presentations or 0)
    chosen = chosen.override(dict(change.split("=", 1) for change in set_ or ()))
    if show:
        typer.echo(recipes.describe(chosen))
        return
    settings = {"device": device, "precision": precision, "encoder_weights": encoder_weights}
    session = open_recipe(run, chosen, tuple(photos or ()), checkpoint_seconds=checkpoint_seconds, **settings)
    with advice_on_memory("lower the batch, for instance --set batch=4"):
        typer.echo(train(session))
