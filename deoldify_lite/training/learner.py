"""What the fits of all stages have in common: a fastai Learner with exact steps, and one cycle through them."""

from dataclasses import replace
from functools import partial
from typing import Any

import fastai.callback.hook  # noqa: F401  makes Learner.summary
import numpy as np
import torch
from fastai.callback.core import TrainEvalCallback
from fastai.callback.schedule import ParamScheduler, combined_cos
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import Adam
from torch import Tensor, nn

from ..device import autocast
from ..modeling.layers import without_spectral_norm
from .batches import Batches
from .callbacks import ExactSteps, Records, StopOnNan, resume
from .losses import FeatureLoss
from .rarity import colour_weights
from .run import Run, Stage


class InPrecision(nn.Module):
    "A network run in a precision."

    def __init__(self, network: nn.Module, precision: torch.dtype):
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, *inputs: Tensor) -> Any:
        with autocast(inputs[0].device, self.precision):
            return self.network(*inputs)


def feature_loss(run: Run, size: int, scale: float = 1.0, window: float = 1.0, vivid: float = 1.0) -> "LossInPrecision":
    "The schedule's loss for crops of `size`; `scale`, `window` as in `FeatureLoss`, `vivid` a factor on `loss.vivid`."
    loss = replace(run.schedule.loss, vivid=vivid * run.schedule.loss.vivid)
    rarity = colour_weights(run, size) if loss.rare else None
    return LossInPrecision(FeatureLoss(loss, scale, window, rarity).to(run.device), run.precision)


class LossInPrecision:
    "A loss whose network runs in a precision."

    def __init__(self, loss: Any, precision: torch.dtype):
        self.loss, self.precision = loss, precision

    def __call__(self, predicted: Any, truth: Tensor) -> Tensor:
        with autocast(truth.device, self.precision):
            return self.loss(predicted, truth)

    @property
    def parts(self) -> dict[str, Tensor]:
        return self.loss.parts


class StageLearner(Learner):
    "A fastai Learner that knows its stage."

    stage: Stage

    def summary(self) -> str:
        "fastai's summary, of the network without spectral norm, behind which fastai does not find the weights."
        trained = self.model
        self.model = without_spectral_norm(trained)
        try:
            return super().summary()
        finally:
            self.model = trained


def make_learner(
    stage: Stage, trains: str, train: Batches, valid: Batches, model: nn.Module, loss_func, *cbs, **kwargs
) -> StageLearner:
    """A fastai Learner with what every stage here has: exact steps, resume, a stop on NaN, clipping, records.

    `trains` says for the records which network it is: encoder, generator or critic.
    """
    run = stage.run
    learn = StageLearner(
        DataLoaders(train, valid, device=run.device),
        model,
        loss_func=loss_func,
        opt_func=partial(Adam, sqr_mom=0.99),
        wd=run.schedule.weight_decay,
        path=stage.folder,
        default_cbs=False,
        cbs=[
            TrainEvalCallback(),
            Recorder(train_metrics=False),
            ExactSteps(stage),
            StopOnNan(),
            GradientClip(run.schedule.clip),
            Records(stage, trains),
            *cbs,
        ],
        **kwargs,
    )
    learn.create_opt()
    learn.stage = stage
    return learn


def one_cycle(lr_max: list[float], pct_start: float) -> dict:
    "fastai's one-cycle schedules: cosine from lr/25 up and down to lr/1e5, momentum .95 -> .85 -> .95."
    rates = np.array(lr_max)
    return {
        "lr": combined_cos(pct_start, rates / 25, rates, rates / 1e5),
        "mom": combined_cos(pct_start, 0.95, 0.85, 0.95),
    }


def fit(learn: StageLearner, lr_max: list[float], pct_start: float) -> dict[str, float]:
    "One cycle through the stage's steps, from its checkpoint if there is one. Returns figures."
    learn.dls.train.first_step = learn.stage.first_step = resume(learn.stage, learn)
    learn.stage.begin()
    with learn.no_logging(), learn.no_mbar():
        learn.fit(1, lr=np.array(lr_max), cbs=ParamScheduler(one_cycle(lr_max, pct_start)))
    steps = learn.dls.train.steps
    batch = learn.dls.train.spec.batch
    pace = learn.stage.pace(steps * batch)
    train_loss, valid_loss = learn.recorder.values[-1]
    if learn.dls.valid:
        learn.stage.record(steps, {"generator/validation_loss": valid_loss})
    return {
        "steps": steps,
        "batch": batch,
        "train_loss": train_loss,
        "valid_loss": valid_loss,
    } | pace
