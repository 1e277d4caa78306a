"""How the systems of the seed documents are trained: what `scripts/pix2pix.py` runs.

All are pix2pix (Isola et al. 2017, arXiv:1611.07004) or begin where it does: a U-Net that paints grey photos, a
PatchGAN that looks at what was seen beside what was painted, both trained together. They use the photos, run folders,
checkpoints and records of NoGAN training; docs/baselines.md says where they follow the documents.
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
from ..modeling.pix2pix import SPACES, UNETS, PatchGAN, Pix2Pix, init_normal_
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors, save_weights
from .data import Sampler, jitter
from .errors import TrainingDiverged
from .grey import clean_grey
from .recipes import GAN_LOSSES, PIXEL_LOSSES, Recipe
from .run import Run, Stage, picture_grid, read_log, remembered_photos

log = logging.getLogger(__name__)


def open_recipe(folder: Path, recipe: Recipe, photos: tuple[Path, ...] = (), **settings: Any) -> Run:
    """The run of a recipe: a folder of its own in `folder`, beside those of others, whose packed photos it shares.

    `settings` go to `Run`. Without `photos` it takes those that it had before.
    """
    budget = f"@{recipe.presentations}" if recipe.presentations else ""
    place = folder / (recipe.name + budget)
    return Run(place, recipe, remembered_photos(place, photos), cache=folder / "photos", **settings)


def train(run: Run) -> Path:
    """Train by the run's recipe, first what that starts from. Returns `generator.safetensors` in the run folder.

    Goes on where it was interrupted, to the same bits.

    Raises:
        TrainingDiverged: a loss became NaN or infinite; the last checkpoint stands.
        WrongCheckpoint: the folder holds the work of another recipe, or a damaged checkpoint.
    """
    recipe, result = run.schedule, run.folder / "generator.safetensors"
    stage = run.stage("train", recipe.identity)
    if stage.is_done:
        return result
    checkpoint = stage.resume()
    _ = run.sources  # no photos is the first thing to say
    start = None
    if recipe.start:
        settings = {k: getattr(run, k) for k in ("device", "precision", "encoder_weights", "checkpoint_seconds")}
        start = open_recipe(run.folder.parent, recipe.beginning, run.photos, **settings)
        train(start)
    run.keep()
    stage.seed_globally(-1)
    game = Game(stage, *_networks(run, start))
    if checkpoint:
        game.load_state(checkpoint["game"])
    figures = _play(stage, game)
    save_weights(game.generator, stage.weights)
    if game.critic is not None:
        save_weights(game.critic, critic_weights(run))
    save_weights(game.generator, result, dtype=torch.float16)  # all that a file needs
    stage.finish(**figures)
    return result


def critic_weights(run: Run) -> Path:
    "Where the critic of a finished recipe lies; a recipe without a GAN loss has none."
    return run.folder / "train" / "critic.safetensors"


def _networks(run: Run, start: Run | None) -> tuple[Pix2Pix, PatchGAN | None]:
    "Generator and critic, new or from where another recipe ended."
    recipe = run.schedule
    options = ("network", "space", "size", "down", "width", "norm", "activation", "dropout")
    generator = Pix2Pix(**{name: getattr(recipe, name) for name in options})
    if start is not None:
        weights = start.stage("train", {}).weights
        load_strictly(generator, read_safetensors(weights)[1], weights)
    elif recipe.network in UNETS:
        init_normal_(generator, recipe.init)
    elif recipe.pretrained:
        load_pretrained_encoder(generator.body.encoder, recipe.network, run.encoder_weights)
    critic = None
    if recipe.gan != "none":
        critic = init_normal_(PatchGAN(sum(SPACES[recipe.space]), recipe.patch, recipe.width, recipe.norm), recipe.init)
        if start is not None and critic_weights(start).exists():
            load_strictly(critic, read_safetensors(critic_weights(start))[1], critic_weights(start))
        critic.to(run.device)
    return generator.to(run.device), critic


class Game:
    "Generator against critic: both networks, their optimisers, and one step of both on one batch."

    def __init__(self, stage: Stage, generator: Pix2Pix, critic: PatchGAN | None):
        run, recipe = stage.run, stage.run.schedule
        self.stage, self.recipe, self.generator, self.critic = stage, recipe, generator.train(), critic
        self.generator_opt = torch.optim.Adam(generator.parameters(), recipe.lr, recipe.betas)
        if critic is not None:
            self.critic_opt = torch.optim.Adam(critic.train().parameters(), recipe.lr, recipe.betas)
        self.photos = run.pack(recipe.size)
        members = run.split(self.photos).train
        self.sampler = Sampler(members, self.photos.names, 1.0, recipe.seed, stage.name)
        shown = recipe.own_presentations if recipe.presentations else recipe.epochs * len(members)
        self.steps = max(1, round(shown / recipe.batch))
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
        "What both networks see and what ought to be painted, in [-1, 1]: a function of the step's number."
        recipe = self.recipe
        index = self.sampler.batch(step, recipe.batch)
        draw = self.stage.seed("batch", step)
        truth = self.photos.crops(index, recipe.size, recipe.augment, draw).to(self.stage.run.device)
        truth = jitter(truth, recipe.augment, draw)
        return self.generator.condition(clean_grey(truth)), self.generator.target(truth)

    def step(self) -> dict[str, float]:
        "The critic learns, then the generator, from the same painted batch. Returns the losses, named as in 003."
        self.stage.seed_globally(self.done)
        condition, target = self.batch(self.done)
        with autocast(condition.device, self.stage.run.precision):
            painted = self.generator.paint(condition)
        figures = {}
        if self.critic is not None:
            figures |= self.critic_step(condition, target, painted.detach())
        figures |= self.generator_step(condition, target, painted)
        self.done += 1
        return figures

    def critic_step(self, condition: Tensor, target: Tensor, painted: Tensor) -> dict[str, float]:
        "The critic learns to tell true colours from painted ones; both count a half."
        fake = self._verdict(condition, painted, real=False)
        real = self._verdict(condition, target, real=True)
        loss = (fake + real) / 2
        figures = self._finite(loss_D_fake=fake, loss_D_real=real, loss_D=loss)
        self.critic_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_opt.step()
        return figures

    def generator_step(self, condition: Tensor, target: Tensor, painted: Tensor) -> dict[str, float]:
        "The generator learns to pass as true and to be near the truth."
        pixel = self.recipe.pixel_weight * PIXEL_LOSSES[self.recipe.pixel](painted, target)
        parts, loss = {f"loss_G_{self.recipe.pixel.upper()}": pixel}, pixel
        if self.critic is not None:
            self.critic.requires_grad_(False)  # it is asked, not taught
            fooling = self._verdict(condition, painted, real=True)
            parts, loss = {"loss_G_GAN": fooling} | parts, fooling + pixel
        figures = self._finite(**parts, loss_G=loss)
        self.generator_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.generator_opt.step()
        if self.critic is not None:
            self.critic.requires_grad_(True)
        return figures

    def _verdict(self, condition: Tensor, picture: Tensor, *, real: bool) -> Tensor:
        "The loss of the critic's logits if `picture` ought to pass as real, or as fake."
        with autocast(condition.device, self.stage.run.precision):
            logits = self.critic(torch.cat([condition, picture], 1))
        return GAN_LOSSES[self.recipe.gan](logits, torch.full_like(logits, float(real)))

    def _finite(self, **losses: Tensor) -> dict[str, float]:
        "The losses as numbers, before any of them reaches the weights."
        figures = {name: float(loss.detach()) for name, loss in losses.items()}
        for name, value in figures.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name} became {value} at step {self.done + 1} of {self.steps}; the last checkpoint is untouched; "
                    "lower the learning rate, for instance --set lr=1e-4, or use --precision float32"
                )
        return figures


def _play(stage: Stage, game: Game) -> dict[str, float]:
    "All steps that are not done yet, with records, pictures and checkpoints. Returns figures."
    run, recipe, steps = stage.run, stage.run.schedule, game.steps
    often = max(1, min(20, steps // recipe.epochs))  # steps from record to record
    pictures = {max(1, round(e * steps / recipe.epochs)): e for e in (*recipe.samples, recipe.epochs)}
    tables = {round(e * steps / recipe.epochs) for e in range(recipe.table_every, recipe.epochs, recipe.table_every)}
    fixed = run.fixed_batch(recipe.size, 8)
    first = stage.first_step = game.done
    saved = recorded = time.monotonic()
    stage.begin()
    with tqdm(total=steps, initial=first, desc=run.folder.name, unit="step", disable=None) as bar:
        while game.done < steps:
            for name, value in game.step().items():
                game.sums[name] = game.sums.get(name, 0.0) + value
            bar.update()
            if game.done % often == 0 or game.done == steps:
                count, now = (game.done - 1) % often + 1, time.monotonic()
                means = {name: total / count for name, total in game.sums.items()}
                speed = {"samples_per_second": count * recipe.batch / (now - recorded)}
                stage.record(game.done, means | speed | memory_in_use(run.device))
                game.sums, recorded = {}, now
            if game.done in pictures:
                _show(stage, game, *fixed, run.folder / "samples" / f"epoch-{pictures[game.done]:04}.png")
            elif game.done % 200 == 0:
                _show(stage, game, *fixed)
            if game.done in tables or game.done in pictures:
                write_losses(run, steps, draw=game.done in pictures)
            if time.monotonic() - saved >= run.checkpoint_seconds:
                stage.save(game=game.state)
                saved = time.monotonic()
    return {
        "steps": steps,
        "batch": recipe.batch,
        "parameters": sum(p.numel() for p in game.generator.parameters()),
    } | stage.pace(steps * recipe.batch)


@torch.no_grad()
def _show(stage: Stage, game: Game, grey: Tensor, truth: Tensor, path: Path | None = None) -> None:
    "Rows of grey, painted and true photos, to TensorBoard and to `path`."
    with autocast(grey.device, stage.run.precision):
        painted = game.generator.eval()(grey)
    game.generator.train()
    grid = picture_grid(grey, painted, truth)
    stage.board.add_image("grey_ours_truth", grid.numpy(), game.done)
    if path is not None:
        with atomic_path(path) as temporary:
            Image.fromarray((grid * 255).round().byte().permute(1, 2, 0).numpy()).save(temporary, "PNG")


def write_losses(run: Run, steps: int, draw: bool = True) -> None:
    "What the log says of the losses: `losses.md`, a table every few epochs as in 003, and `losses.png`, as in 000."
    rows = read_log(run.folder, "train")
    recipe = run.schedule
    names = [name for name in rows[-1] if name.startswith("loss_")]
    table = [["epoch", "presentations", *names]]
    for epoch in sorted({*range(recipe.table_every, recipe.epochs + 1, recipe.table_every), recipe.epochs}):
        after, until = ((e * steps / recipe.epochs) for e in (epoch - 1, epoch))
        inside = [row for row in rows if after < row["step"] <= max(until, 1)]
        if inside:
            means = (sum(row[name] for row in inside) / len(inside) for name in names)
            table.append([str(epoch), str(round(until * recipe.batch)), *(f"{mean:.5f}" for mean in means)])
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
