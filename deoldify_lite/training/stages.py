"""The stages before the GAN phase: generator pretraining, generation, critic pretraining."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from .. import color
from ..device import memory_in_use
from ..modeling.weights import save_weights
from ..schedule import CriticStage
from . import distributed
from .batches import CriticBatches, GeneratorBatches, NoValidation, ValidationBatches, channels_last
from .callbacks import (
    AverageWeights,
    FrozenStatistics,
    Pictures,
    Records,
    critic_pictures,
    picture_grid,
    prediction_pictures,
)
from .damage import restoration_pair
from .data import Pack, open_pack, pack_photos
from .degradation import grayscale_input
from .distillation import pretrain_encoder
from .errors import StageMissing
from .learner import StageLearner, fit_stage, make_learner
from .losses import GAN_LOSSES, feature_loss
from .networks import load_critic, make_predictor, parameter_groups, trainable_generator
from .precision import InPrecision
from .run import Run

log = logging.getLogger(__name__)


def generator_learner(run: Run, i: int, weights: Path | None = None) -> StageLearner:
    "The Learner of generator stage number `i`, from `weights`: what `pretrain_generator` fits."
    stage, schedule, spec = run.generator_stage(i), run.schedule, run.schedule.generator_stages[i]
    stage.seed_globally(-1)
    predictor = make_predictor(trainable_generator(run, weights), run.precision)
    learn = make_learner(
        stage,
        GeneratorBatches(stage, spec, schedule),
        ValidationBatches(run, spec.size, spec.batch),
        predictor,
        feature_loss(run, spec.size, spec.features, spec.window, spec.chroma_weight),
        *([FrozenStatistics()] if schedule.networks.frozen_statistics else []),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm,
        lr=spec.lr,
        splitter=lambda m: parameter_groups(m.generator),
    )
    learn.generator = predictor.generator
    if spec.frozen:
        learn.freeze()
    else:
        learn.unfreeze()
    return learn


def pretrain_generator(run: Run) -> Path:
    "All encoder and generator stages, each from the last one's weights. Returns the last one's weights."
    _ = run.sources  # no photos is the first thing to say
    pretrain_encoder(run)
    weights = None
    for i in range(len(run.schedule.generator_stages)):
        if not run.generator_stage(i).is_done:
            _fit_generator(run, i, weights)
        weights = run.generator_stage(i).weights
    return weights


def _fit_generator(run: Run, i: int, weights: Path | None) -> None:
    learn, spec = generator_learner(run, i, weights), run.schedule.generator_stages[i]
    stage, train = learn.stage, learn.dls.train
    averaged = AverageWeights(learn.generator, spec.ema) if spec.ema else None
    pictures = prediction_pictures(learn.model.predict, *run.fixed_batch(spec.size, 8))
    cbs = [Records(stage, "generator", ("encoder_start", "encoder_end", "decoder")), Pictures(stage, pictures)]
    rates = slice(spec.lr_encoder, spec.lr)
    fit_stage(learn, [*cbs, *([averaged] if averaged else [])], rates, spec.pct_start)
    train_loss, valid_loss = learn.recorder.values[-1]
    stage.tracker.scalars(train.steps, {"generator/validation_loss": valid_loss})
    save_weights(learn.generator, stage.weights, state=averaged.ema.state if averaged else None)
    losses = {"train_loss": train_loss, "valid_loss": valid_loss}
    stage.finish(**train.summary, **losses, **stage.throughput(train.samples))


def pretrained_generator(run: Run) -> Path:
    """The weights that `pretrain_generator` left.

    Raises:
        StageMissing: it has not been run.
    """
    stage = run.generator_stage(len(run.schedule.generator_stages) - 1)
    if not stage.is_done:
        raise StageMissing(f"there is no pretrained generator in {run.folder} yet: run --stage generator first")
    return stage.weights


def generated_photos(run: Run, cycle: int) -> Path:
    "Where `generate` leaves its pictures."
    return run.generate_stage(cycle).folder / "generated.bin"


def generated_targets(run: Run, cycle: int) -> Path:
    "Where `generate` leaves the targets of a restorer's pictures."
    return run.generate_stage(cycle).folder / "targets.bin"


def generate(run: Run, cycle: int, weights: Path) -> Path:
    """Colorize, or restore, a fraction of the training photos with the generator in `weights`, for the critic.

    Returns the path of a pack of them, at the largest size that the critic wants.
    """
    if not run.generate_stage(cycle).is_done:
        photos = run.pack(run.schedule.generated_size)
        if distributed.is_main():
            _generate(run, cycle, weights, photos)
        else:
            distributed.barrier()
    return generated_photos(run, cycle)


def _generate(run: Run, cycle: int, weights: Path, photos: Pack) -> None:
    schedule, stage = run.schedule, run.generate_stage(cycle)
    size = schedule.generated_size
    side = round(size * schedule.augment.zoom)  # room for the critic's crops to move in
    members = run.split(photos).train
    count = max(1, round(len(members) * schedule.generate.fraction))
    chosen = stage.sampler(photos, members, balance=schedule.balance).batch(0, count)
    predictor = make_predictor(trainable_generator(run, weights), run.precision).eval()

    def pair(index: Tensor) -> tuple[Tensor, Tensor]:
        rgb = photos.crops(index, side, None, torch.Generator()).to(run.device)
        if schedule.restores:
            return restoration_pair(rgb, schedule, stage.seed("damage", *index.tolist()))
        return grayscale_input(rgb), rgb

    def predicted(gray: Tensor, target: Tensor) -> Tensor:
        with torch.inference_mode():
            return color.denormalize(predictor.predict(channels_last(gray), target)[:, :3])

    def pictures(make: Callable[[Tensor, Tensor], Tensor]) -> Iterator[tuple[str, Tensor]]:
        "`make(gray, target)` of each chosen photo, with its name."
        for index in chosen.split(schedule.generate.batch):
            rgb = make(*pair(index)).clamp(0, 1)
            for i, picture in zip(index.tolist(), (rgb * 255).round().byte().permute(0, 2, 3, 1).cpu()):
                yield photos.names[i], picture

    gray, target = run.fixed_batch(size, 8)
    with torch.inference_mode():
        grid = picture_grid(gray, predictor.predict(gray, target), target)
    stage.tracker.image(0, "input_prediction_target", grid)
    stage.begin()
    pack_photos(pictures(predicted), generated_photos(run, cycle))
    if schedule.restores:
        pack_photos(pictures(lambda _gray, target: target[:, :3]), generated_targets(run, cycle))
    throughput = stage.throughput(count)
    speed = {"samples_per_second": throughput["samples_per_second"]}
    stage.tracker.scalars(count, speed | memory_in_use(run.device))
    stage.finish(photos=count, **throughput)


class CriticLoss:
    "The loss of a kind of critic; `parts` has its accuracy on real and on generated pictures."

    def __init__(self, kind: str):
        self.loss = GAN_LOSSES[kind][0]
        self.parts: dict[str, Tensor] = {}

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        real = labels[:, 0] > 0.5
        self.parts = {
            "accuracy_real": (logits[real] > 0).float().mean(),
            "accuracy_fake": (logits[~real] < 0).float().mean(),
        }
        return self.loss(logits[real], logits[~real])


def critic_learner(
    run: Run, cycle: int, spec: CriticStage, generated: Path, weights: Path | None = None
) -> StageLearner:
    "The Learner of a critic stage on what `generate` left, from `weights`: what `pretrain_critic` fits."
    stage, schedule = run.critic_stage(cycle, spec.name), run.schedule
    stage.seed_globally(-1)
    critic = InPrecision(load_critic(run, weights), run.precision)
    packs = [generated, *([generated_targets(run, cycle)] if schedule.restores else [])]
    return make_learner(
        stage,
        CriticBatches(stage, spec, schedule, *(open_pack(path).to(run.device) for path in packs)),
        NoValidation(),
        critic,
        CriticLoss(schedule.networks.critic),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm,
        lr=spec.lr,
    )


def pretrain_critic(run: Run, cycle: int, generated: Path, start: Path | None) -> Path:
    "The critic stages of a cycle on what `generate` left, from the weights `start`. Returns the critic's weights."
    weights = start
    for spec in run.schedule.critics(cycle):
        if not run.critic_stage(cycle, spec.name).is_done:
            learn = critic_learner(run, cycle, spec, generated, weights)
            stage, train, critic = learn.stage, learn.dls.train, learn.model.network
            pictures = Pictures(stage, critic_pictures(learn.model, *train.fixed(8), critic.scales))
            fit_stage(learn, [Records(stage, "critic", ("critic",)), pictures], spec.lr, pct_start=0.3)
            save_weights(None, stage.weights, config=critic.config, state=critic.state_dict())
            train_loss = learn.recorder.values[-1][0]
            stage.finish(**train.summary, train_loss=train_loss, **stage.throughput(train.samples))
        weights = run.critic_stage(cycle, spec.name).weights
    return weights
