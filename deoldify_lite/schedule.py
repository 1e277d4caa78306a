"""The NoGAN schedule as data: which stage trains what, on which pictures, how fast and for how long.

`presets.preset("lite")` gives a `Schedule`; `schedule.override({"gan.lr": "2e-5"})` changes fields; `to_yaml` and
`from_yaml` keep it beside every run.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from .errors import UsageError


@dataclass(frozen=True)
class Networks:
    "What is trained."

    generator: str = "lite"  # lite, lite-rgb, deep or wide; or restorer, which restores instead of colorizing
    encoder: str = "resnet34"  # of lite and restorer: any torchvision ResNet or timm feature backbone
    pretrained: bool = True  # start the encoder from ImageNet weights
    attention: bool = True  # of lite: self-attention at an eighth of the picture's side (Zhang et al. 2018)
    padding: str = "zeros"  # of lite, at the picture's border: zeros, or replicate
    blur: str = "top_left"  # of lite: where the decoder's blur is padded; bottom_right suits ResNets
    smooth: bool = False  # of lite: predictions are means over 3 x 3 pixels
    cast: float = 1.0  # of lite: how much of a prediction's mean over the picture stays
    magenta: float = 1.0  # of lite: how much of predictions between violet and crimson stays
    width: int = 32  # of the restorer: channels at half of the side of a picture
    init_from: str = ""  # start from these weights instead: lite, or a file
    frozen_statistics: bool = False  # BatchNorm keeps its running means and variances
    critic: str = "patch"  # patch: DeOldify's; projected: heads on pretrained features (Sauer et al. 2021)
    critic_backbone: str = "tf_efficientnet_lite0"  # of the projected critic; pretrained if `pretrained`
    critic_width: int = 256  # channels of the patch critic's first convolution, or of each scale of the projected one


@dataclass(frozen=True)
class Loss:
    "The feature loss: pixels, and activations of a pretrained network (Johnson et al. 2016)."

    network: str = "vgg16_bn"  # vgg16_bn, vgg16, or untrained: a small random network, for smoke tests alone
    pixel: float = 1.0
    features: tuple[float, ...] = (20.0, 70.0, 10.0)  # activations before the last pools; five weights: before all
    normalized: bool = False  # squared differences of activations normalised over channels (Zhang et al. 2018), not L1
    smooth_l1: float = 0.0  # beta of a smooth L1 on pixels, of ImageNet statistics; 0 is plain L1
    chroma_weight: float = 0.0  # extra weight of a pixel by the chroma of its ground truth; 0 treats all alike
    rebalancing: float = 0.0  # extra weight of pixels of rare colours: 1 as in Zhang et al. (2016)
    total_variation: float = 0.0  # weight of the prediction's total variation (Rudin et al. 1992)
    saturation: float = 1.0  # factor on the colours of the ground truth in the feature terms
    colorfulness: float = 0.0  # weight of the difference in colourfulness from each ground truth
    mask: float = 0.0  # of a restorer: weight of the loss of its mask
    fill: float = 0.0  # likewise, of what it says lies under the damage


@dataclass(frozen=True)
class Augment:
    "What is done to a photo before it becomes a training pair."

    flip: float = 0.5  # probability
    zoom: float = 1.2  # crops down to 1/zoom of the short side
    rotate: float = 10.0  # degrees, to either side
    brightness: float = 0.1  # added or taken at most, of the whole range
    contrast: float = 0.1  # stretched or flattened at most, as a fraction
    saturation: float = 0.0  # likewise, on the colours


@dataclass(frozen=True)
class Degradation:
    "What film, age and scanners do to the grayscale input: a probability, then the largest strength of each kind."

    probability: float = 0.0  # of each photo to be degraded at all; the others are converted cleanly
    film: float = 0.15  # how far each luma weight may move: film is not equally sensitive to all colours
    early_film: float = 0.0  # how far towards early film: .5 is blind to red (orthochromatic), 1 to green as well
    gamma: float = 0.3  # exponent up to this far from 1, in log
    contrast: float = 0.3
    fade: float = 0.2  # blacks lifted and whites lowered by up to this
    grain: float = 0.06  # standard deviation of the noise
    blur: float = 1.5  # Gaussian sigma in pixels
    jpeg: float = 0.15  # step of the coarsest quantiser, of the whole range
    vignette: float = 0.4  # darkening in the corners


@dataclass(frozen=True)
class Damage:
    """What is drawn on the input of a restorer (`training.damage`): how often a photo is damaged at all, how often a
    damaged one has each kind, and what else is done to it."""

    probability: float = 0.9
    scratches: float = 0.35
    hairs: float = 0.2
    dust: float = 0.35
    folds: float = 0.3
    cracks: float = 0.3
    stains: float = 0.12
    tears: float = 0.15
    blotches: float = 0.25
    scales: tuple[float, ...] = (0.6, 3.0)  # from, to: what widths in pixels are multiplied by
    magnify: float = 2.0  # crops go down to this fraction of what `augment.zoom` allows: large scans are soft
    frames: float = 0.15  # how often a photo has a frame, which is no damage
    captions: float = 0.1  # likewise, a few letters
    holes: float = 0.3  # how often the input lacks the damage, or other places, as where a mask is given
    scan_blur: float = 0.8  # softness of the scanner, Gaussian sigma in pixels, at most
    scan_jpeg: float = 0.06  # step of the scan's coarsest quantiser, of the whole range, at most


@dataclass(frozen=True)
class EncoderStage:
    "A one-cycle fit of the encoder to what a pretrained one sees; for an encoder without pretrained weights."

    name: str
    teacher: str  # an encoder with ImageNet weights and feature maps at the same strides
    size: int
    batch: int
    lr: float
    pct_start: float = 0.1
    epochs: float = 1.0
    fraction: float = 1.0  # of the photos


@dataclass(frozen=True)
class GeneratorStage:
    "A one-cycle fit of the generator on the feature loss."

    name: str
    size: int  # side of the training crops in pixels
    batch: int
    lr: float  # maximal rate of the decoder
    lr_encoder: float  # maximal rate of the encoder's first half; its second half lies between
    pct_start: float = 0.3  # fraction of the steps until the rate is at its maximum
    epochs: float = 1.0  # passes over this stage's fraction of the photos
    fraction: float = 1.0
    frozen: bool = False  # train the decoder alone (the encoder's BatchNorm still learns)
    features: float = 1.0  # factor on the feature terms; 0 trains on pixels alone, several times as fast
    window: float = 1.0  # side of the part of each crop on which features are compared; smaller is faster
    chroma_weight: float = 1.0  # factor on loss.chroma_weight
    ema: float = 0.0  # decay of the averaged weights that the stage gives; 0 gives those of its last step


@dataclass(frozen=True)
class HintStage:
    "A one-cycle fit of a branch for hints (`modeling.hint_branch`) beside the finished generator, on simulated hints."

    name: str
    size: int
    batch: int
    lr: float
    pct_start: float = 0.1
    epochs: float = 1.0
    fraction: float = 1.0
    features: float = 0.0  # as in a generator stage
    window: float = 1.0  # likewise
    chroma_weight: float = 0.0  # likewise
    ema: float = 0.99  # likewise
    score_every: int = 200  # steps; PSNR with 0, 1 and 10 hints
    score_photos: int = 64  # validation photos that it is scored on


@dataclass(frozen=True)
class Generate:
    "How many photos are colorized for the critic to learn from."

    fraction: float = 0.085
    batch: int = 16


@dataclass(frozen=True)
class CriticStage:
    "A one-cycle fit of the critic on real photos against generated ones."

    name: str
    size: int
    batch: int
    lr: float
    epochs: float = 4.0  # passes over the generated photos
    first_cycle_only: bool = False


@dataclass(frozen=True)
class Gan:
    "The GAN phase."

    size: int = 192
    batch: int = 5
    lr: float = 1e-5
    critic_lr_factor: float = 5.0  # two time scales (Heusel et al. 2017)
    fraction: float = 0.03  # of the photos, counted in generator steps
    critic_threshold: float = 0.65  # the generator waits until the critic's loss is under this (hinge: 0 to about 2)
    max_critic_steps: int = 20  # ... but not for ever
    adversarial_weight: float = 1.0  # weight of the adversarial loss
    feature_weight: float = 2.0  # weight of the feature loss
    adversarial_ratio: float = 0.0  # instead: size of its gradient, at the picture, beside that of the feature loss
    window: float = 1.0  # as in a generator stage
    chroma_weight: float = 1.0  # likewise
    ema: float = 0.999  # decay of the averaged weights that are saved
    save_every: int = 100  # generator steps
    score_photos: int = 96  # validation photos that each saved generator is scored on


@dataclass(frozen=True)
class Postprocess:
    "What is done to the generator that the last GAN phase gives. The defaults leave it alone."

    average_last: float = 0.0  # the mean of the weights saved in this last part of the GAN phase; 0: the chosen step's
    interpolation: float = 1.0  # between the weights before the GAN phase (0) and after it (1)
    batchnorm_photos: int = 0  # training photos to recompute the decoder's BatchNorm statistics on; 0: none
    smooth: bool = False  # predictions become means over 3 x 3 pixels
    cast: float = 1.0  # so much of a prediction's mean over the picture stays; 1: all
    magenta: float = 1.0  # so much of predictions between violet and crimson stays; 1: all
    colorfulness: float = 0.0  # saturation is calibrated to this fraction of real photos' colourfulness; 0: not
    clean_masked: float = 0.0  # a restorer's threshold is set so that it masks this fraction of clean photos; 0: not

    @property
    def head(self) -> dict[str, Any]:
        "The options of `Lite`'s head that it sets, but for those left as they are by default."
        names = ("smooth", "cast", "magenta")
        return {name: value for name in names if (value := getattr(self, name)) != getattr(Postprocess, name)}


@dataclass(frozen=True)
class Schedule:
    "All of a NoGAN run."

    preset: str
    generator_stages: tuple[GeneratorStage, ...]
    critic_stages: tuple[CriticStage, ...]
    encoder_stages: tuple[EncoderStage, ...] = ()  # instead of networks.pretrained
    hint_stages: tuple[HintStage, ...] = ()  # after all others
    networks: Networks = field(default_factory=Networks)
    loss: Loss = field(default_factory=Loss)
    augment: Augment = field(default_factory=Augment)
    degradation: Degradation = field(default_factory=Degradation)
    damage: Damage = field(default_factory=Damage)  # of a restorer alone
    generate: Generate = field(default_factory=Generate)
    gan: Gan = field(default_factory=Gan)
    postprocess: Postprocess = field(default_factory=Postprocess)
    cycles: int = 1  # of generation, critic and GAN phase; 0: none of them
    weight_decay: float = 1e-3
    max_grad_norm: float = 1.0
    validation: float = 0.02  # fraction of the photos that is never trained on
    balance: float = 1.0  # a source of n photos is sampled in proportion to n to this power; 1 is all photos alike
    seed: int = 0

    @property
    def restores(self) -> bool:
        "Whether the generator restores photos instead of colorizing them."
        return self.networks.generator == "restorer"

    @property
    def generated_size(self) -> int:
        "Side of the pictures that the critic learns from: the largest that it wants; 0 without critic stages."
        return max((stage.size for stage in self.critic_stages), default=0)

    def critics(self, cycle: int) -> tuple[CriticStage, ...]:
        "The critic stages of a cycle, the first of which is 1."
        return tuple(stage for stage in self.critic_stages if cycle == 1 or not stage.first_cycle_only)

    @property
    def pack_sizes(self) -> list[int]:
        "Sides of the crops that the stages train on."
        stages = [*self.encoder_stages, *self.generator_stages, *self.critic_stages, *self.hint_stages]
        return sorted({stage.size for stage in stages + [self.gan] * bool(self.cycles)})

    def override(self, changes: dict[str, str]) -> "Schedule":
        """A copy with fields changed, named by dotted paths: `{"gan.lr": "2e-5", "generator_stages.0.batch": "32"}`.

        Raises:
            ValueError: no such field, or a value of the wrong type.
        """
        schedule = self
        for path, value in changes.items():
            schedule = changed(schedule, path.split("."), value, path)
        return schedule

    def to_yaml(self) -> str:
        return yaml.safe_dump(json.loads(json.dumps(asdict(self))), sort_keys=False)  # YAML knows no tuples

    @classmethod
    def from_yaml(cls, text: str) -> "Schedule":
        """The schedule that `to_yaml` wrote.

        Raises:
            ValueError: not YAML, or with fields missing, unknown or of the wrong type.
        """
        return _build(cls, _from_yaml(text, "the schedule"), "schedule")


def _from_yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is not YAML: {error}") from error


def _build(kind: Any, value: Any, where: str) -> Any:
    "`value`, as YAML gave it, as an instance of the type `kind`."
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a mapping, not {value!r}")
        hints = get_type_hints(kind)
        if unknown := value.keys() - hints.keys():
            raise UsageError(f"{where} has no field {sorted(unknown)[0]!r}; it has {', '.join(hints)}")
        try:
            return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in value.items()})
        except TypeError as error:
            raise UsageError(f"{where}: {error}") from error
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise UsageError(f"{where} must be a list, not {value!r}")
        return tuple(_build(get_args(kind)[0], v, f"{where}.{i}") for i, v in enumerate(value))
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        with contextlib.suppress(ValueError):
            value = float(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"{where} must be {kind.__name__}, not {value!r}")
    return value


def parse_changes(changes: Sequence[str], example: str) -> dict[str, str]:
    """Texts `FIELD=VALUE`, as `--set` takes them, as `Schedule.override` does.

    Raises:
        UsageError: one without `=`; the message has the `example`.
    """
    if wrong := [change for change in changes if "=" not in change]:
        raise UsageError(f"--set {wrong[0]!r}: write FIELD=VALUE, for instance {example}")
    return dict(change.split("=", 1) for change in changes)


def changed(node: Any, path: list[str], value: str, where: str) -> Any:
    "A copy of the dataclass `node` in which the field at `path` has the value that the text `value` stands for."
    name, *rest = path
    if isinstance(node, tuple):
        names = [str(i) for i in range(len(node))] + [getattr(item, "name", None) for item in node]
        if name not in names:
            raise UsageError(f"{where}: no entry {name!r}; there are {', '.join(n for n in names if n)}")
        i = names.index(name) % len(node)
        new = changed(node[i], rest, value, where) if rest else _build(type(node[i]), _from_yaml(value, where), where)
        return (*node[:i], new, *node[i + 1 :])
    if name not in (known := [f.name for f in fields(node)] if is_dataclass(node) else []):
        raise UsageError(f"{where}: no field {name!r}; there are {', '.join(known) or 'none'}")
    if rest:
        return replace(node, **{name: changed(getattr(node, name), rest, value, where)})
    return replace(node, **{name: _build(get_type_hints(type(node))[name], _from_yaml(value, where), where)})
