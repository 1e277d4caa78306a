"""The stage `hints`: a branch beside a finished generator learns to put hints into its predictions.

The generator stays as it is, in eval mode: without hints it predicts what it always did. The branch
(`modeling/hint_branch.py`) trains on hints that are made of the photos' own colours (`simulated_hints.py`).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn
from torchvision.utils import make_grid

from .. import color
from ..device import autocast
from ..errors import UsageError
from ..files import sha256
from ..metrics.image import psnr
from ..modeling.fold import fold
from ..modeling.generator import Lite
from ..modeling.hint_branch import HintBranch, hinted_chroma, see
from ..modeling.weights import load_generator, load_strictly, read_safetensors, save_hint_branch
from ..schedule import HintStage
from ..sources import spread
from .batches import GeneratorBatches, ValidationBatches, channels_last
from .callbacks import AverageWeights, Pictures, Records, evaluating
from .errors import StageMissing
from .learner import StageLearner, fit_stage, make_learner
from .losses import feature_loss
from .run import Run
from .show import show_rows
from .simulated_hints import reveal_patches, simulate_hints
from .stage import Stage

SCORED = (0, 1, 10)  # hints
SCORED_SIDE = 1 / 32  # of such a hint, as a fraction of the picture's
SHOWN_LUMA = 0.6  # under hints in pictures: their colours can be seen there


class HintedPredictor(nn.Module):
    """A generator and its branch: (grayscale input, luma of the target, hints) -> normalised RGB (N, 3, H, W).

    Hints are planes (N, 3, H, W) as in `simulated_hints`. Only the branch trains.
    """

    def __init__(self, generator: Lite, branch: HintBranch, precision: torch.dtype = torch.float32):
        super().__init__()
        self.generator, self.branch, self.precision = generator.requires_grad_(False).eval(), branch, precision

    def train(self, mode: bool = True) -> "HintedPredictor":
        super().train(mode)
        self.generator.eval()
        return self

    def forward(self, gray: Tensor, luma: Tensor, hints: Tensor) -> Tensor:
        with autocast(gray.device, self.precision):
            with torch.no_grad():
                seen = see(self.generator, gray)
            chroma = hinted_chroma(self.generator, self.branch, seen, hints)
        return color.normalize(color.merge(luma, chroma.float()))


class HintBatches(GeneratorBatches):
    "Of a hint stage: (grayscale input, luma of the target, simulated hints) and the normalised target."

    n_inp = 3

    def batch(self, step: int) -> tuple[Tensor, ...]:
        gray, luma, target = super().batch(step)
        chroma = color.chroma(color.denormalize(target))
        return gray, luma, simulate_hints(chroma, self.stage.seed("hints", step)), target

    def show_batch(self, b: tuple[Tensor, ...] | None = None, max_n: int = 8, **_) -> None:
        gray, _luma, hints, target = (x[:max_n] for x in b or self.one_batch())
        show_rows({"hints": drawn_hints(gray, hints), "target": color.denormalize(target)})

    def show_results(self, b: tuple[Tensor, ...], out: Tensor, max_n: int = 8, **_) -> None:
        gray, _luma, hints, target = (x[:max_n] for x in b)
        prediction = {"prediction": color.denormalize(out[:max_n])}
        show_rows({"hints": drawn_hints(gray, hints)} | prediction | {"target": color.denormalize(target)})


class HintValidation(ValidationBatches):
    "Clean inputs of the validation photos with as many hints as scores are for at most, the same each time."

    n_inp = 3
    show_batch, show_results = HintBatches.show_batch, HintBatches.show_results

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for number, (gray, luma, target) in enumerate(super().__iter__()):
            yield gray, luma, fixed_hints(color.denormalize(target), SCORED[-1], number), target


def fixed_hints(target: Tensor, count: int, number: int = 0) -> Tensor:
    "`count` hints for each picture of a target in [0, 1]; `number` gives other ones."
    side = max(1, round(target.shape[-1] * SCORED_SIDE))
    return reveal_patches(color.chroma(target), count, side, torch.Generator().manual_seed(number))


def drawn_hints(gray: Tensor, hints: Tensor) -> Tensor:
    "Normalised grayscale pictures with hints drawn in, RGB (N, 3, H, W) in [0, 1]."
    luma = torch.where(hints[:, 2:] > 0, SHOWN_LUMA, color.luma(color.denormalize(gray)))
    return color.merge(luma, hints[:, :2]).clamp(0, 1)


class HintScores(Callback):
    "PSNR of fixed validation photos with 0, 1 and 10 hints, to the stage's tracker, every now and then and at the end."

    order = 74
    run_valid = False

    def __init__(self, stage: Stage, spec: HintStage):
        self.stage, self.spec, self.scores = stage, spec, {}

    def after_batch(self):
        step = self.step_number.step + 1
        if step % self.spec.score_every == 0 or step == self.dls.train.steps:
            self.scores = score(self.stage.run, self.learn.model, self.spec)
            self.stage.tracker.scalars(step, self.scores)


def score(run: Run, model: HintedPredictor, spec: HintStage) -> dict[str, float]:
    "Mean PSNR in dB of validation photos with so many hints."
    members = run.split(run.pack(spec.size)).valid
    members = members[spread(spec.score_photos, len(members))]
    found = {count: [] for count in SCORED}
    with evaluating(model):
        for number, index in enumerate(members.split(spec.batch)):
            gray, target = run.clean_pairs(index, spec.size)
            for count, values in found.items():
                hints = fixed_hints(target, count, number)
                predicted = model(channels_last(gray), color.luma(target), hints)
                values.append(psnr(color.denormalize(predicted).clamp(0, 1), target))
    return {f"psnr/{count}_hints": float(torch.cat(values).mean()) for count, values in found.items()}


def generator_for_hints(run: Run) -> Path:
    """The weights that the run's branch is for: the run's own result, or, where it trains no generator, those that it
    starts from.

    Raises:
        StageMissing: the generator is yet to be trained.
        UsageError: the schedule neither trains a generator nor names one.
    """
    if not run.schedule.generator_stages:
        if run.init_from is None:
            raise UsageError("hints are for a finished generator: name its weights with --init-from")
        return run.init_from
    path = run.folder / "generator.safetensors"
    if not path.is_file():
        raise StageMissing(f"there is no generator in {run.folder} yet: run --stage generator first")
    return path


def hint_learner(run: Run, i: int, weights: Path | None = None) -> StageLearner:
    """The Learner of hint stage number `i`, from the branch in `weights`: what `train_hints` fits.

    Raises:
        StageMissing: the generator is yet to be trained.
        UsageError: the generator is none that predicts chroma.
    """
    path = generator_for_hints(run)
    stage, schedule, spec = run.hint_stage(i, path), run.schedule, run.schedule.hint_stages[i]
    stage.seed_globally(-1)
    generator = load_generator(path)
    if not isinstance(generator, Lite) or generator.predicts != "chroma":
        raise UsageError(f"hints are for generators of the architecture lite, not {generator.config['architecture']}")
    branch = HintBranch.of(generator)
    if weights is not None:
        load_strictly(branch, read_safetensors(weights)[1], weights)
    model = HintedPredictor(fold(generator), branch, run.precision)
    return make_learner(
        stage,
        HintBatches(stage, spec, schedule),
        HintValidation(run, spec.size, spec.batch),
        model.to(run.device, memory_format=torch.channels_last),
        feature_loss(run, spec.size, spec.features, spec.window, spec.chroma_weight),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm,
        lr=spec.lr,
    )


def train_hints(run: Run) -> Path:
    "All hint stages, each from the last one's branch. Returns the last one's weights."
    weights, generator = None, generator_for_hints(run)
    for i in range(len(run.schedule.hint_stages)):
        if not run.hint_stage(i, generator).is_done:
            _fit(run, i, weights, sha256(generator))
        weights = run.hint_stage(i, generator).weights
    return weights


def _fit(run: Run, i: int, weights: Path | None, generator_sha256: str) -> None:
    learn, spec = hint_learner(run, i, weights), run.schedule.hint_stages[i]
    stage, train, branch = learn.stage, learn.dls.train, learn.model.branch
    scores, averaged = HintScores(stage, spec), AverageWeights(branch, spec.ema) if spec.ema else None
    cbs = [Records(stage, "hints", ("hints",)), scores, Pictures(stage, _pictures(learn.model, run, spec))]
    fit_stage(learn, [*cbs, *([averaged] if averaged else [])], spec.lr, spec.pct_start)
    if averaged:
        branch.load_state_dict(averaged.ema.state)
    save_hint_branch(branch, stage.weights, generator_sha256)
    # Of the weights that are kept.
    metrics = score(run, learn.model, spec)
    stage.tracker.scalars(train.steps, metrics)
    train_loss, valid_loss = learn.recorder.values[-1]
    losses = {"train_loss": train_loss, "valid_loss": valid_loss}
    stage.finish(**train.summary, **losses, **metrics, **stage.throughput(train.samples))


def _pictures(model: HintedPredictor, run: Run, spec: HintStage):
    "For `Pictures`: hints, prediction without and with them, target, of fixed photos."
    gray, target = run.fixed_batch(spec.size, 8)
    luma, hints = color.luma(target), fixed_hints(target, SCORED[-1])

    def draw() -> dict[str, Tensor]:
        predictions = [color.denormalize(model(gray, luma, h)).clamp(0, 1) for h in (torch.zeros_like(hints), hints)]
        rows = torch.cat([drawn_hints(gray, hints), *predictions, target])
        return {"hints_without_with_target": make_grid(rows.cpu(), nrow=len(gray))}

    return draw
