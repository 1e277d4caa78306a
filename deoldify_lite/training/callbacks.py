"""fastai callbacks: exact steps and resume, records, pictures, a stop on NaN."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn
from torchvision.utils import make_grid
from tqdm.auto import tqdm

from .. import color
from ..device import memory_in_use
from ..modeling.layers import freeze_statistics
from .checkpoint import fastai_state, load_fastai_state
from .ema import Ema
from .errors import TrainingDiverged
from .grey import clean_grey
from .run import Stage, picture_grid
from .show import verdict_map

# Names of the rates of each network's parameter groups.
RATES = {"generator": ("encoder_start", "encoder_end", "decoder"), "critic": ("critic",), "encoder": ("encoder",)}


class ForTraining(Callback):
    "A callback for a stage's own training, out of the way while fastai's `lr_find` tries rates on it."

    run_valid = False

    def before_fit(self):
        self.run = not hasattr(self.learn, "lr_finder")  # fastai turns it on again


class ExactSteps(ForTraining):
    """Makes each step a function of its number: seeds and schedule position are set from it, and a checkpoint of all
    the rest is written now and then. A run killed and begun again ends with the very same weights."""

    order = 50  # before fastai's ParamScheduler (60), which reads pct_train

    def __init__(self, stage: Stage):
        self.stage = stage

    def before_train(self):
        self.first = self.dls.train.first_step
        self.saved = time.monotonic()

    @property
    def step(self) -> int:
        "Steps done before this one."
        return self.first + self.iter

    def before_batch(self):
        self.stage.seed_globally(self.step)
        self.learn.pct_train = self.step / self.dls.train.steps

    def after_batch(self):
        if time.monotonic() - self.saved >= self.stage.run.checkpoint_seconds:
            self.save()
            self.saved = time.monotonic()

    def save(self):
        state = {"model": self.learn.model.state_dict(), "optimizer": fastai_state(self.learn.opt)}
        if hasattr(self.learn, "average_weights"):
            state["ema"] = self.learn.average_weights.ema.state
        self.stage.save(step=self.step + 1, **state)


def resume(stage: Stage, learn) -> int:
    "Load the stage's checkpoint, if there is one, into a Learner whose optimiser exists; the step to go on with."
    checkpoint = stage.resume()
    if not checkpoint:
        return 0
    learn.model.load_state_dict(checkpoint["model"])
    load_fastai_state(learn.opt, checkpoint["optimizer"], stage.run.device)
    if "ema" in checkpoint:
        learn.average_weights.ema.load(checkpoint["ema"])
    return checkpoint["step"]


class AverageWeights(ForTraining):
    "Keeps the average of the generator's weights over the steps, in `ema`."

    order = 45  # before ExactSteps, which saves it

    def __init__(self, generator: nn.Module, decay: float):
        self.generator, self.ema = generator, Ema(generator, decay)

    def after_batch(self):
        self.ema.update(self.generator)


class FrozenStatistics(ForTraining):
    "BatchNorm goes by the means and variances that it had before."

    def before_batch(self):
        freeze_statistics(self.learn.model)


class StopOnNan(ForTraining):
    "Stops before a loss that is not finite reaches the weights."

    order = -5

    def after_loss(self):
        loss = float(self.learn.loss.detach())
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss became {loss} at iteration {self.iter}; the last checkpoint is untouched; "
                "lower the learning rate (--set) or use --precision float32"
            )


class Records(ForTraining):
    """Losses, rates, speed and memory every few steps, to TensorBoard and log.jsonl; progress on a terminal.

    That is every `every` steps, or in a short stage often enough for a curve. `trains` is the network whose stage it
    is, encoder, generator or critic; its figures have the names that they have in the GAN phase.
    """

    order = 70

    def __init__(self, stage: Stage, trains: str, every: int = 20):
        self.stage, self.trains, self.every = stage, trains, every

    def before_train(self):
        train = self.dls.train
        self.often = max(1, min(self.every, train.steps // 20))
        self.bar = tqdm(total=train.steps, initial=train.first_step, desc=self.stage.name, unit="step", disable=None)
        self.began, self.seen = time.monotonic(), 0
        self.sums: dict[str, float] = {}

    def after_loss(self):
        parts = getattr(self.learn.loss_func, "parts", {})
        for name, value in {"loss": self.learn.loss, **parts}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())

    def after_batch(self):
        self.seen += 1
        self.bar.update()
        step = self.exact_steps.step + 1
        if step % self.often and step != self.dls.train.steps:
            return
        now = time.monotonic()
        means = {name: total / self.seen for name, total in self.sums.items()}
        groups = RATES[self.trains]
        figures = {f"{self.trains}/{name}": value for name, value in means.items()}
        figures |= {f"rate/{name}": hyper["lr"] for name, hyper in zip(groups, self.learn.opt.hypers, strict=True)}
        figures["generator_trains"] = float(self.trains == "generator")
        figures["samples_per_second"] = self.seen * self.dls.train.spec.batch / (now - self.began)
        self.stage.record(step, figures | memory_in_use(self.stage.run.device))
        self.bar.set_postfix(loss=f"{means['loss']:.3f}")
        self.began, self.seen, self.sums = now, 0, {}

    def after_train(self):
        self.bar.close()
        self.stage.board.flush()


class Pictures(ForTraining):
    "Grey, ours and truth of a few fixed photos, to TensorBoard, every `every` steps and at the end."

    order = 75

    def __init__(self, stage: Stage, size: int, paint, every: int = 200):
        self.stage, self.paint, self.every = stage, paint, every
        self.grey, self.truth = stage.run.fixed_batch(size, 8)

    def after_batch(self):
        step = self.exact_steps.step + 1
        if step % self.every == 0 or step == self.dls.train.steps:
            with evaluating(self.learn.model):
                self.show(step)

    def show(self, step: int):
        grid = picture_grid(self.grey, self.paint(self.grey, self.truth), self.truth)
        self.stage.board.add_image("grey_ours_truth", grid.numpy(), step)


class Verdicts(Pictures):
    """Of a critic: what a few photos were painted like, and at which places the critic takes each for a photo.

    `painted` and `truth` are (N, 3, S, S) in [0, 1].
    """

    def __init__(self, stage: Stage, painted: Tensor, truth: Tensor, critic: nn.Module, every: int = 200):
        self.stage, self.critic, self.every = stage, critic, every
        self.painted, self.truth = painted, truth

    def show(self, step: int):
        painted = color.normalize(self.painted)
        maps = [verdict_map(self.critic(x), x.shape[-1]) for x in (painted, color.normalize(self.truth))]
        grid = picture_grid(clean_grey(self.truth), painted, self.truth)
        self.stage.board.add_image("grey_ours_truth", grid.numpy(), step)
        self.stage.board.add_image("verdicts_ours_truth", make_grid(torch.cat(maps).cpu(), len(painted)).numpy(), step)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    "`model` in eval mode and without gradients."
    was_training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(was_training)
