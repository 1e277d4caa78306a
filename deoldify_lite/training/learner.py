"""fastai's Learner as all stages have it, and the fit of a stage."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastai.callback.hook
import fastai.callback.schedule  # noqa: F401  makes Learner.fit_one_cycle and lr_find
import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.progress import ProgressCallback
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import Adam
from PIL import Image
from torch import nn

from ..errors import DeoldifyError, UsageError
from ..modeling.layers import without_spectral_norm
from ..modeling.weights import save_weights
from .batches import Batches
from .callbacks import Checkpoint, StepNumber, StopOnNan
from .distributed import Synchronize
from .stage import Stage


class StageLearner(Learner):
    """A fastai Learner for a stage of a run.

    All that a fastai user tries works on it (`fit_one_cycle`, `lr_find`, `summary`, `show_batch`, `show_results`) and
    leaves no mark on the run; `fit_stage` is the run's own fit, with checkpoints and records.
    """

    stage: Stage
    generator: nn.Module | None = None  # that colorizes or restores, for `predict` and `export`

    def summary(self) -> str:
        "fastai's summary, of the network without spectral norm, behind which fastai does not find the weights."
        trained = self.model
        self.model = without_spectral_norm(trained)
        try:
            return super().summary()
        finally:
            self.model = trained

    def export(self, fname: str | Path = "generator.safetensors") -> Path:
        "Write this moment's generator, for `Colorizer` or `Restorer`; a relative path is inside the stage's folder."
        if self.generator is None:
            raise UsageError(f"{self.stage.name} trains no generator to export")
        path = self.stage.folder / fname
        save_weights(self.generator, path, dtype=torch.float16)
        return path

    def predict(self, photo: Image.Image | str | Path) -> Image.Image:
        "A photo, colorized or restored by the generator of this moment."
        from ..colorize.colorizer import Colorizer
        from ..restore.restorer import Restorer

        image = photo if isinstance(photo, Image.Image) else Image.open(photo)
        with TemporaryDirectory() as folder:
            weights = self.export(Path(folder) / "generator.safetensors")
            device = str(self.stage.run.device)
            if self.generator.predicts == "restoration":
                return Restorer(weights, device).restore(image)
            return Colorizer(weights, device).colorize(image)


def make_learner(
    stage: Stage,
    train: Batches,
    valid: Batches,
    model: nn.Module,
    loss_func: Any,
    *cbs: Callback,
    weight_decay: float,
    max_grad_norm: float | None = None,
    kind: type[StageLearner] = StageLearner,
    **kwargs: Any,
) -> StageLearner:
    """A Learner with what every stage here has: steps that follow from their number, a stop on NaN, clipping.

    `cbs` belong to any fit with it; `kwargs` go to fastai's Learner.
    """
    kwargs.setdefault("opt_func", partial(Adam, sqr_mom=0.99))
    learn = kind(
        DataLoaders(train, valid, device=stage.run.device),
        model,
        loss_func=loss_func,
        wd=weight_decay,
        path=stage.folder,
        default_cbs=False,
        cbs=[
            TrainEvalCallback(),
            Recorder(train_metrics=False),
            ProgressCallback(),
            StepNumber(stage),
            StopOnNan(),
            Synchronize(),
            *([GradientClip(max_grad_norm)] if max_grad_norm else []),
            *cbs,
        ],
        **kwargs,
    )
    learn.create_opt()
    learn.stage = stage
    return learn


def fit_stage(learn: StageLearner, cbs: Sequence[Callback], lr: Any = None, pct_start: float | None = None) -> None:
    """The stage's own fit, from its checkpoint if there is one, which it writes every now and then.

    One cycle (Smith 2018, arXiv:1803.09820) of rates up to `lr` where `pct_start` is given, else the optimiser's own
    constant rates. `cbs` are for this fit alone; those among them that have a `state` are part of the checkpoint.
    """
    stage, checkpoint = learn.stage, Checkpoint(learn.stage)
    learn.add_cbs([*cbs, checkpoint])
    try:
        learn.dls.train.first_step = stage.first_step = checkpoint.resume()
        stage.begin()
        with learn.no_bar(), learn.no_logging():
            if pct_start is None:
                learn.fit(1, lr=lr)
            else:
                learn.fit_one_cycle(1, lr, div=25.0, div_final=1e5, pct_start=pct_start)
    except DeoldifyError as error:
        error.args = (str(error).split(":\n\t", 1)[-1],)  # without the callback and event that fastai writes before it
        raise
    finally:
        learn.remove_cbs([*cbs, checkpoint])
