"""The stages that are ordinary fits: generator pretraining, generation, critic pretraining.

Each is a fastai Learner under a one-cycle schedule. The GAN phase, which is not ordinary, is in `gan`.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import fastai.callback.hook  # noqa: F401  makes Learner.summary
import numpy as np
import torch
from torch import Tensor, nn

from .. import color
from ..device import autocast, memory_in_use
from ..modeling.critic import Critic
from ..modeling.generator import build_generator
from ..modeling.layers import add_spectral_norm
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.projected_critic import ProjectedCritic
from ..modeling.weights import load_generator, load_strictly, read_safetensors, save_weights
from ..schedule import CriticStage, Networks
from .batches import NoValidation, Pairs, RealAndFake, ValidationPairs, channels_last
from .callbacks import AverageWeights, FrozenStatistics, Pictures, Verdicts
from .data import open_pack, pack_photos
from .encoder import load_warm_encoder, pretrain_encoder
from .errors import StageMissing
from .grey import clean_grey
from .learner import InPrecision, StageLearner, feature_loss, fit, make_learner
from .losses import GAN_LOSSES
from .run import Run, Stage, generator_recipe, picture_grid
from .start import start_weights

log = logging.getLogger(__name__)


class Painter(nn.Module):
    """A generator as the losses see it: (grey, luma of the truth) -> normalised RGB (N, 3, H, W).

    A generator that predicts chroma has it put on the truth's own luma, since the colorizer will put it on the
    photo's: whatever the input suffered, only the colours are judged. One that predicts RGB is judged on all of it.
    """

    def __init__(self, generator: nn.Module, precision: torch.dtype = torch.float32):
        super().__init__()
        self.generator, self.precision = generator, precision

    def forward(self, grey: Tensor, luma: Tensor) -> Tensor:
        with autocast(grey.device, self.precision):
            if self.generator.predicts == "rgb":
                return self.generator(grey)
            cbcr = self.generator.chroma(grey)
        return color.normalize(color.merge(luma, cbcr.float()))

    def paint(self, grey: Tensor, truth: Tensor) -> Tensor:
        "The same with the truth, RGB in [0, 1], whose luma is taken."
        return self(grey, color.luma(truth))


def untrained_generator(networks: Networks) -> nn.Module:
    "The generator that the schedule describes."
    options = (networks.attention, networks.padding, networks.blur)
    return build_generator(networks.generator, networks.encoder, *options)


def trainable_generator(run: Run, weights: Path | None) -> nn.Module:
    """The schedule's generator ready to train: spectral norm on the decoder, channels_last, on the device.

    It starts from `weights`, or, with None, from those that the schedule names, or from a pretrained encoder (that of
    the encoder stages, if there are any) and a fresh decoder.
    """
    networks = run.schedule.networks
    weights = weights or start_weights(run.folder, networks)
    torch.manual_seed(run.schedule.seed)
    generator = untrained_generator(networks)
    if weights is not None:
        load_strictly(generator, load_generator(weights).state_dict(), weights)
    elif run.schedule.encoder_stages:
        load_warm_encoder(run, generator.encoder)
    elif networks.pretrained:
        name = networks.encoder or {"deep": "resnet34", "wide": "resnet101"}[networks.generator]
        load_pretrained_encoder(generator.encoder, name, run.encoder_weights)
    for part in generator.spectral:
        add_spectral_norm(part)
    return generator.to(run.device, memory_format=torch.channels_last)


def generator_groups(generator: nn.Module) -> list[list[nn.Parameter]]:
    "Three groups for discriminative rates: first and second half of the encoder's weights, decoder."
    encoder = list(generator.encoder.parameters())
    inside = {id(p) for p in encoder}
    total, seen, cut = sum(p.numel() for p in encoder), 0, 0
    while seen + encoder[cut].numel() <= total / 2:
        seen += encoder[cut].numel()
        cut += 1
    return [encoder[:cut], encoder[cut:], [p for p in generator.parameters() if id(p) not in inside]]


def generator_learner(run: Run, i: int, weights: Path | None = None) -> StageLearner:
    """The Learner of generator stage number `i`, from `weights`: what `pretrain_generator` fits.

    `show_batch`, `show_results`, `lr_find` and `summary` are fastai's and leave no mark on the run.
    """
    stage, spec, schedule = generator_stage(run, i), run.schedule.generator_stages[i], run.schedule
    stage.seed_globally(-1)
    painter = Painter(trainable_generator(run, weights), run.precision)
    loss = feature_loss(run, spec.size, spec.features, spec.window, spec.vivid)
    learn = make_learner(
        stage,
        "generator",
        Pairs(stage, spec),
        ValidationPairs(run, spec.size, spec.batch),
        painter,
        loss,
        Pictures(stage, spec.size, painter.paint),
        *([FrozenStatistics()] if schedule.networks.frozen_statistics else []),
        *([AverageWeights(painter.generator, spec.ema)] if spec.ema else []),
        splitter=lambda m: generator_groups(m.generator),
    )
    if spec.frozen:
        learn.freeze()
    else:
        learn.unfreeze()
    return learn


def generator_stage(run: Run, i: int) -> Stage:
    "Generator stage number `i`."
    return run.stage(f"generator/{i + 1}-{run.schedule.generator_stages[i].name}", generator_recipe(run, i))


def pretrain_generator(run: Run) -> Path:
    "All encoder and generator stages, each from the last one's weights. Returns the last one's weights."
    _ = run.sources  # no photos is the first thing to say
    pretrain_encoder(run)
    weights = None
    for i, spec in enumerate(run.schedule.generator_stages):
        if not generator_stage(run, i).is_done:
            learn = generator_learner(run, i, weights)
            middle = float(np.sqrt(spec.lr * spec.lr_encoder))
            figures = fit(learn, [spec.lr_encoder, middle, spec.lr], spec.pct_start)
            averaged = learn.average_weights.ema.state if spec.ema else None
            save_weights(learn.model.generator, learn.stage.weights, state=averaged)
            learn.stage.finish(**figures)
        weights = generator_stage(run, i).weights
    return weights


def pretrained_generator(run: Run) -> Path:
    """The weights that `pretrain_generator` left.

    Raises:
        StageMissing: it has not been through.
    """
    stage = generator_stage(run, len(run.schedule.generator_stages) - 1)
    if not stage.is_done:
        raise StageMissing(f"there is no pretrained generator in {run.folder} yet: run --stage generator first")
    return stage.weights


def generate_stage(run: Run, cycle: int) -> Stage:
    "The stage that colorizes photos for the critic."
    return run.stage(f"cycle-{cycle}/generate", cycle_recipe(run, cycle, "generate"))


def generate(run: Run, cycle: int, weights: Path) -> Path:
    """Colorize a share of the training photos with the generator in `weights`, for the critic to learn from.

    Returns the path of a pack of them, at the largest size that the critic wants.
    """
    schedule = run.schedule
    stage = generate_stage(run, cycle)
    path = stage.folder / "generated.bin"
    if stage.is_done:
        return path
    size = max(s.size for s in schedule.critic_stages)
    photos = run.pack(size)
    members = run.split(photos).train
    chosen = members[torch.randperm(len(members), generator=stage.seed("share"))]
    chosen = chosen[: max(1, round(len(members) * schedule.generate.share))]
    painter = Painter(trainable_generator(run, weights), run.precision).eval()

    def painted() -> Iterator[tuple[str, Tensor]]:
        for index in chosen.split(schedule.generate.batch):
            side = round(size * schedule.augment.zoom)  # room for the critic's crops to move in
            truth = photos.crops(index, side, None, torch.Generator()).to(run.device)
            with torch.inference_mode():
                rgb = color.denormalize(painter.paint(channels_last(clean_grey(truth)), truth)).clamp(0, 1)
            for i, picture in zip(index.tolist(), (rgb * 255).round().byte().permute(0, 2, 3, 1).cpu()):
                yield photos.names[i], picture

    grey, truth = run.fixed_batch(size, 8)
    with torch.inference_mode():
        stage.board.add_image("grey_ours_truth", picture_grid(grey, painter.paint(grey, truth), truth).numpy(), 0)
    stage.begin()
    count = len(pack_photos(painted(), path))
    pace = stage.pace(count)
    stage.record(count, {"samples_per_second": pace["samples_per_second"]} | memory_in_use(run.device))
    stage.finish(photos=count, **pace)
    return path


def cycle_recipe(run: Run, cycle: int, part: str) -> dict:
    "All that decides what a part of a cycle (generate, critic or gan) gives."
    schedule = run.schedule
    recipe = generator_recipe(run, len(schedule.generator_stages)) | {"cycle": cycle, "generate": schedule.generate}
    if part != "generate" or cycle > 1:
        networks = schedule.networks
        recipe |= {k: getattr(networks, k) for k in ("critic", "critic_backbone", "critic_width")}
        recipe["critic_stages"] = schedule.critic_stages
    if part == "gan" or cycle > 1:
        recipe["gan"] = schedule.gan
    return recipe


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


def critic_stage(run: Run, cycle: int, spec: CriticStage) -> Stage:
    return run.stage(f"cycle-{cycle}/critic-{spec.name}", cycle_recipe(run, cycle, "critic"))


def load_critic(run: Run, weights: Path | None) -> nn.Module:
    "The schedule's critic, fresh or from a file; a file keeps the spectral-norm vectors."
    networks = run.schedule.networks
    if networks.critic == "projected":
        critic = ProjectedCritic(networks.critic_backbone, networks.critic_width)
        if weights is None and networks.pretrained:
            load_pretrained_encoder(critic.backbone, networks.critic_backbone)
    else:
        critic = Critic(networks.critic_width)
    if weights is not None:
        load_strictly(critic, read_safetensors(weights)[1], weights)
    return critic.to(run.device, memory_format=torch.channels_last)


def critic_learner(
    run: Run, cycle: int, spec: CriticStage, generated: Path, weights: Path | None = None
) -> StageLearner:
    """The Learner of a critic stage on what `generate` left, from `weights`: what `pretrain_critic` fits.

    `show_batch`, `show_results(ds_idx=0)`, `lr_find` and `summary` are fastai's and leave no mark on the run.
    """
    stage = critic_stage(run, cycle, spec)
    stage.seed_globally(-1)
    critic = InPrecision(load_critic(run, weights), run.precision)
    batches = RealAndFake(stage, spec, open_pack(generated).to(run.device))
    return make_learner(
        stage,
        "critic",
        batches,
        NoValidation(),
        critic,
        CriticLoss(run.schedule.networks.critic),
        Verdicts(stage, *batches.fixed(8), critic),
    )


def pretrain_critic(run: Run, cycle: int, generated: Path, start: Path | None) -> Path:
    "The critic stages of a cycle on what `generate` left, from the weights `start`. Returns the critic's weights."
    weights = start
    for spec in run.schedule.critic_stages:
        if spec.first_cycle_only and cycle > 1:
            continue
        if not critic_stage(run, cycle, spec).is_done:
            learn = critic_learner(run, cycle, spec, generated, weights)
            figures = fit(learn, [spec.lr], 0.3)
            critic = learn.model.network
            save_weights(None, learn.stage.weights, config=critic.config, state=critic.state_dict())
            learn.stage.finish(**figures)
        weights = critic_stage(run, cycle, spec).weights
    return weights
