"""The callbacks of all stages, the GAN phase included.

Their order within a step, where it matters: AverageWeights 40, Records 44, StepNumber 50, the GAN phase's turns 52 and
scores 53, Checkpoint 55 (after all that changes state), fastai's ParamScheduler 60, Pictures 75.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn
from torchvision.utils import make_grid
from tqdm.auto import tqdm

from .. import color
from ..device import memory_in_use
from ..modeling.layers import freeze_statistics
from . import distributed
from .checkpoint import load_optimizer_state, optimizer_state
from .degradation import grayscale_input
from .ema import Ema
from .errors import TrainingDiverged, WrongCheckpoint
from .show import logit_map
from .stage import Stage


class StepNumber(Callback):
    """Makes each step a function of its number: seeds and the place in the learning rate's schedule follow from it."""

    order = 50  # before fastai's ParamScheduler, which reads pct_train
    run_valid = False

    def __init__(self, stage: Stage):
        self.stage = stage

    @property
    def step(self) -> int:
        "Steps done before this one, those before a kill included."
        return self.dls.train.first_step + self.iter

    def before_batch(self):
        train = self.dls.train
        self.stage.seed_globally(self.epoch * train.steps + self.step)
        self.learn.pct_train = (self.epoch + train.progress(self.step)) / self.n_epoch


class Checkpoint(Callback):
    """Writes all that the stage needs to go on, every now and then, and loads it: the networks, the optimisers and the
    `state` of those callbacks that have one. A run killed and begun again ends with the very same weights."""

    order = 55
    run_valid = False

    def __init__(self, stage: Stage):
        self.stage = stage

    def before_train(self):
        self.saved = time.monotonic()

    def after_batch(self):
        if time.monotonic() - self.saved >= self.stage.run.checkpoint_seconds:
            self.save(self.step_number.step + 1)
            self.saved = time.monotonic()

    def _stateful(self) -> dict[str, Any]:
        return {cb.name: cb for cb in self.learn.cbs if hasattr(cb, "load_state")}

    def save(self, step: int):
        states = {name: cb.state for name, cb in self._stateful().items()}
        model, optimizer = self.learn.model.state_dict(), optimizer_state(self.learn.opt)
        steps = self.dls.train.steps
        self.stage.save(step=step, steps=steps, model=model, optimizer=optimizer, callbacks=states)

    def resume(self) -> int:
        """Load the checkpoint, if there is one; the step to go on with.

        Raises:
            WrongCheckpoint: it is of a stage that was to have more steps, or fewer.
        """
        if not (checkpoint := self.stage.resume()):
            return 0
        steps = self.dls.train.steps
        if (begun := checkpoint.get("steps", steps)) != steps:  # older checkpoints do not have it
            raise WrongCheckpoint(
                f"{self.stage.folder}: this stage was begun with {begun} steps and would have {steps} now: there are "
                "more or fewer photos or processes. Make it what it was, or delete the folder to begin this stage again"
            )
        self.learn.model.load_state_dict(checkpoint["model"])
        load_optimizer_state(self.learn.opt, checkpoint["optimizer"], self.stage.run.device)
        for name, callback in self._stateful().items():
            callback.load_state(checkpoint["callbacks"][name])
        return checkpoint["step"]


class FrozenStatistics(Callback):
    "BatchNorm keeps the means and variances that it had before."

    order = 58  # after the GAN phase's turns, which set modes
    run_valid = False

    def before_batch(self):
        freeze_statistics(self.learn.model)


class AverageWeights(Callback):
    "Keeps a moving average of the generator's weights over the steps that change them, in `ema`."

    order = 40
    run_valid = False

    def __init__(self, generator: nn.Module, decay: float):
        self.generator, self.ema = generator, Ema(generator, decay)

    def after_step(self):
        if getattr(self.learn.model, "generator_trains", True):
            self.ema.update(self.generator)

    @property
    def state(self) -> dict[str, Tensor]:
        return self.ema.state

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.ema.load(state)


class StopOnNan(Callback):
    "Stops before a loss that is not finite reaches the weights."

    order = -5
    run_valid = False

    def after_loss(self):
        self.check(self.learn.loss, "the loss")

    def check(self, loss: Tensor, name: str) -> None:
        "Raises `TrainingDiverged` where `loss` is not finite in any process."
        if hasattr(self.learn, "lr_finder"):  # which goes on until the loss explodes
            return
        value = distributed.mean(float(loss.detach()), loss.device)
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"{name} became {value} at step {self.step_number.step}; the last checkpoint is untouched: go on from "
                f"it with --precision float32, or delete {self.learn.stage.folder} and begin this stage again at a "
                "lower learning rate (--set)"
            )


