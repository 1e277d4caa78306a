"""The systems of the seed documents as recipes: what each document says of its networks, losses and training.

`recipe("003")` gives a `Recipe`, `describe` says where each of its values comes from; `training.pix2pix` trains it.
docs/baselines.md tells of all of them.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch.nn.functional as F
import yaml

from ..errors import UsageError
from ..modeling.pix2pix import PATCHES, SPACES
from ..schedule import Augment, changed

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
                raise UsageError(f"{name} {getattr(self, name)!r} is unknown; choose {options}")
        for name in ("batch", "epochs", "size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")

    def override(self, changes: dict[str, str]) -> "Recipe":
        """A copy with fields changed: `{"pixel": "l2", "augment.saturation": "0.2"}`.

        Raises:
            ValueError: no such field, or no such value.
        """
        recipe = self
        for path, value in changes.items():
            if path.split(".")[0] in ("name", "document", "start", "sources"):
                raise UsageError(f"{path}: that is what makes the recipe this one")
            recipe = changed(recipe, path.split("."), value, path)
            recipe = replace(recipe, sources=recipe.sources | {path.split(".")[0]: "changed by hand"})
        return recipe

    def sized(self, size: int) -> "Recipe":
        """A copy for pictures of `size` pixels: the U-Net goes down as often as that halves, eight times at most.

        Raises:
            ValueError: not a multiple of 16.
        """
        if size < 16 or size % 16:
            raise UsageError(f"size must be a multiple of 16, not {size}")
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
            "epochs": "000, V: 'totally 100', there of 100 iterations each",
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
            "epochs": "004, E: '1500+' on its small data set; with instance norm 250 on the large one, 25 on faces",
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
        raise UsageError(f"recipe {name!r} is unknown; choose {', '.join(RECIPES)}")
    return RECIPES[name]


def describe(recipe: Recipe) -> str:
    "A recipe as text: each field, its value, and where that comes from."
    rows = [(f.name, str(getattr(recipe, f.name))) for f in fields(recipe) if f.name not in ("sources", "augment")]
    rows += [(f"augment.{k}", str(v)) for k, v in asdict(recipe.augment).items()]
    wide = max(len(name) for name, _ in rows)
    sources = [recipe.sources.get(name.split(".")[0], "") for name, _ in rows]
    return "\n".join(f"{name:{wide}}  {value:16}  {source}".rstrip() for (name, value), source in zip(rows, sources))
