"Training to look at, in a notebook: rows of pictures, curves of what a stage recorded."

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .run import log_rows


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


def read_log(run_folder: Path, stage: str) -> list[dict[str, float]]:
    "What a stage recorded, a row for each step; of steps done again after a kill what came last."
    rows: dict[int, dict[str, float]] = {}
    for row in log_rows(run_folder / "log.jsonl"):
        if row["stage"] == stage:
            rows[row["step"]] = rows.get(row["step"], {}) | row
    return [rows[step] for step in sorted(rows)]


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


def verdict_map(logits: Tensor, size: int) -> Tensor:
    """What the critic makes of each place of square pictures: logits (N, P) -> (N, 3, size, size) in [0, 1].

    White where it is sure to see a photo, black where it is sure that this was generated.
    """
    side = round(logits.shape[1] ** 0.5)
    chances = torch.sigmoid(logits.float()).view(-1, 1, side, side)
    return F.interpolate(chances, size, mode="nearest").expand(-1, 3, -1, -1)
