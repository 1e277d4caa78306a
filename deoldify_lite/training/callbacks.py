"""fastai callbacks: exact steps and resume, records, pictures, a stop on NaN."""

import math
import time

import torch
from fastai.callback.core import Callback
from tqdm.auto import tqdm

from .checkpoint import fastai_state, load_checkpoint, load_fastai_state, save_checkpoint
from .errors import TrainingDiverged
from .run import Stage, picture_grid


class ExactSteps(Callback):
    """Makes each step a function of its number: seeds and schedule position are set from it, and a checkpoint of all
    the rest is written now and then. A run killed and begun again ends with the very same weights."""

    order = 50  # before fastai's ParamScheduler (60), which reads pct_train
    run_valid = False

    def __init__(self, stage: Stage):
        self.stage = stage

    def before_fit(self):
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
        save_checkpoint(
            self.stage.checkpoint,
            {
                "recipe": self.stage.recipe,
                "step": self.step + 1,
                "model": self.learn.model.state_dict(),
                "optimizer": fastai_state(self.learn.opt),
            },
        )


def resume(stage: Stage, learn) -> int:
    "Load the stage's checkpoint, if there is one, into a Learner whose optimiser exists; the step to go on with."
    checkpoint = load_checkpoint(stage.checkpoint)
    if checkpoint is None:
        return 0
    stage.check(checkpoint["recipe"])
    learn.model.load_state_dict(checkpoint["model"])
    load_fastai_state(learn.opt, checkpoint["optimizer"], stage.run.device)
    return checkpoint["step"]


class StopOnNan(Callback):
    "Stops before a loss that is not finite reaches the weights."

    order = -5
    run_valid = False

    def after_loss(self):
        loss = float(self.learn.loss.detach())
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss became {loss} at iteration {self.iter}; the last checkpoint is untouched; "
                "lower the learning rate (--set) or use --precision float32"
            )


class Records(Callback):
    "Losses, rates and speed every few steps, to TensorBoard and log.jsonl; progress on a terminal."

    order = 70
    run_valid = False

    def __init__(self, stage: Stage, batch: int, every: int = 20):
        self.stage, self.batch, self.every = stage, batch, every

    def before_fit(self):
        train = self.dls.train
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
        if step % self.every and step != self.dls.train.steps:
            return
        now = time.monotonic()
        rates = {f"rate/{i}": hyper["lr"] for i, hyper in enumerate(self.learn.opt.hypers)}
        speed = self.seen * self.batch / (now - self.began)
        means = {
            f"loss/{name}" if name != "loss" else "loss/all": total / self.seen for name, total in self.sums.items()
        }
        self.stage.record(step, means | rates | {"samples_per_second": speed})
        self.bar.set_postfix(loss=f"{means['loss/all']:.3f}")
        self.began, self.seen, self.sums = now, 0, {}

    def after_fit(self):
        self.bar.close()
        self.stage.board.flush()


class Pictures(Callback):
    "Grey, ours and truth of a few fixed photos, to TensorBoard."

    order = 75
    run_valid = False

    def __init__(self, stage: Stage, size: int, paint, every: int = 200):
        self.stage, self.paint, self.every = stage, paint, every
        self.grey, self.truth = stage.run.fixed_batch(size, 8)

    def after_batch(self):
        step = self.exact_steps.step + 1
        if step % self.every and step != self.dls.train.steps:
            return
        was_training = self.learn.model.training
        self.learn.model.eval()
        with torch.no_grad():
            painted = self.paint(self.grey, self.truth)
        self.learn.model.train(was_training)
        self.stage.board.add_image("grey_ours_truth", picture_grid(self.grey, painted, self.truth).numpy(), step)
