"""The systems of the seed documents as recipes, and how they are trained: what `scripts/pix2pix.py` runs.

All are pix2pix (Isola et al. 2017, arXiv:1611.07004) or begin where it does: a U-Net that paints grey photos, a
PatchGAN that looks at what was seen beside what was painted, both trained together. They use the photos, run folders,
checkpoints and records of NoGAN training; docs/baselines.md says where they follow the documents.
"""

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ..device import autocast, memory_in_use
from ..files import atomic_path, write_atomically
from ..modeling.pix2pix import PATCHES, SPACES, UNETS, PatchGAN, Pix2Pix, init_normal_
from ..modeling.pretrained import load_pretrained_encoder
from ..modeling.weights import load_strictly, read_safetensors, save_weights
from ..schedule import Augment, changed
from .checkpoint import load_checkpoint, save_checkpoint
from .data import batch_index, jitter
from .errors import TrainingDiverged
from .grey import clean_grey
from .run import Run, Stage, picture_grid, remembered_photos

log = logging.getLogger(__name__)

GAN_LOSSES = {"vanilla": F.binary_cross_entropy_with_logits, "lsgan": F.mse_loss}  # lsgan: Mao et al. 2017
PIXEL_LOSSES = {"l1": F.l1_loss, "l2": F.mse_loss}
FLIPS = Augment(flip=0.5, zoom=1.0, rotate=0.0, brightness=0.0, contrast=0.0)


