"""The inflection point: the moment in the GAN phase after which colours get no better, only louder.

DeOldify's author looked for it by eye: the last checkpoint before skin turns orange. Here every saved generator is
scored on the same validation photos, the curve is drawn, and the best is chosen by a rule that anybody can check.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import color
from ..files import atomic_path
from ..metrics.features import Vgg16Features
from ..metrics.image import Lpips, colorfulness
from ..metrics.sets import frechet_distance
from ..modeling.pretrained import WeightsUnavailable
from .losses import feature_network

log = logging.getLogger(__name__)

RULE = (
    "The saved generators are ranked by each figure, the lowest first, equals alike; the lowest sum of ranks wins, the "
    "earlier one of equals."
)


class Scorer:
    """Scores generators on fixed photos: `grey`, normalised, and `truth` in [0, 1], both (N, 3, S, S).

    Gives the colourfulness gap, LPIPS and the Frechet distance of VGG16 features, all against the truth and all the
    lower the better. What needs pretrained weights that cannot be had is left out, with a line in the log.
    `untrained` features (smoke tests) stand in for VGG16's.
    """

    def __init__(self, grey: Tensor, truth: Tensor, *, untrained: bool = False, batch: int = 16):
        self.grey, self.truth, self.batch = grey, truth, batch
        self.lpips = None if untrained else _available(Lpips, "LPIPS", truth.device)
        self.features = (
            _UntrainedFeatures() if untrained else _available(Vgg16Features, "feature distance", truth.device)
        )
        self.truth_features = self._features(truth)
        self.truth_colour = float(colorfulness(truth).mean())

    @torch.inference_mode()
    def _features(self, rgb: Tensor) -> Tensor | None:
        if self.features is None:
            return None
        return torch.cat([self.features(color.normalize(part)) for part in rgb.split(self.batch)])

    @torch.inference_mode()
    def __call__(self, paint: Callable[[Tensor, Tensor], Tensor]) -> dict[str, float]:
        "Figures of `paint(grey, truth) -> normalised RGB`."
        parts = zip(self.grey.split(self.batch), self.truth.split(self.batch))
        painted = torch.cat([color.denormalize(paint(g, t)).clamp(0, 1) for g, t in parts])
        colour = float(colorfulness(painted).mean())
        scores = {"colourfulness": colour, "colourfulness_gap": abs(self.truth_colour - colour)}
        if self.lpips is not None:
            pairs = zip(painted.split(self.batch), self.truth.split(self.batch))
            scores["lpips"] = float(torch.cat([self.lpips(a, b) for a, b in pairs]).mean())
        if self.features is not None:
            scores["feature_distance"] = frechet_distance(self._features(painted), self.truth_features)
        return scores


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


def choose(rows: list[dict[str, float]]) -> int:
    """The number of the best row by `RULE`; each has the figures of one saved generator.

    Ranks, because the figures move by different amounts: colourfulness can double while LPIPS changes by a few percent.
    """
    figures = [k for k in ("colourfulness_gap", "lpips", "feature_distance") if k in rows[0]]

    def ranks(row: dict[str, float]) -> int:
        return sum(other[k] < row[k] for k in figures for other in rows)

    return min(range(len(rows)), key=lambda i: (ranks(rows[i]), i))


def read_rows(path: Path) -> list[dict[str, float]]:
    "The rows of a scores file."
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def draw_curve(rows: list[dict[str, float]], chosen: int, path: Path):
    "The figures over the generator steps as a PNG, the chosen step marked. Returns the matplotlib figure."
    from matplotlib.figure import Figure

    names = [k for k in rows[0] if k != "step"]
    figure = Figure(figsize=(3.2 * len(names), 3), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        axis.plot([r["step"] for r in rows], [r[name] for r in rows], marker=".")
        axis.axvline(chosen, color="tab:red", linestyle=":")
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("generator steps")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return figure
