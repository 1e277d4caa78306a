"""Where the metrics and pictures of a stage go: TensorBoard and the run's `log.jsonl`.

The one place that knows TensorBoard. tensorboardX is imported when the first record is made. Of several processes only
the main one records.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from . import distributed
from .log import append_row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tensorboardX import SummaryWriter


class Tracker:
    """Records one stage.

    Args:
        run_folder: gets the log.
        stage: its name; the folder of that name in the run folder gets TensorBoard's events.
        description: Markdown that TensorBoard shows beside the curves.
        first_step: the step that a resumed stage goes on with. TensorBoard forgets what a killed process recorded of
            this and later steps, which are done again.
    """

    def __init__(self, run_folder: Path, stage: str, description: str = "", first_step: int | None = None):
        self.run_folder, self.stage, self.description, self.first_step = run_folder, stage, description, first_step

    @cached_property
    def writer(self) -> "SummaryWriter":
        from tensorboardX import SummaryWriter

        folder = self.run_folder / self.stage
        folder.mkdir(parents=True, exist_ok=True)
        writer = SummaryWriter(str(folder), purge_step=None if self.first_step is None else self.first_step + 1)
        writer.add_text("schedule", self.description)
        return writer

    def begin(self) -> None:
        "Note in the log that the stage begins."
        if distributed.is_main():
            append_row(self.run_folder, self.stage, 0, {})

    def scalars(self, step: int, metrics: dict[str, float], log: bool = True) -> None:
        "Record metrics by name, in TensorBoard and, with `log`, in the log."
        if not distributed.is_main():
            return
        metrics = {name: float(value) for name, value in metrics.items()}
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        if log:
            append_row(self.run_folder, self.stage, step, metrics)

    def image(self, step: int, name: str, picture: Tensor) -> None:
        "Show a picture (3, H, W) in [0, 1]."
        if distributed.is_main():
            self.writer.add_image(name, picture.cpu().numpy(), step)

    def figure(self, step: int, name: str, figure: "Figure") -> None:
        "Show a matplotlib figure."
        if distributed.is_main():
            self.writer.add_figure(name, figure, step)

    def flush(self) -> None:
        if "writer" in self.__dict__:
            self.writer.flush()

    def close(self) -> None:
        if "writer" in self.__dict__:
            self.writer.close()
