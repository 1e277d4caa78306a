"""Distillation: an encoder without ImageNet weights learns the features of one that has them.

The teacher sees the photo in colour; the student sees its grayscale version and predicts the teacher's features at
every stride (hints, Romero et al. 2015, arXiv:1412.6550). That needs no labels, and what a grayscale photo says about
colour is just what a colorizer's encoder has to know.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..modeling.encoders import build_encoder
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors, save_weights
from .batches import GeneratorBatches, NoValidation
from .callbacks import Records
from .errors import StageMissing
from .learner import StageLearner, fit_stage, make_learner
from .precision import InPrecision, LossInPrecision
from .run import Run


class Student(nn.Module):
    """An encoder and, for each stride, a 1x1 convolution to the teacher's channels.

    Grayscale input (N, 3, H, W) -> the teacher's feature maps as the student predicts them, finest first.
    """

    def __init__(self, encoder: nn.Module, teacher: nn.Module):
        super().__init__()
        self.encoder = encoder
        pairs = zip(encoder.feature_maps, teacher.feature_maps, strict=True)
        self.translate = nn.ModuleList(nn.Conv2d(ours, theirs, 1) for (ours, _), (theirs, _) in pairs)

    def forward(self, gray: Tensor, _luma: Tensor) -> list[Tensor]:
        return [translate(features) for translate, features in zip(self.translate, self.encoder(gray))]


class HintLoss:
    """The fraction of the teacher's features' variance that the student misses, averaged over strides.

    Each of the teacher's channels counts in units of its own spread over the batch, for their ranges lie orders of
    magnitude apart.
    """

    def __init__(self, teacher: nn.Module):
        self.teacher = teacher.eval().requires_grad_(False)
        self.parts: dict[str, Tensor] = {}

    def __call__(self, predictions: list[Tensor], target: Tensor) -> Tensor:
        with torch.no_grad():
            seen = [features.float() for features in self.teacher(target)]
        losses = []
        for prediction, features in zip(predictions, seen, strict=True):
            spread, mean = torch.std_mean(features, (0, 2, 3), keepdim=True)
            losses.append((prediction.float() - (features - mean) / (spread + 1e-3)).square().mean())
        self.parts = {f"hint_{i}": loss.detach() for i, loss in enumerate(losses, 1)}
        return torch.stack(losses).mean()


def encoder_learner(run: Run, i: int, weights: Path | None = None) -> StageLearner:
    """The Learner of encoder stage number `i`, from `weights`: what `pretrain_encoder` fits.

    Raises:
        WeightsUnavailable: the teacher's pretrained weights cannot be had here.
    """
    stage, spec, schedule = run.encoder_stage(i), run.schedule.encoder_stages[i], run.schedule
    stage.seed_globally(-1)
    teacher = build_encoder(spec.teacher)
    load_pretrained_encoder(teacher, spec.teacher, run.encoder_weights)
    encoder = build_encoder(schedule.networks.encoder)
    if weights is not None:
        load_strictly(encoder, read_safetensors(weights)[1], weights)
    student = Student(encoder, teacher)
    teacher, student = (m.to(run.device, memory_format=torch.channels_last) for m in (teacher, student))
    student, hints = InPrecision(student, run.precision), LossInPrecision(HintLoss(teacher), run.precision)
    settings = {"weight_decay": schedule.weight_decay, "max_grad_norm": schedule.max_grad_norm}
    return make_learner(stage, GeneratorBatches(stage, spec, schedule), NoValidation(), student, hints, **settings)


def pretrain_encoder(run: Run) -> None:
    "All encoder stages, one after the other, each from the last one's weights."
    weights = None
    for i, spec in enumerate(run.schedule.encoder_stages):
        stage = run.encoder_stage(i)
        if not stage.is_done:
            learn = encoder_learner(run, i, weights)
            stage = learn.stage
            fit_stage(learn, [Records(stage, "encoder", ("encoder",))], spec.lr, spec.pct_start)
            config = {"encoder": run.schedule.networks.encoder}
            save_weights(None, stage.weights, config=config, state=learn.model.network.encoder.state_dict())
            train_loss = learn.recorder.values[-1][0]
            stage.finish(**learn.dls.train.summary, train_loss=train_loss, **stage.throughput(learn.dls.train.samples))
        weights = stage.weights


def load_distilled_encoder(run: Run, encoder: nn.Module) -> None:
    """Give `encoder` the weights that `pretrain_encoder` left.

    Raises:
        StageMissing: it has not been through.
    """
    stage = run.encoder_stage(len(run.schedule.encoder_stages) - 1)
    if not stage.is_done:
        raise StageMissing(f"there is no pretrained encoder in {run.folder} yet: run --stage generator first")
    load_strictly(encoder, read_safetensors(stage.weights)[1], stage.weights)
