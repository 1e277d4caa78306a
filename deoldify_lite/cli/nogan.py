"""`deoldify-lite nogan`: training by the NoGAN schedule."""

import logging
import sys
from enum import Enum
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


class StageName(str, Enum):
    generator = "generator"
    generate = "generate"
    critic = "critic"
    gan = "gan"
    hints = "hints"
    all = "all"


def nogan(
    stage: Annotated[StageName, typer.Option(help="Which stage to run.")] = StageName.all,
    photos: TrainingPhotos = None,
    run: Annotated[Path, typer.Option(help="Folder for checkpoints, logs and the result.")] = Path("runs/nogan"),
    preset: Annotated[
        str | None,
        typer.Option(
            help="lite, resnet34, projected, restore, finetune, hints, artistic, stable, video, smoke; else as begun."
        ),
    ] = None,
    init_from: Annotated[
        str,
        typer.Option(metavar="WEIGHTS", help="Start from these weights instead of ImageNet's: lite, or a file."),
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the schedule, e.g. gan.lr=2e-5."),
    ] = None,
    cycles: Annotated[int | None, typer.Option(min=1, help="Cycles of critic and GAN in all.")] = None,
    use_step: Annotated[int | None, typer.Option(help="Take the generator of this step of the last GAN phase.")] = None,
    encoder_weights: EncoderWeights = None,
    device: Device = "auto",
    precision: TrainingPrecision = "auto",
    checkpoint_seconds: CheckpointSeconds = 120,
) -> None:
    """Train a colorizer by the NoGAN schedule: generator, critic, a short GAN phase.

    The same command goes on where it was interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from ..training.run import open_run

    session = open_run(
        run,
        photos or [],
        preset,
        set_ or [],
        cycles,
        init_from,
        device=device,
        precision=precision,
        encoder_weights=encoder_weights,
        checkpoint_seconds=checkpoint_seconds,
    )
    from ..training.nogan import choose_step, run_nogan

    with advice_on_memory("lower the batch of that stage, for instance --set gan.batch=4"):
        typer.echo(choose_step(session, use_step) if use_step is not None else run_nogan(session, stage.value))
