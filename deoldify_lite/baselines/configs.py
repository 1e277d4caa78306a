"""The configs of the baselines: what each of the four documents says of its networks, losses and training.

`config("pix2pix-lab")`, or by its number in the documents `config("003")`, returns a `BaselineConfig`; `describe` names
the place of each value in the documents. docs/baselines.md has them all in a table.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch.nn.functional as F
import yaml

from ..errors import UsageError
from ..schedule import Augment, changed
from .networks import PATCHES, SPACES

GAN_LOSSES = {"vanilla": F.binary_cross_entropy_with_logits, "lsgan": F.mse_loss}  # lsgan: Mao et al. 2017
PIXEL_LOSSES = {"l1": F.l1_loss, "l2": F.mse_loss}
FLIPS = Augment(flip=0.5, zoom=1.0, rotate=0.0, brightness=0.0, contrast=0.0)
BY_HAND = "changed by hand"


@dataclass(frozen=True)
class BaselineConfig:
    """Networks, losses and training of one baseline.

    An epoch is the document's: with `samples_seen` it is the same fraction of the training, however many photos there
    are.

    Raises:
        UsageError: a field has an unknown value.
    """

    name: str
    alias: str  # its number in the documents
    network: str  # isola or lindernoren (see `networks.UNet`), or the encoder of a DynamicUnet
    space: str  # rgb or lab
    epochs: int  # passes over the photos, those of `init_from` not counted
    gan: str = "vanilla"  # vanilla (cross-entropy), lsgan (least squares) or none
    init_from: str = ""  # the config whose trained networks it starts from
    pixel: str = "l1"  # or l2
    pixel_weight: float = 100.0
    batch: int = 16
    lr: float = 2e-4  # of both networks, constant
    betas: tuple[float, ...] = (0.5, 0.999)  # of Adam
    norm: str = "batch"  # or instance
    activation: str = "relu"  # leaky in encoder and critic; or swish, mish
    dropout: float = 0.5
    down: int = 8  # how many times the U-Net halves the picture
    width: int = 64  # channels of the first convolution of U-Net and critic
    patch: int = 70  # side of the patch that one logit of the critic sees
    init: float = 0.02  # standard deviation of the initial weights of U-Net and critic
    pretrained: bool = False  # the encoder of a DynamicUnet starts from ImageNet weights
    size: int = 256
    picture_epochs: tuple[int, ...] = ()  # epochs after which pictures are kept; after the last they always are
    table_every: int = 5  # epochs from row to row in the table of losses
    augment: Augment = FLIPS
    samples_seen: int = 0  # photos in all, those of `init_from` included; 0: `epochs` decide
    validation: float = 0.02
    seed: int = 0
    sources: dict[str, str] = field(default_factory=dict)  # where each value is stated

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

    @property
    def document(self) -> str:
        return self.alias[:3]

    def override(self, changes: dict[str, str]) -> "BaselineConfig":
        """A copy with fields changed: `{"pixel": "l2", "augment.saturation": "0.2"}`.

        Raises:
            UsageError: no such field, or no such value.
        """
        config = self
        for path, value in changes.items():
            name = path.split(".")[0]
            if name in ("name", "alias", "init_from", "sources"):
                raise UsageError(f"{path} is what makes the config this one and cannot be changed")
            config = changed(config, path.split("."), value, path)
            config = replace(config, sources=config.sources | {name: BY_HAND})
        return config

    def sized(self, size: int) -> "BaselineConfig":
        """A copy for photos of `size` pixels: the U-Net goes down as often as that can be halved, eight times at most.

        Raises:
            UsageError: not a multiple of 16.
        """
        if size < 16 or size % 16:
            raise UsageError(f"size must be a multiple of 16, not {size}")
        down = next(d for d in range(8, 3, -1) if size % 2**d == 0)
        return replace(self, size=size, down=down, sources=self.sources | {"size": BY_HAND, "down": "follows size"})

    @property
    def all_epochs(self) -> int:
        "Its own and those of the config that it starts from."
        return self.epochs + (CONFIGS[self.init_from].all_epochs if self.init_from else 0)

    @property
    def own_samples_seen(self) -> int:
        "Its part of `samples_seen`, by epochs."
        return round(self.samples_seen * self.epochs / self.all_epochs)

    @property
    def initial(self) -> "BaselineConfig | None":
        "The config that it starts from, for the same photos and the same networks."
        if not self.init_from:
            return None
        same = {name: getattr(self, name) for name in SHARED}
        rest = max(1, self.samples_seen - self.own_samples_seen) if self.samples_seen else 0
        return replace(CONFIGS[self.init_from], **same, samples_seen=rest)

    @property
    def fingerprint(self) -> dict[str, Any]:
        "All that decides the result."
        ignored = ("alias", "sources", "picture_epochs", "table_every")
        initial = self.initial.fingerprint if self.init_from else ""
        return {k: v for k, v in asdict(self).items() if k not in ignored} | {"init_from": initial}

    def to_yaml(self) -> str:
        return yaml.safe_dump(json.loads(json.dumps(asdict(self))), sort_keys=False)


# Fields in which a config and the one that it starts from agree.
SHARED = (
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


def _config(name: str, alias: str, base: BaselineConfig | None = None, **stated: tuple[Any, str]) -> BaselineConfig:
    "A config, or a changed copy of `base`, from (value, where the document states it) for each field."
    values = {field: value for field, (value, _) in stated.items()}
    sources = {field: place for field, (_, place) in stated.items()}
    if base is None:
        return BaselineConfig(name=name, alias=alias, **values, sources=ISOLA | sources)
    return replace(base, name=name, alias=alias, **values, sources=base.sources | sources)


def _configs() -> tuple[BaselineConfig, ...]:
    rgb = _config(
        "pix2pix-rgb",
        "000",
        network=("lindernoren", "000, III, listing of GeneratorUNet"),
        space=("rgb", "000, III, Preprocessing"),
        gan=("lsgan", "000, Evaluation: MSE loss"),
        pixel=("l1", "000, Evaluation"),
        pixel_weight=(100.0, "000, Evaluation: 'times 100'"),
        epochs=(100, "000, V: 'totally 100', there of 100 iterations each"),
        picture_epochs=((1, 5, 40, 100), "000, IV"),
        norm=("instance", "000, III, listing"),
        activation=("relu", "000, III, listing"),
        dropout=(0.5, "000, III, listing"),
        down=(8, "000, III, listing"),
        width=(64, "000, III, listing"),
        batch=(1, "not stated; 1 in the code that it names (PyTorch-GAN)"),
        lr=(2e-4, "not stated; 2e-4 in the code that it names, as Isola et al. 3.3"),
        betas=((0.5, 0.999), "not stated; as in the code that it names, and Isola et al. 3.3"),
        init=(0.02, "not stated; as in the code that it names, and Isola et al. 6.2"),
        size=(256, "not stated; 8 down lead to one pixel"),
    )
    unet = _config(
        "unet-resnet18",
        "002-unet-30",
        network=("resnet18", "002, U-Net predtreniranje"),
        pretrained=(True, "002, U-Net predtreniranje"),
        space=("lab", "002, Skup podataka"),
        size=(256, "002, Skup podataka"),
        batch=(16, "002, Skup podataka"),
        epochs=(30, "002, U-Net predtreniranje"),
        gan=("none", "002, U-Net predtreniranje"),
        pixel=("l1", "002, U-Net predtreniranje"),
        pixel_weight=(1.0, "002, U-Net predtreniranje"),
        lr=(2e-4, "002, Low-Lambda Vanilla-GAN: 'svi su modeli'"),
        betas=((0.5, 0.99), "002, Low-Lambda Vanilla-GAN: 'svi su modeli'"),
        patch=(70, "002, PatchGAN Diskriminator"),
        norm=("batch", "002, PatchGAN Diskriminator"),
        init=(0.02, "not stated; as in 003, which tells of the same notebook"),
    )

    def gan_002(name: str, alias: str, section: str, gan: str, **stated: tuple[Any, str]) -> BaselineConfig:
        usual = {
            "gan": (gan, f"002, {section}"),
            "pixel_weight": (100.0, "002, Low-Lambda Vanilla-GAN"),
            "init_from": (unet.name, f"002, {section}"),
            "epochs": (20, f"002, {section}"),
        }
        return _config(name, alias, unet, **usual | stated)

    lsgan = gan_002("pix2pix-resnet18-lsgan", "002-lsgan-20", "LS-GAN", "lsgan")
    lab = _config(
        "pix2pix-lab",
        "003",
        network=("isola", "003, VI.A"),
        down=(8, "003, VI.A"),
        space=("lab", "003, IV.A"),
        gan=("vanilla", "003, VI.C"),
        pixel=("l1", "003, IV.B"),
        pixel_weight=(100.0, "003, VI.E"),
        patch=(70, "003, VI.B"),
        norm=("batch", "003, VI.B"),
        init=(0.02, "003, VI.D"),
        epochs=(100, "003, VI.F: 'about 100 epochs'"),
        table_every=(5, "003, VI.F"),
        picture_epochs=((5, 20, 40, 100), "003, VI.F"),
        size=(256, "003, VI.A"),
        batch=(16, "not stated; 16 in 002, which tells of the same notebook"),
    )
    batchnorm = _config(
        "pix2pix-rgb-batchnorm",
        "004-batch",
        network=("isola", "004, Figures 9 and 10"),
        down=(8, "004, Figures 9 and 10"),
        width=(64, "004, Figures 9 and 10"),
        dropout=(0.0, "004, Figures 9 and 10: none in the table"),
        space=("rgb", "004, Figures 9, 10 and 12: three channels in, three out, six to the critic"),
        size=(256, "004, Figure 9"),
        gan=("vanilla", "004, Generator Loss; Figure 12: sigmoid"),
        pixel=("l1", "004, Generator Loss"),
        patch=(70, "004, Figure 12: its 30 x 30 logits see 70 x 70 pixels each"),
        norm=("batch", "004, E, Batch Normalization Results"),
        epochs=(1500, "004, E: '1500+' on its small data set; with instance norm 250 on the large one, 25 on faces"),
        batch=(32, "004, E"),
        lr=(2e-4, "004, E"),
    )
    return (
        rgb,
        unet,
        gan_002("pix2pix-resnet18", "002-vanilla-20", "Vanilla-GAN", "vanilla"),
        lsgan,
        gan_002(
            "pix2pix-resnet18-lsgan-long",
            "002-lsgan-30",
            "LS-GAN",
            "lsgan",
            init_from=(lsgan.name, "002, LS-GAN"),
            epochs=(10, "002, LS-GAN"),
        ),
        gan_002(
            "pix2pix-resnet18-l1x50",
            "002-low-lambda-20",
            "Low-Lambda Vanilla-GAN",
            "vanilla",
            pixel_weight=(50.0, "002, Low-Lambda Vanilla-GAN"),
        ),
        lab,
        batchnorm,
        _config(
            "pix2pix-rgb-instancenorm",
            "004-instance",
            batchnorm,
            norm=("instance", "004, E, Instance Normalization Results"),
        ),
    )


CONFIGS = {config.name: config for config in _configs()}
ALIASES = {config.alias: config.name for config in CONFIGS.values()}


def config(name: str) -> BaselineConfig:
    """A config by its name, or by its number in the documents.

    Raises:
        UsageError: no such config.
    """
    if (known := ALIASES.get(name, name)) not in CONFIGS:
        raise UsageError(f"config {name!r} is unknown; choose {', '.join(CONFIGS)}")
    return CONFIGS[known]


def describe(config: BaselineConfig) -> str:
    "A config as text: each field, its value, and where that is stated."
    rows = [(f.name, str(getattr(config, f.name))) for f in fields(config) if f.name not in ("sources", "augment")]
    rows += [(f"augment.{k}", str(v)) for k, v in asdict(config.augment).items()]
    wide = max(len(name) for name, _ in rows)
    sources = [config.sources.get(name.split(".")[0], "") for name, _ in rows]
    return "\n".join(f"{name:{wide}}  {value:16}  {source}".rstrip() for (name, value), source in zip(rows, sources))
