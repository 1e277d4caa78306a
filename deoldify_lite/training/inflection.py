"""The inflection point: the moment in the GAN phase after which colours get no better, only more saturated.

DeOldify's author looked for it by eye: the last checkpoint before skin turns orange. Here every saved generator is
scored on the same validation photos, the curve is drawn, and the best is chosen by a fixed rule.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from .. import color
from ..errors import UsageError
from ..files import atomic_path, write_atomically
from ..metrics.features import Vgg16Features
from ..metrics.image import Lpips, colorfulness
from ..metrics.sets import frechet_distance
from ..modeling.pretrained import WeightsUnavailable
from ..modeling.weights import read_safetensors, save_weights
from . import distributed
from .batches import channels_last
from .callbacks import picture_grid
from .ema import Ema
from .losses import feature_network
from .networks import make_predictor, untrained_generator
from .run import Run
from .stage import Stage

log = logging.getLogger(__name__)

RULE = (
    "The saved generators are ranked by each metric, the lowest first, equals alike; the lowest sum of ranks wins, the "
    "earlier one of equals."
)


class Scorer:
    """Scores generators on fixed photos: `gray`, normalised, and `target` in [0, 1], both (N, 3, S, S).

    Gives the colourfulness gap, LPIPS and the Frechet distance of VGG16 features, all against the target and all the
    lower the better. What needs pretrained weights that cannot be had is left out, with a line in the log.
    `untrained` features (smoke tests) stand in for VGG16's.
    """

    def __init__(self, gray: Tensor, target: Tensor, *, untrained: bool = False, batch: int = 16):
        self.gray, self.target, self.batch = gray, target, batch
        self.lpips = None if untrained else _available(Lpips, "LPIPS", target.device)
        self.features = None
        if len(target) < 2:
            log.warning("feature distance is left out of the scores: it needs two validation photos, and there is one")
        elif untrained:
            self.features = _UntrainedFeatures().to(target.device)
        else:
            self.features = _available(Vgg16Features, "feature distance", target.device)
        self.target_features = self._features(target[:, :3])
        self.target_colorfulness = float(colorfulness(target[:, :3]).mean())

    @torch.inference_mode()
    def _features(self, rgb: Tensor) -> Tensor | None:
        if self.features is None:
            return None
        # Their distance takes float64, which Apple's GPUs do not have.
        return torch.cat([self.features(color.normalize(part)).cpu() for part in rgb.split(self.batch)])

    @torch.inference_mode()
    def __call__(self, predict: Callable[[Tensor, Tensor], Tensor]) -> dict[str, float]:
        "Metrics of `predict(gray, target) -> normalised RGB`."
        parts = zip(self.gray.split(self.batch), self.target.split(self.batch))
        output = torch.cat([predict(g, t) for g, t in parts])
        predicted, target = color.denormalize(output[:, :3]).clamp(0, 1), self.target[:, :3]
        scores = self._own(predicted, output)
        if self.lpips is not None:
            pairs = zip(predicted.split(self.batch), target.split(self.batch))
            scores["lpips"] = float(torch.cat([self.lpips(a, b) for a, b in pairs]).mean())
        if self.features is not None:
            scores["feature_distance"] = frechet_distance(self._features(predicted), self.target_features)
        return scores

    def _own(self, predicted: Tensor, output: Tensor) -> dict[str, float]:
        "The scores that only colorizers have; `output` is what the predictor gave, `predicted` its RGB in [0, 1]."
        mean = float(colorfulness(predicted).mean())
        return {"colorfulness": mean, "colorfulness_gap": abs(self.target_colorfulness - mean)}


class RestorationScorer(Scorer):
    "Scores restorers, with the error of the mask (one minus F1) and of luma under it in place of colourfulness."

    def _own(self, predicted: Tensor, output: Tensor) -> dict[str, float]:
        found, mask = output[:, 4:5] > 0, self.target[:, 3:4] > 0
        f1 = 2 * (found & mask).sum() / (found.sum() + mask.sum()).clamp(min=1)
        difference = (predicted - self.target[:, :3]).abs().mean(1, keepdim=True)
        return {"mask_error": 1 - float(f1), "luma_error": float(difference[mask].mean())}


class _UntrainedFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = feature_network("untrained")

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).mean((2, 3))


def _available(kind: type[nn.Module], name: str, device: torch.device) -> nn.Module | None:
    try:
        return kind().to(device)
    except WeightsUnavailable as error:
        log.warning("%s is left out of the scores: %s", name, error)
        return None


class SaveAndScore(Callback):
    """Saves the averaged generator every `gan.save_every` generator steps, and before the first, and scores it.

    The scores are a line each of `scores.jsonl` in the stage's folder.
    """

    order = 53  # after the turn was counted
    run_valid = False

    def __init__(self, run: Run, ema: Ema):
        self.run, self.ema = run, ema
        spec, networks = run.schedule.gan, run.schedule.networks
        gray, target = run.fixed_batch(spec.size, spec.score_photos)
        self.every = spec.save_every
        kind = RestorationScorer if run.schedule.restores else Scorer
        self.scorer = kind(channels_last(gray), target, untrained=run.schedule.loss.network == "untrained")
        self.network = untrained_generator(networks).to(run.device, memory_format=torch.channels_last).eval()

    @torch.no_grad()
    def predict(self, gray: Tensor, target: Tensor) -> Tensor:
        "What the averaged generator of this moment makes of photos."
        self.network.load_state_dict(self.ema.state)
        return make_predictor(self.network, self.run.precision).predict(gray, target)

    def before_train(self):
        self.scored = self.learn.model.turns.generator_steps
        if self.scored == 0:
            self.save_and_score(0)

    def after_batch(self):
        step = self.learn.model.turns.generator_steps
        if step != self.scored and (step % self.every == 0 or step == self.dls.train.steps):
            self.save_and_score(step)
            self.scored = step

    def save_and_score(self, step: int):
        stage: Stage = self.learn.stage
        scores = self.scorer(self.predict)
        if not distributed.is_main():
            return
        for later in saved_steps(stage):  # of an earlier attempt, which no checkpoint goes on
            if later > step:
                saved_at(stage, later).unlink()
        save_weights(None, saved_at(stage, step), config=self.network.config, state=self.ema.state)
        # A step that was scored before the run was killed is scored again, to the same numbers.
        path = stage.folder / "scores.jsonl"
        rows = [row for row in read_rows(path) if row["step"] < step] + [{"step": step, **scores}]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        # The log counts the steps of both networks; this curve, the generator's.
        stage.tracker.scalars(step, {f"inflection/{name}": value for name, value in scores.items()}, log=False)
        gray, target = self.scorer.gray[:8], self.scorer.target[:8]
        grid = picture_grid(gray, self.predict(gray, target), target)
        stage.tracker.image(self.learn.model.turns.all_steps, "input_prediction_target", grid)
        log.info("%s: generator step %d: %s", stage.name, step, {k: round(v, 4) for k, v in scores.items()})


def saved_at(stage: Stage, step: int) -> Path:
    "Where the generator of a step of a GAN phase is saved."
    return stage.folder / f"step-{step:06}.safetensors"


def saved_steps(stage: Stage) -> list[int]:
    "The steps of a GAN phase whose generators are saved."
    return sorted(int(path.stem.removeprefix("step-")) for path in stage.folder.glob("step-*.safetensors"))


def choose_inflection(stage: Stage) -> int:
    "The step of the best saved generator by `RULE`, which becomes the stage's weights. Draws the curve."
    distributed.barrier()  # the main process has written the last score
    rows = read_rows(stage.folder / "scores.jsonl")
    best = rows[choose(rows)]["step"]
    if distributed.is_main():
        figure = draw_curve(rows, best, stage.folder / "inflection.png")
        stage.tracker.figure(rows[-1]["step"], "inflection", figure)
        content = {"rule": RULE, "chosen": best, "rows": rows}
        write_atomically(stage.folder / "inflection.json", json.dumps(content, indent=1))
        use_step(stage, best)
    distributed.barrier()
    return best


def use_step(stage: Stage, step: int) -> Path:
    """Make the generator that was saved at `step` the result of a GAN phase, say because your eye likes it better.

    Raises:
        UsageError: nothing was saved at that step; the message lists the steps.
    """
    path = saved_at(stage, step)
    if not path.exists():
        steps = ", ".join(map(str, saved_steps(stage)))
        raise UsageError(f"no generator was saved at step {step} of {stage.name}; there are {steps or 'none'}")
    config, state = read_safetensors(path)
    save_weights(None, stage.weights, config=config, state=state)
    return stage.weights


def choose(rows: list[dict[str, float]]) -> int:
    """The number of the best row by `RULE`; each has the metrics of one saved generator.

    Ranks, because metrics move by different amounts: colourfulness can double while LPIPS changes by a few percent.
    """
    names = ("colorfulness_gap", "mask_error", "luma_error", "lpips", "feature_distance")
    metrics = [k for k in names if all(k in row for row in rows)]

    def ranks(row: dict[str, float]) -> int:
        return sum(other[k] < row[k] for k in metrics for other in rows)

    return min(range(len(rows)), key=lambda i: (ranks(rows[i]), i))


def read_rows(path: Path) -> list[dict[str, float]]:
    "The rows of a scores file."
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def draw_curve(rows: list[dict[str, float]], chosen: int, path: Path):
    "The metrics over the generator steps as a PNG, the chosen step marked. Returns the matplotlib figure."
    from matplotlib.figure import Figure

    names = [k for k in rows[0] if k != "step" and all(k in row for row in rows)]
    figure = Figure(figsize=(3.2 * len(names), 3), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        axis.plot([r["step"] for r in rows], [r[name] for r in rows], marker=".")
        axis.axvline(chosen, color="tab:red", linestyle=":")
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("generator steps")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return figure