@dataclass(frozen=True)
class Recipe:
    """What one document says of its system; `sources` tells for each field where.

    An epoch is the document's: with `presentations` it is the same part of the whole training, whatever the photos.

    Raises:
        ValueError: a field has a value that there is no such thing for.
    """

    name: str
    document: str
    network: str  # isola or lindernoren (see `modeling.pix2pix.UNet`), or the encoder of a DynamicUnet
    space: str  # rgb or lab
    epochs: int  # passes over the photos, those of `start` not counted
    gan: str = "vanilla"  # vanilla (cross-entropy), lsgan (least squares) or none
    start: str = ""  # the recipe whose networks it goes on from
    pixel: str = "l1"  # or l2
    pixel_weight: float = 100.0
    batch: int = 16
    lr: float = 2e-4  # of both networks, constant
    betas: tuple[float, ...] = (0.5, 0.999)  # of Adam
    norm: str = "batch"  # or instance
    activation: str = "relu"  # leaky in encoder and critic; or swish, mish
    dropout: float = 0.5
    down: int = 8  # how many times the U-Net halves the picture
    width: int = 64  # of the first convolution of U-Net and critic
    patch: int = 70  # side of what one logit of the critic sees
    init: float = 0.02  # standard deviation of the first weights of U-Net and critic
    pretrained: bool = False  # the encoder of a DynamicUnet starts from ImageNet weights
    size: int = 256
    samples: tuple[int, ...] = ()  # epochs after which pictures are kept; after the last they always are
    table_every: int = 5  # epochs from row to row in the table of losses
    augment: Augment = FLIPS
    presentations: int = 0  # photos shown in all, by `start` as well; 0 follows from `epochs`
    validation: float = 0.02
    seed: int = 0
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for name, known in (
            ("gan", (*GAN_LOSSES, "none")),
            ("pixel", tuple(PIXEL_LOSSES)),
            ("space", tuple(SPACES)),
            ("patch", tuple(PATCHES)),
        ):
            if getattr(self, name) not in known:
                options = ", ".join(map(str, known))
                raise ValueError(f"{name} {getattr(self, name)!r} is unknown; choose {options}")
        for name in ("batch", "epochs", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def override(self, changes: dict[str, str]) -> "Recipe":
        """A copy with fields changed: `{"pixel": "l2", "augment.saturation": "0.2"}`.

        Raises:
            ValueError: no such field, or no such value.
        """
        recipe = self
        for path, value in changes.items():
            if path.split(".")[0] in ("name", "document", "start", "sources"):
                raise ValueError(f"{path}: that is what makes the recipe this one")
            recipe = changed(recipe, path.split("."), value, path)
            recipe = replace(recipe, sources=recipe.sources | {path.split(".")[0]: "changed by hand"})
        return recipe

    def sized(self, size: int) -> "Recipe":
        """A copy for pictures of `size` pixels: the U-Net goes down as often as that halves, eight times at most.

        Raises:
            ValueError: not a multiple of 16.
        """
        if size < 16 or size % 16:
            raise ValueError(f"size must be a multiple of 16, not {size}")
        down = next(d for d in range(8, 3, -1) if size % 2**d == 0)
        by_hand = {"size": "changed by hand", "down": "follows from the size"}
        return replace(self, size=size, down=down, sources=self.sources | by_hand)

    @property
    def all_epochs(self) -> int:
        "Its own and those of what it starts from."
        return self.epochs + (RECIPES[self.start].all_epochs if self.start else 0)

    @property
    def own_presentations(self) -> int:
        "Its share of `presentations`, by epochs."
        return round(self.presentations * self.epochs / self.all_epochs)

    @property
    def beginning(self) -> "Recipe | None":
        "What it starts from, on the same photos and with the same networks."
        if not self.start:
            return None
        same = {name: getattr(self, name) for name in HANDED_ON}
        rest = max(1, self.presentations - self.own_presentations) if self.presentations else 0
        return replace(RECIPES[self.start], **same, presentations=rest)

    @property
    def identity(self) -> dict[str, Any]:
        "All that decides what comes out."
        about = {k: v for k, v in asdict(self).items() if k not in ("sources", "samples", "table_every")}
        return about | {"start": self.beginning.identity if self.start else ""}

    def to_yaml(self) -> str:
        return yaml.safe_dump(json.loads(json.dumps(asdict(self))), sort_keys=False)


# Fields in which a recipe and what it starts from agree.
HANDED_ON = (
    *("network", "space", "norm", "activation", "dropout", "down", "width", "patch", "init", "pretrained"),
    *("size", "batch", "augment", "validation", "seed"),
)

# Where a document is silent, the paper that they all build on; the sections are those of arXiv:1611.07004v3.
ISOLA = {
    "down": "Isola et al. 6.1.1",
    "width": "Isola et al. 6.1.1",
    "dropout": "Isola et al. 6.1.1",
    "patch": "Isola et al. 6.1.2",
    "init": "Isola et al. 6.2",
    "lr": "Isola et al. 3.3",
    "betas": "Isola et al. 3.3",
    "pixel_weight": "Isola et al. 4.1",
    "norm": "Isola et al. 6.1",
    "activation": "Isola et al. 6.1",
    "augment": "flips: Isola et al. 6.2; crops instead of squeezing: ours",
    "validation": "ours",
}
OURS_002 = "not stated; as in 003, which tells of the same notebook"


def _recipes() -> tuple[Recipe, ...]:
    of_000 = Recipe(
        name="000",
        document="000",
        network="lindernoren",
        space="rgb",
        gan="lsgan",
        epochs=100,
        batch=1,
        norm="instance",
        samples=(1, 5, 40, 100),
        sources=ISOLA
        | {
            "network": "000, III, listing of GeneratorUNet",
            "space": "000, III, Preprocessing",
            "gan": "000, Evaluation: MSE loss",
            "pixel": "000, Evaluation",
            "pixel_weight": "000, Evaluation: 'times 100'",
            "epochs": "000, V: 'totally 100'",
            "samples": "000, IV",
            "norm": "000, III, listing",
            "activation": "000, III, listing",
            "dropout": "000, III, listing",
            "down": "000, III, listing",
            "width": "000, III, listing",
            "batch": "not stated; 1 in the code that it names (PyTorch-GAN)",
            "lr": "not stated; 2e-4 in the code that it names, as Isola et al. 3.3",
            "betas": "not stated; as in the code that it names, and Isola et al. 3.3",
            "init": "not stated; as in the code that it names, and Isola et al. 6.2",
            "size": "not stated; 8 down lead to a single point",
        },
    )
    unet = Recipe(
        name="002-unet-30",
        document="002",
        network="resnet18",
        space="lab",
        gan="none",
        epochs=30,
        pixel_weight=1.0,
        betas=(0.5, 0.99),
        pretrained=True,
        sources=ISOLA
        | {
            "network": "002, U-Net predtreniranje",
            "pretrained": "002, U-Net predtreniranje",
            "space": "002, Skup podataka",
            "size": "002, Skup podataka",
            "batch": "002, Skup podataka",
            "epochs": "002, U-Net predtreniranje",
            "gan": "002, U-Net predtreniranje",
            "pixel": "002, U-Net predtreniranje",
            "pixel_weight": "002, U-Net predtreniranje",
            "lr": "002, Low-Lambda Vanilla-GAN: 'svi su modeli'",
            "betas": "002, Low-Lambda Vanilla-GAN: 'svi su modeli'",
            "patch": "002, PatchGAN Diskriminator",
            "norm": "002, PatchGAN Diskriminator",
            "init": OURS_002,
        },
    )

    def gan_002(name: str, section: str, gan: str, pixel_weight: float = 100.0, **more: Any) -> Recipe:
        changes = {"gan": gan, "pixel_weight": pixel_weight, "start": unet.name, "epochs": 20} | more
        sources = {k: f"002, {section}" for k in changes} | {"pixel_weight": "002, Low-Lambda Vanilla-GAN"}
        return replace(unet, name=name, **changes, sources=unet.sources | sources)

    of_002 = (
        unet,
        gan_002("002-vanilla-20", "Vanilla-GAN", "vanilla"),
        gan_002("002-lsgan-20", "LS-GAN", "lsgan"),
        gan_002("002-lsgan-30", "LS-GAN", "lsgan", start="002-lsgan-20", epochs=10),
        gan_002("002-low-lambda-20", "Low-Lambda Vanilla-GAN", "vanilla", 50.0),
    )
    of_003 = Recipe(
        name="003",
        document="003",
        network="isola",
        space="lab",
        gan="vanilla",
        epochs=100,
        samples=(5, 20, 40, 100),
        sources=ISOLA
        | {
            "network": "003, VI.A",
            "down": "003, VI.A",
            "space": "003, IV.A",
            "gan": "003, VI.C",
            "pixel": "003, IV.B",
            "pixel_weight": "003, VI.E",
            "patch": "003, VI.B",
            "norm": "003, VI.B",
            "init": "003, VI.D",
            "epochs": "003, VI.F: 'about 100 epochs'",
            "table_every": "003, VI.F",
            "samples": "003, VI.F",
            "size": "003, VI.A",
            "batch": "not stated; 16 in 002, which tells of the same notebook",
        },
    )
    batch_004 = Recipe(
        name="004-batch",
        document="004",
        network="isola",
        space="rgb",
        gan="vanilla",
        epochs=1500,
        batch=32,
        norm="batch",
        dropout=0.0,
        sources=ISOLA
        | {
            "network": "004, Figures 9 and 10",
            "down": "004, Figures 9 and 10",
            "width": "004, Figures 9 and 10",
            "dropout": "004, Figures 9 and 10: none in the table",
            "space": "004, Figures 9, 10 and 12: three channels in, three out, six to the critic",
            "size": "004, Figure 9",
            "gan": "004, Generator Loss; Figure 12: sigmoid",
            "pixel": "004, Generator Loss",
            "patch": "004, Figure 12: its 30 x 30 logits see 70 x 70 pixels each",
            "norm": "004, E, Batch Normalization Results",
            "epochs": "004, E: '1500+' on its small data set; 250 on the large one, 25 on faces",
            "batch": "004, E",
            "lr": "004, E",
        },
    )
    instance_004 = replace(
        batch_004,
        name="004-instance",
        norm="instance",
        sources=batch_004.sources | {"norm": "004, E, Instance Normalization Results"},
    )
    return (of_000, *of_002, of_003, batch_004, instance_004)


RECIPES = {recipe.name: recipe for recipe in _recipes()}


def recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        ValueError: no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown; choose {', '.join(RECIPES)}")
    return RECIPES[name]


def describe(recipe: Recipe) -> str:
    "A recipe as text: each field, its value, and where that comes from."
    rows = [(f.name, str(getattr(recipe, f.name))) for f in fields(recipe) if f.name not in ("sources", "augment")]
    rows += [(f"augment.{k}", str(v)) for k, v in asdict(recipe.augment).items()]
    wide = max(len(name) for name, _ in rows)
    sources = [recipe.sources.get(name.split(".")[0], "") for name, _ in rows]
    return "\n".join(f"{name:{wide}}  {value:16}  {source}".rstrip() for (name, value), source in zip(rows, sources))


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
    checkpoint = load_checkpoint(stage.checkpoint)
    if checkpoint:
        stage.check(checkpoint["recipe"])
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
        self.members = run.split(self.photos).train
        shown = recipe.own_presentations if recipe.presentations else recipe.epochs * len(self.members)
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
        index = batch_index(self.members, step, recipe.batch, recipe.seed, self.stage.name)
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
    began = saved = recorded = time.monotonic()
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
                save_checkpoint(stage.checkpoint, {"recipe": stage.recipe, "game": game.state})
                saved = time.monotonic()
    seconds = time.monotonic() - began
    return {
        "steps": steps,
        "batch": recipe.batch,
        "presentations": steps * recipe.batch,
        "seconds": round(seconds, 1),
        "samples_per_second": round((steps - first) * recipe.batch / seconds, 2),
        "parameters": sum(p.numel() for p in game.generator.parameters()),
    }


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
    lines = (json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines())
    rows = list({row["step"]: row for row in lines}.values())  # steps done again after a kill count once
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
