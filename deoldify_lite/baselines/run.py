"A baseline's run folder, and its training from the first config that it starts from to its result."

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..modeling.weights import save_weights
from ..training.callbacks import Pictures, Records, prediction_pictures
from ..training.learner import fit_stage
from ..training.run import RunFolder, remembered_photos
from ..training.stage import Stage
from .configs import BaselineConfig
from .pix2pix import pix2pix_learner
from .reports import EpochReports


class BaselineRun(RunFolder):
    "The run folder of a baseline. `encoder_weights` is a file of ImageNet weights, for use offline."

    settings_file = "config.yaml"

    def __init__(
        self, folder: Path, config: BaselineConfig, *args: Any, encoder_weights: Path | None = None, **kwargs: Any
    ):
        super().__init__(folder, config, *args, **kwargs)
        self.config, self.encoder_weights = config, encoder_weights

    @cached_property
    def stage(self) -> Stage:
        "Its only one."
        return Stage(self, "train", self.config.fingerprint)

    @property
    def result(self) -> Path:
        "The finished generator."
        return self.folder / "generator.safetensors"

    @property
    def critic_weights(self) -> Path:
        "The finished critic; a config without a GAN loss has none."
        return self.stage.folder / "critic.safetensors"

    @property
    def initial(self) -> "BaselineRun | None":
        "The run of the config that it starts from, on the same photos."
        if not self.config.init_from:
            return None
        same = {name: getattr(self, name) for name in ("device", "precision", "encoder_weights", "checkpoint_seconds")}
        return open_baseline(self.folder.parent, self.config.initial, self.photos, **same)


def open_baseline(folder: Path, config: BaselineConfig, photos: tuple[Path, ...] = (), **settings: Any) -> BaselineRun:
    """The run of a config: a folder of its own in `folder`, beside those of others, whose packed photos it shares.

    `settings` go to `BaselineRun`. Without `photos` it takes those that it had before.
    """
    budget = f"@{config.samples_seen}" if config.samples_seen else ""
    place = folder / (config.name + budget)
    return BaselineRun(place, config, remembered_photos(place, photos), cache=folder / "photos", **settings)


def train(run: BaselineRun) -> Path:
    """Train the run's config, first the one that it starts from. Returns `generator.safetensors` in the run folder.

    Goes on where it was interrupted, to the same bits.

    Raises:
        FolderInUse: another process trains in the run folder.
        TrainingDiverged: a loss became NaN or infinite; the last checkpoint stands.
        WrongCheckpoint: the folder holds the work of another config, or a damaged checkpoint.
    """
    stage = run.stage
    if stage.is_done:
        return run.result
    stage.resume()  # another config's checkpoint is refused before anything is written
    _ = run.sources  # no photos is the first thing to say
    initial = run.initial
    if initial is not None:
        train(initial)
    with run.lock():
        _fit(run, initial)
    return run.result


def _fit(run: BaselineRun, initial: "BaselineRun | None") -> None:
    run.keep()
    config, stage = run.config, run.stage
    learn = pix2pix_learner(run, initial)
    batches = learn.dls.train
    draw = prediction_pictures(lambda gray, _target: learn.model.colorize(gray), *run.fixed_batch(config.size, 8))
    every = min(20, batches.steps // config.epochs)  # so that each epoch has a record
    records = Records(stage, None, ("generator", "critic")[: len(learn.opt.hypers)], max(1, every))
    fit_stage(learn, [records, Pictures(stage, draw), EpochReports(run, batches.steps, draw)])
    save_weights(learn.generator, stage.weights)
    if learn.model.critic is not None:
        save_weights(learn.model.critic, run.critic_weights)
    save_weights(learn.generator, run.result, dtype=torch.float16)  # all that a file needs
    parameters = sum(p.numel() for p in learn.generator.parameters())
    stage.finish(**batches.summary, parameters=parameters, **stage.throughput(batches.samples))
