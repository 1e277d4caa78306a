"""Warming an encoder up on what another sees, for one whose ImageNet weights are not to be had.

The teacher has such weights and looks at the photo in colour; the student looks at its grey version and learns to tell,
at each stride, what the teacher sees there (hints, Romero et al. 2015, arXiv:1412.6550). That needs no labels, and what
a grey photo says about colour is just what a colorizer's encoder has to know.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..modeling.encoders import build_encoder
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors, save_weights
from .batches import NoValidation, Pairs
from .errors import StageMissing
from .learner import InPrecision, LossInPrecision, StageLearner, fit, make_learner
from .run import Run, Stage, encoder_recipe


class Student(nn.Module):
    """An encoder and, for each stride, a 1x1 convolution to the teacher's channels.

    Grey (N, 3, H, W) of ImageNet statistics -> the teacher's feature maps as the student guesses them, finest first.
    """

    def __init__(self, encoder: nn.Module, teacher: nn.Module):
        super().__init__()
        self.encoder = encoder
        pairs = zip(encoder.feature_maps, teacher.feature_maps, strict=True)
        self.translate = nn.ModuleList(nn.Conv2d(ours, theirs, 1) for (ours, _), (theirs, _) in pairs)

    def forward(self, grey: Tensor, _luma: Tensor) -> list[Tensor]:
        return [translate(features) for translate, features in zip(self.translate, self.encoder(grey))]


class Hints:
    """The share of the teacher's features that the student misses, averaged over strides: 1 is nothing learned, 0 all.

    Each of the teacher's channels counts in units of its own spread over the batch, for their ranges lie orders of
    magnitude apart.
    """

    def __init__(self, teacher: nn.Module):
        self.teacher = teacher.eval().requires_grad_(False)
        self.parts: dict[str, Tensor] = {}

    def __call__(self, guesses: list[Tensor], truth: Tensor) -> Tensor:
        with torch.no_grad():
            seen = [features.float() for features in self.teacher(truth)]
        losses = []
        for guess, features in zip(guesses, seen, strict=True):
            spread, mean = torch.std_mean(features, (0, 2, 3), keepdim=True)
            losses.append((guess.float() - (features - mean) / (spread + 1e-3)).square().mean())
        self.parts = {f"hint_{i}": loss.detach() for i, loss in enumerate(losses, 1)}
        return torch.stack(losses).mean()


def encoder_stage(run: Run, i: int) -> Stage:
    "Encoder stage number `i`."
    return run.stage(f"encoder/{i + 1}-{run.schedule.encoder_stages[i].name}", encoder_recipe(run, i))


def encoder_learner(run: Run, i: int, weights: Path | None = None) -> StageLearner:
    """The Learner of encoder stage number `i`, from `weights`: what `pretrain_encoder` fits.

    Raises:
        WeightsUnavailable: the teacher's pretrained weights cannot be had here.
    """
    stage, spec = encoder_stage(run, i), run.schedule.encoder_stages[i]
    stage.seed_globally(-1)
    teacher = build_encoder(spec.teacher)
    load_pretrained_encoder(teacher, spec.teacher, run.encoder_weights)
    encoder = build_encoder(run.schedule.networks.encoder)
    if weights is not None:
        load_strictly(encoder, read_safetensors(weights)[1], weights)
    student = Student(encoder, teacher)
    teacher, student = (m.to(run.device, memory_format=torch.channels_last) for m in (teacher, student))
    student, hints = InPrecision(student, run.precision), LossInPrecision(Hints(teacher), run.precision)
    return make_learner(stage, "encoder", Pairs(stage, spec), NoValidation(), student, hints)


def pretrain_encoder(run: Run) -> None:
    "All encoder stages, one after the other, each from the last one's weights."
    weights = None
    for i, spec in enumerate(run.schedule.encoder_stages):
        stage = encoder_stage(run, i)
        if not stage.is_done:
            learn = encoder_learner(run, i, weights)
            figures = fit(learn, [spec.lr], spec.pct_start)
            config = {"encoder": run.schedule.networks.encoder}
            save_weights(None, learn.stage.weights, config=config, state=learn.model.network.encoder.state_dict())
            learn.stage.finish(**figures)
        weights = stage.weights


def load_warm_encoder(run: Run, encoder: nn.Module) -> None:
    """Give `encoder` the weights that `pretrain_encoder` left.

    Raises:
        StageMissing: it has not been through.
    """
    stage = encoder_stage(run, len(run.schedule.encoder_stages) - 1)
    if not stage.is_done:
        raise StageMissing(f"there is no pretrained encoder in {run.folder} yet: run --stage generator first")
    load_strictly(encoder, read_safetensors(stage.weights)[1], stage.weights)
