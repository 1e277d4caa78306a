"""`deoldify-lite pix2pix`: training of the baselines, which NoGAN is compared with."""

import logging
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .common import (
    CheckpointSeconds,
    Device,
    EncoderWeights,
    TrainingPhotos,
    TrainingPrecision,
    advice_on_memory,
)


def pix2pix(
    config: Annotated[
        str, typer.Option(help="pix2pix-rgb, unet-resnet18, pix2pix-lab, ...: docs/baselines.md has the list.")
    ],
    photos: TrainingPhotos = None,
    run: Annotated[Path, typer.Option(help="Folder in which every config has one of its own.")] = Path("runs/pix2pix"),
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the config.")
    ] = None,
    samples_seen: Annotated[
        int | None, typer.Option(min=1, help="Photos seen in all, instead of the config's epochs; see the docs.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the photos in training; the U-Net's depth follows.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the config and where each value is stated.")] = False,
    encoder_weights: EncoderWeights = None,
    device: Device = "auto",
    precision: TrainingPrecision = "auto",
    checkpoint_seconds: CheckpointSeconds = 120,
) -> None:
    """Train a baseline: a colorizer of the pix2pix family. Prints the path of its weights.

    The same command goes on where it was interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated")

    from ..baselines import configs
    from ..baselines.run import open_baseline, train
    from ..schedule import parse_changes

    changes = parse_changes(set_ or (), "pixel=l2")
    chosen = configs.config(config)
    chosen = chosen.sized(size) if size else chosen
    chosen = replace(chosen, samples_seen=samples_seen or 0)
    chosen = chosen.override(changes)
    if show:
        typer.echo(configs.describe(chosen))
        return
    settings = {"device": device, "precision": precision, "encoder_weights": encoder_weights}
    session = open_baseline(run, chosen, tuple(photos or ()), checkpoint_seconds=checkpoint_seconds, **settings)
    with advice_on_memory("lower the batch, for instance --set batch=4"):
        typer.echo(train(session))
