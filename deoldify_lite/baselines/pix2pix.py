"""Training of the baselines: `deoldify-lite pix2pix`.

All are pix2pix (Isola et al. 2017, arXiv:1611.07004) or its generator alone: a U-Net that predicts colour, and a
PatchGAN that gets its input beside its output, trained together. They use the photos, run folders, checkpoints and
records of NoGAN training; docs/baselines.md says where they follow the documents.
"""

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ..device import autocast, memory_in_use
from ..files import atomic_path, write_atomically
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors, save_weights
from ..training.callbacks import picture_grid
from ..training.data import Sampler, jitter
from ..training.degradation import grayscale_input
from ..training.errors import TrainingDiverged
from ..training.log import read_log
from ..training.run import RunFolder, remembered_photos
from ..training.stage import Stage
from .configs import GAN_LOSSES, PIXEL_LOSSES, BaselineConfig
from .networks import SPACES, UNETS, PatchGAN, Pix2Pix, init_normal_

log = logging.getLogger(__name__)


def open_baseline(folder: Path, config: BaselineConfig, photos: tuple[Path, ...] = (), **settings: Any) -> RunFolder:
    """The run of a config: a folder of its own in `folder`, beside those of others, whose packed photos it shares.

    `settings` go to `RunFolder`. Without `photos` it takes those that it had before.
    """
    budget = f"@{config.samples_seen}" if config.samples_seen else ""
    place = folder / (config.name + budget)
    return RunFolder(place, config, remembered_photos(place, photos), cache=folder / "photos", **settings)


def train(run: RunFolder) -> Path:
    """Train the run's config, first the one that it starts from. Returns `generator.safetensors` in the run folder.

    Goes on where it was interrupted, to the same bits.

    Raises:
        TrainingDiverged: a loss became NaN or infinite; the last checkpoint stands.
        WrongCheckpoint: the folder holds the work of another config, or a damaged checkpoint.
    """
    config, result = run.settings, run.folder / "generator.safetensors"
    stage = run.stage("train", config.fingerprint)
    if stage.is_done:
        return result
    checkpoint = stage.resume()
    _ = run.sources  # no photos is the first thing to say
    initial = None
    if config.init_from:
        settings = {k: getattr(run, k) for k in ("device", "precision", "encoder_weights", "checkpoint_seconds")}
        initial = open_baseline(run.folder.parent, config.initial, run.photos, **settings)
        train(initial)
    run.keep()
    stage.seed_globally(-1)
    training = Pix2PixTraining(stage, *_networks(run, initial))
    if checkpoint:
        training.load_state(checkpoint["training"])
    metrics = _play(stage, training)
    save_weights(training.generator, stage.weights)
    if training.critic is not None:
        save_weights(training.critic, critic_weights(run))
    save_weights(training.generator, result, dtype=torch.float16)  # all that a file needs
    stage.finish(**metrics)
    return result


def critic_weights(run: RunFolder) -> Path:
    "Where the critic of a finished run lies; one without a GAN loss has none."
    return run.folder / "train" / "critic.safetensors"


def _networks(run: RunFolder, initial: RunFolder | None) -> tuple[Pix2Pix, PatchGAN | None]:
    "Generator and critic, new or from a finished run."
    config = run.settings
    options = ("network", "space", "size", "down", "width", "norm", "activation", "dropout")
    generator = Pix2Pix(**{name: getattr(config, name) for name in options})
    if initial is not None:
        weights = initial.stage("train", {}).weights
        load_strictly(generator, read_safetensors(weights)[1], weights)
    elif config.network in UNETS:
        init_normal_(generator, config.init)
    elif config.pretrained:
        load_pretrained_encoder(generator.body.encoder, config.network, run.encoder_weights)
    critic = None
    if config.gan != "none":
        critic = init_normal_(PatchGAN(sum(SPACES[config.space]), config.patch, config.width, config.norm), config.init)
        if initial is not None and critic_weights(initial).exists():
            load_strictly(critic, read_safetensors(critic_weights(initial))[1], critic_weights(initial))
        critic.to(run.device)
    return generator.to(run.device), critic


