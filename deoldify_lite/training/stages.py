"""The stages that are ordinary fits: generator pretraining, generation, critic pretraining.

Each is a fastai Learner under a one-cycle schedule. The GAN phase, which is not ordinary, is in `gan`.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import TrainEvalCallback
from fastai.callback.schedule import ParamScheduler, combined_cos
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import Adam
from torch import Tensor, nn

from .. import color
from ..device import autocast
from ..modeling.critic import Critic
from ..modeling.generator import build_generator
from ..modeling.layers import add_spectral_norm
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors, save_weights
from ..schedule import CriticStage, GeneratorStage
from .callbacks import ExactSteps, Pictures, Records, StopOnNan, resume
from .data import Pack, batch_index, jitter, open_pack, pack_photos
from .errors import StageMissing
from .grey import clean_grey, make_grey
from .losses import FeatureLoss
from .run import Run, Stage, generator_recipe

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


def trainable_generator(run: Run, weights: Path | None) -> nn.Module:
    """The schedule's generator ready to train: spectral norm on the decoder, channels_last, on the device.

    It starts from `weights`, or, with None, from a pretrained encoder and a fresh decoder.
    """
    networks = run.schedule.networks
    torch.manual_seed(run.schedule.seed)
    generator = build_generator(networks.generator, networks.encoder)
    if weights is not None:
        load_strictly(generator, read_safetensors(weights)[1], weights)
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


class Pairs:
    """The batches of a generator stage, as fastai wants them: (grey, luma) and the normalised truth.

    Iterates from `first_step` to the stage's last; each batch follows from its number.
    """

    n_inp = 2

    def __init__(self, stage: Stage, spec: GeneratorStage):
        self.stage, self.spec, self.first_step = stage, spec, 0
        self.photos = stage.run.pack(spec.size)
        members = stage.run.split(self.photos).train
        order = torch.randperm(len(members), generator=stage.seed("share"))
        self.members = members[order[: max(1, round(len(members) * spec.share))]]
        self.steps = max(1, round(spec.epochs * len(self.members) / spec.batch))

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return (self.batch(step) for step in range(self.first_step, self.steps))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        schedule, spec = self.stage.run.schedule, self.spec
        index = batch_index(self.members, step, spec.batch, schedule.seed, self.stage.name)
        draw = self.stage.seed("batch", step)
        truth = self.photos.crops(index, spec.size, schedule.augment, draw).to(self.stage.run.device)
        truth = jitter(truth, schedule.augment, draw)
        grey = make_grey(truth, schedule.grey, draw)
        return channels_last(grey), color.luma(truth), channels_last(color.normalize(truth))

    def to(self, device: torch.device) -> "Pairs":
        return self


class ValidationPairs:
    "Clean greys and truths of the validation photos, in batches; the same each time."

    def __init__(self, run: Run, size: int, batch: int, limit: int = 128):
        self.photos, self.size, self.batch, self.device = run.pack(size), size, batch, run.device
        self.members = run.split(self.photos).valid[:limit]

    def __len__(self) -> int:
        return -(-len(self.members) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for index in self.members.split(self.batch):
            truth = self.photos.crops(index, self.size, None, torch.Generator()).to(self.device)
            yield channels_last(clean_grey(truth)), color.luma(truth), channels_last(color.normalize(truth))

    def to(self, device: torch.device) -> "ValidationPairs":
        return self


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def make_learner(run: Run, stage: Stage, train, valid, model: nn.Module, loss_func, *cbs, **kwargs) -> Learner:
    "A fastai Learner with what every stage here has: exact steps, resume, a stop on NaN, clipping, records."
    learn = Learner(
        DataLoaders(train, valid, device=run.device),
        model,
        loss_func=loss_func,
        opt_func=_adam,
        wd=run.schedule.weight_decay,
        path=stage.folder,
        default_cbs=False,
        cbs=[
            TrainEvalCallback(),
            Recorder(train_metrics=False),
            ExactSteps(stage),
            StopOnNan(),
            GradientClip(run.schedule.clip),
            Records(stage, train.spec.batch),
            *cbs,
        ],
        **kwargs,
    )
    learn.create_opt()
    return learn


def one_cycle(lr_max: list[float], pct_start: float) -> dict:
    "fastai's one-cycle schedules: cosine from lr/25 up and down to lr/1e5, momentum .95 -> .85 -> .95."
    rates = np.array(lr_max)
    return {
        "lr": combined_cos(pct_start, rates / 25, rates, rates / 1e5),
        "mom": combined_cos(pct_start, 0.95, 0.85, 0.95),
    }


def generator_learner(stage: Stage, spec: GeneratorStage, generator: nn.Module) -> Learner:
    "The Learner of a generator stage: what the script fits and a notebook can look into."
    run, schedule = stage.run, stage.run.schedule
    painter = Painter(generator, run.precision)
    loss = FeatureLoss(schedule.loss, spec.features).to(run.device)
    learn = make_learner(
        run,
        stage,
        Pairs(stage, spec),
        ValidationPairs(run, spec.size, spec.batch),
        painter,
        LossInPrecision(loss, run.precision),
        Pictures(stage, spec.size, painter.paint),
        splitter=lambda m: generator_groups(m.generator),
    )
    if spec.frozen:
        learn.freeze()
    else:
        learn.unfreeze()
    return learn


def _adam(params, **kwargs):
    return Adam(params, sqr_mom=0.99, **kwargs)


class LossInPrecision:
    "A feature loss whose network runs in a precision."

    def __init__(self, loss: FeatureLoss, precision: torch.dtype):
        self.loss, self.precision = loss, precision

    def __call__(self, painted: Tensor, truth: Tensor) -> Tensor:
        with autocast(painted.device, self.precision):
            return self.loss(painted, truth)

    @property
    def parts(self) -> dict[str, Tensor]:
        return self.loss.parts


def fit(stage: Stage, learn: Learner, lr_max: list[float], pct_start: float) -> dict[str, float]:
    "One cycle through the stage's steps, from its checkpoint if there is one. Returns figures."
    learn.dls.train.first_step = resume(stage, learn)
    done_before = learn.dls.train.first_step
    began = time.monotonic()
    with learn.no_logging(), learn.no_mbar():
        learn.fit(1, lr=np.array(lr_max), cbs=ParamScheduler(one_cycle(lr_max, pct_start)))
    seconds = time.monotonic() - began
    steps = learn.dls.train.steps
    batch = learn.dls.train.spec.batch
    train_loss, valid_loss = learn.recorder.values[-1]
    return {
        "steps": steps,
        "batch": batch,
        "presentations": steps * batch,
        "seconds": round(seconds, 1),
        "samples_per_second": round((steps - done_before) * batch / seconds, 2),
        "train_loss": train_loss,
        "valid_loss": valid_loss,
    }


def generator_stage(run: Run, i: int) -> Stage:
    "Generator stage number `i`."
    return run.stage(f"generator/{i + 1}-{run.schedule.generator_stages[i].name}", generator_recipe(run.schedule, i))


def pretrain_generator(run: Run) -> Path:
    "All generator stages, one after the other, each from the last one's weights. Returns the last one's weights."
    _ = run.sources  # no photos is the first thing to say
    weights = None
    for i, spec in enumerate(run.schedule.generator_stages):
        stage = generator_stage(run, i)
        if not stage.is_done:
            stage.seed_globally(-1)
            generator = trainable_generator(run, weights)
            learn = generator_learner(stage, spec, generator)
            middle = float(np.sqrt(spec.lr * spec.lr_encoder))
            figures = fit(stage, learn, [spec.lr_encoder, middle, spec.lr], spec.pct_start)
            save_weights(generator, stage.weights)
            stage.finish(**figures)
        weights = stage.weights
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

    began = time.monotonic()
    count = len(pack_photos(painted(), path))
    seconds = time.monotonic() - began
    stage.finish(photos=count, seconds=round(seconds, 1), samples_per_second=round(count / seconds, 2))
    return path


def cycle_recipe(run: Run, cycle: int, part: str) -> dict:
    "All that decides what a part of a cycle (generate, critic or gan) gives."
    schedule = asdict(run.schedule)
    recipe = generator_recipe(run.schedule, len(run.schedule.generator_stages)) | {"cycle": cycle}
    recipe["generate"] = schedule["generate"]
    if part != "generate" or cycle > 1:
        recipe |= {"critic_width": run.schedule.networks.critic_width, "critic_stages": schedule["critic_stages"]}
    if part == "gan" or cycle > 1:
        recipe["gan"] = schedule["gan"]
    return recipe


class RealAndFake:
    "The batches of a critic stage: pictures, half of them real and half generated, and labels 1 and 0."

    n_inp = 1

    def __init__(self, stage: Stage, spec: CriticStage, generated: Pack):
        self.stage, self.spec, self.generated, self.first_step = stage, spec, generated, 0
        self.photos = stage.run.pack(spec.size)
        self.members = stage.run.split(self.photos).train
        self.steps = max(1, round(spec.epochs * len(generated) / spec.batch))

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self.batch(step) for step in range(self.first_step, self.steps))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        run, spec = self.stage.run, self.spec
        augment = run.schedule.augment
        parts = []
        for kind, pack, members in (
            ("real", self.photos, self.members),
            ("fake", self.generated, torch.arange(len(self.generated))),
        ):
            index = batch_index(members, step, spec.batch, run.schedule.seed, f"{self.stage.name} {kind}")
            parts.append(pack.crops(index, spec.size, augment, self.stage.seed(kind, step)).to(run.device))
        labels = torch.tensor([1.0, 0.0], device=run.device).repeat_interleave(spec.batch)
        return channels_last(color.normalize(torch.cat(parts))), labels[:, None]

    def to(self, device: torch.device) -> "RealAndFake":
        return self


class NoValidation(list):
    "An empty loader."

    def to(self, device: torch.device) -> "NoValidation":
        return self


class CriticLoss:
    "Binary cross-entropy of patch logits; `parts` has the critic's accuracy on real and on generated pictures."

    def __init__(self):
        self.parts: dict[str, Tensor] = {}

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        real = labels[:, 0] > 0.5
        self.parts = {
            "accuracy_real": (logits[real] > 0).float().mean(),
            "accuracy_fake": (logits[~real] < 0).float().mean(),
        }
        return F.binary_cross_entropy_with_logits(logits, labels.expand_as(logits))


class InPrecision(nn.Module):
    "A network run in a precision."

    def __init__(self, network: nn.Module, precision: torch.dtype):
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, x: Tensor) -> Tensor:
        with autocast(x.device, self.precision):
            return self.network(x)


def critic_stage(run: Run, cycle: int, spec: CriticStage) -> Stage:
    return run.stage(f"cycle-{cycle}/critic-{spec.name}", cycle_recipe(run, cycle, "critic"))


def load_critic(run: Run, weights: Path | None) -> nn.Module:
    "The schedule's critic, fresh or from a file; a file keeps the spectral-norm vectors."
    critic = Critic(run.schedule.networks.critic_width)
    if weights is not None:
        load_strictly(critic, read_safetensors(weights)[1], weights)
    return critic.to(run.device, memory_format=torch.channels_last)


def pretrain_critic(run: Run, cycle: int, generated: Path, start: Path | None) -> Path:
    "The critic stages of a cycle on what `generate` left, from the weights `start`. Returns the critic's weights."
    weights = start
    for spec in run.schedule.critic_stages:
        if spec.first_cycle_only and cycle > 1:
            continue
        stage = critic_stage(run, cycle, spec)
        if not stage.is_done:
            stage.seed_globally(-1)
            critic = load_critic(run, weights)
            batches = RealAndFake(stage, spec, open_pack(generated).to(run.device))
            learn = make_learner(run, stage, batches, NoValidation(), InPrecision(critic, run.precision), CriticLoss())
            figures = fit(stage, learn, [spec.lr], 0.3)
            save_weights(None, stage.weights, config=critic.config, state=critic.state_dict())
            stage.finish(**figures)
        weights = stage.weights
    return weights