class Records(Callback):
    """Losses, rates, speed and memory every few steps, to the stage's tracker; progress on a terminal.

    Args:
        network: which one trains, encoder, generator or critic: the metrics' names begin with it. None asks the model,
            whose networks take turns.
        rates: names of the optimiser's parameter groups.
        every: steps from record to record; in a short stage fewer, enough for a curve.
    """

    order = 44
    run_valid = False

    def __init__(self, stage: Stage, network: str | None, rates: tuple[str, ...], every: int = 20):
        self.stage, self.network, self.rates, self.every = stage, network, rates, every
        self.seen, self.sums = 0, {}  # steps since the last record, and the sum of each metric over them

    @property
    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "sums": self.sums}

    def load_state(self, state: dict[str, Any]) -> None:
        self.seen, self.sums = state["seen"], state["sums"]

    def before_train(self):
        train = self.dls.train
        self.often = max(1, min(self.every, train.steps // 20))
        hidden = None if distributed.is_main() else True
        first = self._steps_done(train.first_step)
        self.bar = tqdm(total=train.steps, initial=first, desc=self.stage.name, unit="step", disable=hidden)
        self.began, self.timed = time.monotonic(), 0

    def after_loss(self):
        parts = getattr(self.learn.loss_func, "parts", {})
        for name, value in {"loss": self.learn.loss, **parts}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())

    def after_batch(self):
        self.seen += 1
        self.timed += 1
        step = self.step_number.step + 1
        self.bar.update(self._steps_done(step) - self.bar.n)
        if step % self.often and step != self.dls.train.steps:
            return
        now = time.monotonic()
        network = self.network or self.learn.model.turn
        means = {name: total / self.seen for name, total in self.sums.items()}
        metrics = {f"{network}/{name}": value for name, value in means.items()}
        metrics |= {f"rate/{name}": hyper["lr"] for name, hyper in zip(self.rates, self.opt.hypers, strict=True)}
        metrics["generator_trains"] = float(getattr(self.learn.model, "generator_trains", network == "generator"))
        samples = self.timed * self.dls.train.spec.batch * distributed.world_size()
        metrics["samples_per_second"] = samples / (now - self.began)
        self.stage.tracker.scalars(step, metrics | memory_in_use(self.stage.run.device))
        self.bar.set_postfix(loss=f"{means['loss']:.3f}")
        self.began, self.timed, self.seen, self.sums = now, 0, 0, {}

    def _steps_done(self, step: int) -> int:
        "Before step number `step`; of the GAN phase, those of the generator."
        return round(self.dls.train.progress(step) * self.dls.train.steps)

    def after_train(self):
        step = self.dls.train.first_step + self.learn.train_iter  # also where none was left to do
        self.bar.update(self._steps_done(step) - self.bar.n)
        self.bar.close()
        self.stage.tracker.flush()

    after_cancel_train = after_train


class Pictures(Callback):
    """Grids of a few fixed photos, to the stage's tracker, every `every` steps and at the end.

    `draw` gives pictures (3, H, W) in [0, 1] by name, of the model in eval mode.
    """

    order = 75
    run_valid = False

    def __init__(self, stage: Stage, draw: Callable[[], dict[str, Tensor]], every: int = 200):
        self.stage, self.draw, self.every = stage, draw, every

    def after_batch(self):
        step = self.step_number.step + 1
        if step % self.every == 0 or step == self.dls.train.steps:
            with evaluating(self.learn.model):
                self.show(step)

    def show(self, step: int):
        for name, picture in self.draw().items():
            self.stage.tracker.image(step, name, picture)


def picture_grid(gray: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """Rows of input, prediction, target: all (N, 3, S, S), the first two of ImageNet statistics -> (3, H, W) in [0, 1].

    Of a restorer, whose predictions and targets have more channels, two rows more: its mask and the true one.
    """
    rows = [color.denormalize(gray), color.denormalize(predicted[:, :3]), target[:, :3]]
    if predicted.shape[1] > 3:
        rows += [mask.expand(-1, 3, -1, -1) for mask in (torch.sigmoid(predicted[:, 4:5]), target[:, 3:4])]
    return make_grid(torch.cat(rows).clamp(0, 1).cpu(), nrow=len(gray))


def prediction_pictures(
    predict: Callable[[Tensor, Tensor], Tensor], gray: Tensor, target: Tensor
) -> Callable[[], dict[str, Tensor]]:
    "For `Pictures`: what `predict(gray, target)` makes of fixed photos."
    return lambda: {"input_prediction_target": picture_grid(gray, predict(gray, target), target)}


def critic_pictures(
    critic: nn.Module, predicted: Tensor, target: Tensor, scales: int = 1
) -> Callable[[], dict[str, Tensor]]:
    """For `Pictures`: fixed predictions, and where the critic takes them and their targets, both in [0, 1], for photos.

    `scales`: of its logits, as in `logit_map`."""

    def draw() -> dict[str, Tensor]:
        pictures = color.normalize(predicted), color.normalize(target)
        maps = torch.cat([logit_map(critic(x), x.shape[-1], scales) for x in pictures])
        return {
            "input_prediction_target": picture_grid(grayscale_input(target), pictures[0], target),
            "logits_prediction_target": make_grid(maps.cpu(), nrow=len(predicted)),
        }

    return draw


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    "`model` in eval mode and without gradients, every part of it back in its own mode afterwards."
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        yield
    for module, was_training in modes.items():
        module.training = was_training