class Pix2PixTraining:
    "Generator against critic: both networks, their optimisers, and one step of both on one batch."

    def __init__(self, stage: Stage, generator: Pix2Pix, critic: PatchGAN | None):
        run, config = stage.run, stage.run.settings
        self.stage, self.config, self.generator, self.critic = stage, config, generator.train(), critic
        self.generator_opt = torch.optim.Adam(generator.parameters(), config.lr, config.betas)
        if critic is not None:
            self.critic_opt = torch.optim.Adam(critic.train().parameters(), config.lr, config.betas)
        self.photos = run.pack(config.size)
        members = run.split(self.photos).train
        self.sampler = Sampler(members, self.photos.names, 1.0, config.seed, stage.name)
        shown = config.own_samples_seen if config.samples_seen else config.epochs * len(members)
        self.steps = max(1, round(shown / config.batch))
        self.done = 0
        self.sums: dict[str, float] = {}  # of each figure since it was last recorded

    @property
    def state(self) -> dict[str, Any]:
        "All that a step depends on besides the seed."
        state = {"generator": self.generator.state_dict(), "generator_opt": self.generator_opt.state_dict()}
        if self.critic is not None:
            state |= {"critic": self.critic.state_dict(), "critic_opt": self.critic_opt.state_dict()}
        return state | {"done": self.done, "sums": self.sums}

    def load_state(self, state: dict[str, Any]) -> None:
        for name in ("generator", "generator_opt", "critic", "critic_opt"):
            if name in state:
                getattr(self, name).load_state_dict(state[name])
        self.done, self.sums = state["done"], state["sums"]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        "Condition and target, in [-1, 1]: a function of the step's number."
        config = self.config
        index = self.sampler.batch(step, config.batch)
        draw = self.stage.seed("batch", step)
        target = self.photos.crops(index, config.size, config.augment, draw).to(self.stage.run.device)
        target = jitter(target, config.augment, draw)
        return self.generator.condition(grayscale_input(target)), self.generator.target(target)

    def step(self) -> dict[str, float]:
        "The critic learns, then the generator, from the same prediction. Returns the losses, named as in 003."
        self.stage.seed_globally(self.done)
        condition, target = self.batch(self.done)
        with autocast(condition.device, self.stage.run.precision):
            prediction = self.generator.predict(condition)
        metrics = {}
        if self.critic is not None:
            metrics |= self.critic_step(condition, target, prediction.detach())
        metrics |= self.generator_step(condition, target, prediction)
        self.done += 1
        return metrics

    def critic_step(self, condition: Tensor, target: Tensor, prediction: Tensor) -> dict[str, float]:
        "The critic learns to tell the target from the prediction; both count a half."
        fake = self._gan_loss(condition, prediction, real=False)
        real = self._gan_loss(condition, target, real=True)
        loss = (fake + real) / 2
        metrics = self._finite(loss_D_fake=fake, loss_D_real=real, loss_D=loss)
        self.critic_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_opt.step()
        return metrics

    def generator_step(self, condition: Tensor, target: Tensor, prediction: Tensor) -> dict[str, float]:
        "The generator learns to pass as real and to be near the target."
        pixel = self.config.pixel_weight * PIXEL_LOSSES[self.config.pixel](prediction, target)
        parts, loss = {f"loss_G_{self.config.pixel.upper()}": pixel}, pixel
        if self.critic is not None:
            self.critic.requires_grad_(False)  # it is not trained here
            fooling = self._gan_loss(condition, prediction, real=True)
            parts, loss = {"loss_G_GAN": fooling} | parts, fooling + pixel
        metrics = self._finite(**parts, loss_G=loss)
        self.generator_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.generator_opt.step()
        if self.critic is not None:
            self.critic.requires_grad_(True)
        return metrics

    def _gan_loss(self, condition: Tensor, picture: Tensor, *, real: bool) -> Tensor:
        "The loss of the critic's logits if `picture` ought to pass as real, or as fake."
        with autocast(condition.device, self.stage.run.precision):
            logits = self.critic(torch.cat([condition, picture], 1))
        return GAN_LOSSES[self.config.gan](logits, torch.full_like(logits, float(real)))

    def _finite(self, **losses: Tensor) -> dict[str, float]:
        "The losses as numbers, before any of them reaches the weights."
        metrics = {name: float(loss.detach()) for name, loss in losses.items()}
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name} became {value} at step {self.done + 1} of {self.steps}; the last checkpoint is untouched; "
                    "lower the learning rate, for instance --set lr=1e-4, or use --precision float32"
                )
        return metrics


