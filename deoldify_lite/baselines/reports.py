"What the documents report of a training: a table of losses as 003 has it, curves as 000 has them, sample pictures."

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fastai.callback.core import Callback
from torch import Tensor
from torchvision.utils import save_image

from ..files import atomic_path, write_atomically
from ..training import distributed
from ..training.callbacks import evaluating
from ..training.log import read_log

if TYPE_CHECKING:
    from .run import BaselineRun

PREFIX = "pix2pix/"  # of the losses in the log


class EpochReports(Callback):
    """Writes `losses.md` every few epochs, and with it `losses.png` and a picture of `draw` after those epochs that the
    config names and after the last."""

    order = 54  # after Records, before Checkpoint
    run_valid = False

    def __init__(self, run: "BaselineRun", steps: int, draw: Callable[[], dict[str, Tensor]]):
        self.baseline, self.steps, self.draw = run, steps, draw
        epochs, every = run.config.epochs, run.config.table_every
        self.pictures = {max(1, round(e * steps / epochs)): e for e in (*run.config.picture_epochs, epochs)}
        self.tables = {round(e * steps / epochs) for e in range(every, epochs, every)} | self.pictures.keys()

    def after_batch(self):
        step = self.step_number.step + 1
        if step not in self.tables or not distributed.is_main():
            return
        write_losses(self.baseline, self.steps, curves=step in self.pictures)
        if step in self.pictures:
            with evaluating(self.learn.model):
                (grid,) = self.draw().values()
            with atomic_path(self.baseline.folder / "samples" / f"epoch-{self.pictures[step]:04}.png") as temporary:
                save_image(grid, temporary, format="png")


def write_losses(run: "BaselineRun", steps: int, curves: bool = True) -> None:
    "What the log says of the losses: `losses.md`, a table every few epochs, and with `curves` also `losses.png`."
    rows, config = read_log(run.folder, run.stage.name), run.config
    names = [name for name in rows[-1] if name.startswith(f"{PREFIX}loss_")]
    table = [["epoch", "samples_seen", *(name.removeprefix(PREFIX) for name in names)]]
    for epoch in sorted({*range(config.table_every, config.epochs + 1, config.table_every), config.epochs}):
        after, until = ((e * steps / config.epochs) for e in (epoch - 1, epoch))
        inside = [row for row in rows if after < row["step"] <= max(until, 1)]
        if inside:
            means = (sum(row[name] for row in inside) / len(inside) for name in names)
            table.append([str(epoch), str(round(until * config.batch)), *(f"{mean:.5f}" for mean in means)])
    table.insert(1, ["---:"] * len(table[0]))
    write_atomically(run.folder / "losses.md", "".join(f"| {' | '.join(cells)} |\n" for cells in table))
    if curves:
        _draw_curves(rows, run.folder / "losses.png")


def _draw_curves(rows: list[dict[str, float]], path: Path) -> None:
    "The generator's loss in blue and the critic's in red, over the steps."
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axis = figure.subplots()
    for name, label, color in (("loss_G", "generator", "tab:blue"), ("loss_D", "critic", "tab:red")):
        if PREFIX + name in rows[-1]:
            points = [(row["step"], row[PREFIX + name]) for row in rows]
            axis.plot(*zip(*points), color=color, label=label, linewidth=0.8)
    axis.set_yscale("log")
    axis.set_xlabel("steps")
    axis.set_ylabel("loss")
    axis.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
