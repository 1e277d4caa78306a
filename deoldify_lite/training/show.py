"Training to look at, in a notebook or a run folder: rows of pictures, curves of what stages recorded."

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..files import atomic_path
from .log import read_log, read_logs

CURVES = {
    "encoder's loss": ("encoder/loss",),
    "pixel loss": ("generator/pixel",),
    "total variation": ("generator/total_variation",),
    "feature loss": tuple(f"generator/feature_{i}" for i in range(1, 6)),
    "critic accuracy": ("critic/accuracy_real", "critic/accuracy_fake"),
    "loss with hints": ("hints/loss",),
    "PSNR with hints": ("psnr/0_hints", "psnr/1_hints", "psnr/10_hints"),
    "GAN losses": ("critic/loss", "generator/adversarial"),
}


def show_rows(rows: Mapping[str, Tensor], captions: Mapping[str, Sequence[str]] | None = None) -> None:
    """Draw named rows of pictures, each row (N, 3, H, W) in [0, 1], with matplotlib.

    `captions` may have a text for each picture of a row, which is written below it.
    """
    import matplotlib.pyplot as plt

    count, _, height, width = next(iter(rows.values())).shape
    size = (1.3 * count + 0.3, (1.3 * height / width + (0.2 if captions else 0)) * len(rows))
    _, axes = plt.subplots(len(rows), 1, figsize=size, squeeze=False, layout="constrained")
    for axis, (name, pictures) in zip(axes[:, 0], rows.items()):
        axis.imshow(F.pad(pictures.clamp(0, 1), (0, 2), value=1.0).permute(2, 0, 3, 1).flatten(1, 2).cpu())
        axis.set_ylabel(name)
        texts = (captions or {}).get(name, ())
        axis.set_xticks([(width + 2) * i + width / 2 for i in range(len(texts))], texts)
        axis.set_yticks([])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)


def plot_log(run_folder: Path, stage: str, *names: str) -> None:
    "Draw what a stage recorded under `names` over its steps, a small plot for each."
    import matplotlib.pyplot as plt

    rows = read_log(run_folder, stage)
    _, axes = plt.subplots(1, len(names), figsize=(3 * len(names), 2.2), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names):
        points = [(row["step"], row[name]) for row in rows if name in row]
        axis.plot(*zip(*points), marker="." if len(points) < 30 else "")
        axis.set_title(name.replace("_", " "), fontsize="medium")
        axis.set_xlabel("step")


def draw_curves(run_folder: Path, path: Path) -> None:
    """Draw losses and accuracies of all of a run's stages, one beside the other and equally wide, into a PNG.

    A plot for each of `CURVES` that anything was recorded of; where nothing was, no file.
    """
    from matplotlib.figure import Figure

    logs = read_logs(run_folder)
    recorded = set().union(*(row for rows in logs.values() for row in rows))
    curves = {title: names for title, names in CURVES.items() if recorded & set(names)}
    if not curves:
        return
    drawn = {name for names in curves.values() for name in names}
    logs = {stage: rows for stage, rows in logs.items() if drawn & set().union(*rows)}
    figure = Figure(figsize=(max(6, 1.5 * len(logs)), 2.2 * len(curves)), layout="constrained")
    axes = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (title, names) in zip(axes, curves.items()):
        for colour, name in enumerate(names):
            axis.plot(*_side_by_side(logs.values(), name), color=f"C{colour}", linewidth=1, label=name)
        axis.vlines(range(1, len(logs)), 0, 1, transform=axis.get_xaxis_transform(), color="lightgrey")
        axis.set_title(title, fontsize="medium")
        axis.margins(x=0.01)
        axis.legend(fontsize="small")
    steps = [f"{stage.replace('/', chr(10))}\n{rows[-1]['step']} steps" for stage, rows in logs.items()]
    axes[-1].set_xticks([i + 0.5 for i in range(len(logs))], steps, fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _side_by_side(logs: Iterable[list[dict[str, float]]], name: str) -> tuple[list[float], list[float]]:
    "What was recorded under `name`: the i-th stage's steps between i and i + 1, with a gap after each stage."
    x, y = [], []
    for i, rows in enumerate(logs):
        points = [(i + row["step"] / rows[-1]["step"], row[name]) for row in rows if name in row]
        x += [*(place for place, _ in points), i + 1]
        y += [*(value for _, value in points), math.nan]
    return x, y


def logit_map(logits: Tensor, size: int, scales: int = 1) -> Tensor:
    """A critic's logits (N, P) of square pictures as a map of them, (N, 3, size, size) in [0, 1].

    White where it is sure to see a photo, black where it is sure that this was generated. A projected critic has a
    square of logits for each of its `scales`, of which this is the mean.
    """
    side = math.isqrt(logits.shape[1] // scales)
    chances = torch.sigmoid(logits.float()).view(-1, scales, side, side).mean(1, keepdim=True)
    return F.interpolate(chances, size, mode="nearest").expand(-1, 3, -1, -1)