def _play(stage: Stage, training: Pix2PixTraining) -> dict[str, float]:
    "All steps that are not done yet, with records, pictures and checkpoints. Returns metrics."
    run, config, steps = stage.run, stage.run.settings, training.steps
    often = max(1, min(20, steps // config.epochs))  # steps from record to record
    pictures = {max(1, round(e * steps / config.epochs)): e for e in (*config.picture_epochs, config.epochs)}
    tables = {round(e * steps / config.epochs) for e in range(config.table_every, config.epochs, config.table_every)}
    fixed = run.fixed_batch(config.size, 8)
    first = stage.first_step = training.done
    saved = recorded = time.monotonic()
    stage.begin()
    with tqdm(total=steps, initial=first, desc=run.folder.name, unit="step", disable=None) as bar:
        while training.done < steps:
            for name, value in training.step().items():
                training.sums[name] = training.sums.get(name, 0.0) + value
            bar.update()
            if training.done % often == 0 or training.done == steps:
                count, now = (training.done - 1) % often + 1, time.monotonic()
                means = {name: total / count for name, total in training.sums.items()}
                speed = {"samples_per_second": count * config.batch / (now - recorded)}
                stage.tracker.scalars(training.done, means | speed | memory_in_use(run.device))
                training.sums, recorded = {}, now
            if training.done in pictures:
                _show(stage, training, *fixed, run.folder / "samples" / f"epoch-{pictures[training.done]:04}.png")
            elif training.done % 200 == 0:
                _show(stage, training, *fixed)
            if training.done in tables or training.done in pictures:
                write_losses(run, steps, draw=training.done in pictures)
            if time.monotonic() - saved >= run.checkpoint_seconds:
                stage.save(training=training.state)
                saved = time.monotonic()
    return {
        "steps": steps,
        "batch": config.batch,
        "parameters": sum(p.numel() for p in training.generator.parameters()),
    } | stage.throughput(steps * config.batch)


@torch.no_grad()
def _show(stage: Stage, training: Pix2PixTraining, grey: Tensor, target: Tensor, path: Path | None = None) -> None:
    "Rows of input, prediction and target, to TensorBoard and to `path`."
    with autocast(grey.device, stage.run.precision):
        prediction = training.generator.eval()(grey)
    training.generator.train()
    grid = picture_grid(grey, prediction, target)
    stage.tracker.image(training.done, "grey_ours_truth", grid)
    if path is not None:
        with atomic_path(path) as temporary:
            Image.fromarray((grid * 255).round().byte().permute(1, 2, 0).numpy()).save(temporary, "PNG")


def write_losses(run: RunFolder, steps: int, draw: bool = True) -> None:
    "What the log says of the losses: `losses.md`, a table every few epochs as in 003, and `losses.png`, as in 000."
    rows = read_log(run.folder, "train")
    config = run.settings
    names = [name for name in rows[-1] if name.startswith("loss_")]
    table = [["epoch", "samples_seen", *names]]
    for epoch in sorted({*range(config.table_every, config.epochs + 1, config.table_every), config.epochs}):
        after, until = ((e * steps / config.epochs) for e in (epoch - 1, epoch))
        inside = [row for row in rows if after < row["step"] <= max(until, 1)]
        if inside:
            means = (sum(row[name] for row in inside) / len(inside) for name in names)
            table.append([str(epoch), str(round(until * config.batch)), *(f"{mean:.5f}" for mean in means)])
    table.insert(1, ["---:"] * len(table[0]))
    write_atomically(run.folder / "losses.md", "".join(f"| {' | '.join(cells)} |\n" for cells in table))
    if draw:
        _draw_losses(rows, run.folder / "losses.png")


def _draw_losses(rows: list[dict[str, float]], path: Path) -> None:
    "The generator's loss in blue and the critic's in red, over the steps."
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axis = figure.subplots()
    for name, label, colour in (("loss_G", "generator", "tab:blue"), ("loss_D", "critic", "tab:red")):
        if name in rows[-1]:
            axis.plot([r["step"] for r in rows], [r[name] for r in rows], color=colour, label=label, linewidth=0.8)
    axis.set_yscale("log")
    axis.set_xlabel("steps")
    axis.set_ylabel("loss")
    axis.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
