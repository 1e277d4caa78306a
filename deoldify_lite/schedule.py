"""The NoGAN schedule as data: which stage trains what, on which pictures, how fast and for how long.

`preset("lite")` gives a `Schedule`; `schedule.override({"gan.lr": "2e-5"})` changes fields; `to_yaml` and `from_yaml`
keep it beside every run. Learning rates, epochs and shares of `artistic`, `stable` and `video` are DeOldify's.
"""

import contextlib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from .errors import UsageError


@dataclass(frozen=True)
class Networks:
    "What is trained."

    generator: str = "lite"  # lite, lite-rgb, deep or wide
    encoder: str = "resnet34"  # of lite: any torchvision ResNet or timm feature backbone
    pretrained: bool = True  # start the encoder from ImageNet weights
    attention: bool = True  # of lite: self-attention at an eighth of the picture's side (Zhang et al. 2018)
    padding: str = "zeros"  # of lite, at the picture's border: zeros, or replicate
    blur: str = "top_left"  # of lite: where the decoder's blur is padded; bottom_right suits ResNets
    start: str = ""  # start from these weights instead: lite, or a file
    frozen_statistics: bool = False  # BatchNorm keeps the means and variances that the start knows
    critic: str = "patch"  # patch: DeOldify's; projected: heads on pretrained features (Sauer et al. 2021)
    critic_backbone: str = "tf_efficientnet_lite0"  # of the projected critic; pretrained if `pretrained`
    critic_width: int = 256  # channels of the patch critic's first convolution, or of each scale of the projected one


@dataclass(frozen=True)
class Loss:
    "The feature loss: L1 on pixels and on activations of a pretrained network (Johnson et al. 2016)."

    network: str = "vgg16_bn"  # vgg16_bn, vgg16, or untrained: a small random network, for smoke tests alone
    pixel: float = 1.0
    features: tuple[float, ...] = (20.0, 70.0, 10.0)  # activations before pools 3, 4, 5
    smooth: float = 0.0  # pixels differing by less than this, of ImageNet statistics, count squared (smooth L1)
    vivid: float = 0.0  # extra weight of pixels by how colourful the truth is; 0 treats all alike
    rare: float = 0.0  # extra weight of pixels by how rare the truth's colour is, 1 as in Zhang et al. (2016)
    variation: float = 0.0  # factor on the total variation of what was painted, against blotches (Rudin et al. 1992)


@dataclass(frozen=True)
class Augment:
    "What is done to a photo before it becomes a training pair."

    flip: float = 0.5  # probability
    zoom: float = 1.2  # crops down to 1/zoom of the short side
    rotate: float = 10.0  # degrees, to either side
    brightness: float = 0.1  # added or taken at most, of the whole range
    contrast: float = 0.1  # stretched or flattened at most, as a share
    saturation: float = 0.0  # likewise, on the colours


@dataclass(frozen=True)
class GreyVariety:
    "How unlike a clean conversion the grey input may be: what film, age and scanners do. Probability, then strength."

    probability: float = 0.0  # of each photo to be degraded at all; the rest are clean
    film: float = 0.15  # how far each luma weight may move: film is not equally sensitive to all colours
    gamma: float = 0.3  # exponent up to this far from 1, in log
    contrast: float = 0.3
    fade: float = 0.2  # blacks lifted and whites lowered by up to this
    grain: float = 0.06  # standard deviation of the noise
    blur: float = 1.5  # Gaussian sigma in pixels
    jpeg: float = 0.15  # step of the coarsest quantiser, of the whole range
    vignette: float = 0.4  # darkening in the corners


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
    share: float = 1.0


@dataclass(frozen=True)
class GeneratorStage:
    "A one-cycle fit of the generator on the feature loss."

    name: str
    size: int  # side of the training crops in pixels
    batch: int
    lr: float  # maximal rate of the decoder
    lr_encoder: float  # maximal rate of the encoder's first half; its second half lies between
    pct_start: float = 0.3  # share of the steps until the rate is at its maximum
    epochs: float = 1.0  # passes over this stage's share of the photos
    share: float = 1.0
    frozen: bool = False  # train the decoder alone (the encoder's BatchNorm still learns)
    features: float = 1.0  # factor on the feature terms; 0 trains on pixels alone, several times as fast
    window: float = 1.0  # side of the part of each crop on which features are compared; smaller is faster
    vivid: float = 1.0  # factor on loss.vivid
    ema: float = 0.0  # decay of the averaged weights that the stage gives; 0 gives those of its last step


@dataclass(frozen=True)
class Generate:
    "How many photos are colorized for the critic to learn from."

    share: float = 0.085
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
    share: float = 0.03  # of the photos, counted in generator steps
    critic_threshold: float = 0.65  # the generator waits until the critic's loss is under this (hinge: 0 to about 2)
    max_critic_steps: int = 20  # ... but not for ever
    adversarial: float = 1.0  # weight of the adversarial loss
    feature: float = 2.0  # weight of the feature loss
    adversarial_ratio: float = 0.0  # instead: size of its gradient, at the picture, beside that of the feature loss
    window: float = 1.0  # as in a generator stage
    vivid: float = 1.0  # likewise
    ema: float = 0.999  # decay of the averaged weights that are saved
    save_every: int = 100  # generator steps
    score_photos: int = 96  # validation photos that each saved generator is scored on


@dataclass(frozen=True)
class Finish:
    "What is made of the generator that the last GAN phase gives. The defaults leave it alone."

    blend: float = 1.0  # share of the phase that is kept: 0 is the weights before it, 1 those after it
    statistics: int = 0  # training photos to measure the decoder's BatchNorms on anew; 0: they stay as they are
    colourfulness: float = 0.0  # share of real photos' that colours are brought up to; 0: they stay as they are


@dataclass(frozen=True)
class Schedule:
    "All of a NoGAN run."

    preset: str
    generator_stages: tuple[GeneratorStage, ...]
    critic_stages: tuple[CriticStage, ...]
    encoder_stages: tuple[EncoderStage, ...] = ()  # instead of networks.pretrained
    networks: Networks = field(default_factory=Networks)
    loss: Loss = field(default_factory=Loss)
    augment: Augment = field(default_factory=Augment)
    grey: GreyVariety = field(default_factory=GreyVariety)
    generate: Generate = field(default_factory=Generate)
    gan: Gan = field(default_factory=Gan)
    finish: Finish = field(default_factory=Finish)
    repeats: int = 1  # cycles of generation, critic and GAN
    weight_decay: float = 1e-3
    clip: float = 1.0  # largest norm of the gradient
    validation: float = 0.02  # share of the photos that is never trained on
    balance: float = 1.0  # a source of n photos is sampled in proportion to n to this power; 1 is all photos alike
    seed: int = 0

    @property
    def pack_sizes(self) -> list[int]:
        "Sides at which photos are wanted."
        return sorted({s.size for s in (*self.encoder_stages, *self.generator_stages, *self.critic_stages, self.gan)})

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
        return yaml.safe_dump(_plain(asdict(self)), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str) -> "Schedule":
        """The schedule that `to_yaml` wrote.

        Raises:
            ValueError: not YAML, or with fields missing, unknown or of the wrong type.
        """
        try:
            return _build(cls, yaml.safe_load(text), "schedule")
        except yaml.YAMLError as error:
            raise UsageError(f"the schedule is not YAML: {error}") from error


def _plain(value: Any) -> Any:
    "Tuples as lists, which YAML knows."
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


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


def changed(node: Any, path: list[str], value: str, where: str) -> Any:
    "A copy of the dataclass `node` in which the field at `path` has the value that the text `value` stands for."
    name, *rest = path
    if isinstance(node, tuple):
        names = [str(i) for i in range(len(node))] + [getattr(item, "name", None) for item in node]
        if name not in names:
            raise UsageError(f"{where}: no entry {name!r}; there are {', '.join(n for n in names if n)}")
        i = names.index(name) % len(node)
        new = changed(node[i], rest, value, where) if rest else _build(type(node[i]), yaml.safe_load(value), where)
        return (*node[:i], new, *node[i + 1 :])
    if name not in (known := [f.name for f in fields(node)] if is_dataclass(node) else []):
        raise UsageError(f"{where}: no field {name!r}; there are {', '.join(known) or 'none'}")
    if rest:
        return replace(node, **{name: changed(getattr(node, name), rest, value, where)})
    return replace(node, **{name: _build(get_type_hints(type(node))[name], yaml.safe_load(value), where)})


def _deoldify(name: str, *, generator: str, batches: tuple[int, int, int], gan: Gan, repeats: int) -> Schedule:
    "DeOldify's schedule; its three models differ in network, batch and GAN phase."
    return Schedule(
        preset=name,
        repeats=repeats,
        gan=gan,
        networks=Networks(generator=generator, encoder=""),
        generator_stages=(
            GeneratorStage("64-frozen", 64, batches[0], 1e-3, 1e-4, pct_start=0.8, frozen=True),
            GeneratorStage("64", 64, batches[0], 3e-4, 3e-7, pct_start=0.01),
            GeneratorStage("128", 128, batches[1], 1e-4, 1e-7, pct_start=0.01),
            GeneratorStage("192", 192, batches[2], 5e-5, 5e-8, pct_start=0.01, share=0.5),
        ),
        critic_stages=(
            CriticStage("128", 128, 64, 1e-3, epochs=6, first_cycle_only=True),
            CriticStage("192", 192, 16, 1e-4, epochs=4),
        ),
    )


def _presets() -> dict[str, Schedule]:
    lite = Schedule(
        preset="lite",
        # ImageNet weights of EfficientNet-Lite2 are 12 MB and it costs a quarter of ResNet34.
        networks=Networks(encoder="tf_efficientnet_lite2", critic_width=64),
        # VGG16 without BatchNorm has activations some ten times as large as with it.
        loss=Loss(network="vgg16", pixel=1.5, features=(0.5, 1.0, 2.0), vivid=1.0),
        augment=Augment(rotate=5.0, saturation=0.1),
        grey=GreyVariety(probability=0.5),
        # Most of what there is to learn from some ten thousand photos is which thing has which colour; pixels teach
        # that at three times the speed of features.
        generator_stages=(
            GeneratorStage("64-frozen", 64, 32, 2e-3, 1e-4, pct_start=0.3, epochs=0.5, frozen=True, features=0.0),
            GeneratorStage("64-pixels", 64, 32, 1e-3, 1e-4, pct_start=0.2, epochs=2.0, features=0.0),
            GeneratorStage("64", 64, 32, 5e-4, 5e-5, pct_start=0.1),
            GeneratorStage("96", 96, 16, 3e-4, 3e-5, pct_start=0.1, epochs=0.75),
            GeneratorStage("128", 128, 16, 3e-4, 3e-5, pct_start=0.1, epochs=1.5, window=0.5),
            # What is colourful counts for more at last, so that colours need not be brought up as far in the end.
            GeneratorStage("128-vivid", 128, 16, 1e-4, 1e-5, pct_start=0.1, epochs=0.34, window=0.5, vivid=5.0),
        ),
        critic_stages=(CriticStage("96", 96, 32, 5e-4, epochs=4.0),),
        gan=Gan(
            size=96,
            batch=16,
            lr=5e-5,
            share=0.12,
            max_critic_steps=4,
            save_every=20,
            ema=0.95,
            feature=1.0,
            vivid=5.0,
        ),
        finish=Finish(blend=0.35, statistics=512, colourfulness=0.66),
    )
    return {
        "artistic": _deoldify(
            "artistic",
            generator="deep",
            batches=(88, 22, 11),
            repeats=5,
            gan=Gan(batch=9, lr=1e-5, adversarial=1, feature=2),
        ),
        "stable": _deoldify(
            "stable",
            generator="wide",
            batches=(80, 20, 8),
            repeats=3,
            gan=Gan(batch=5, lr=2e-5, adversarial=1, feature=1.5),
        ),
        "video": _deoldify(
            "video",
            generator="wide",
            batches=(80, 20, 8),
            repeats=1,
            gan=Gan(batch=5, lr=5e-6, adversarial=1, feature=1.5),
        ),
        "lite": lite,
        "resnet34": replace(
            lite,
            preset="resnet34",
            networks=Networks(encoder="resnet34", critic_width=64),
            # For a machine that has ImageNet weights of EfficientNet-Lite2 and none of ResNet34.
            encoder_stages=(EncoderStage("64", "tf_efficientnet_lite2", 64, 64, 1e-3, epochs=2.0),),
            generator_stages=(
                GeneratorStage("64-pixels", 64, 32, 1e-3, 3e-4, pct_start=0.2, epochs=1.5, features=0.0),
                GeneratorStage("64", 64, 32, 5e-4, 1e-4, pct_start=0.1, epochs=0.75, window=0.75),
                GeneratorStage("96", 96, 16, 3e-4, 5e-5, pct_start=0.1, epochs=0.5, window=0.5),
            ),
            critic_stages=(CriticStage("96", 96, 32, 5e-4, epochs=4.0),),
            gan=replace(lite.gan, window=0.5, vivid=1.0),
            # Its colours are wrong more often than those of `lite`: at 66 % the louder ones cost more than they gave.
            finish=replace(lite.finish, colourfulness=0.5),
        ),
        "finetune": Schedule(
            preset="finetune",
            # Few photos, say 50 to 500, cannot teach which thing has which colour; weights that know it can learn from
            # them how these photos differ. So: their network, low rates, no stage that is frozen or small. BatchNorm
            # would forget within some steps what many photos look like, and the colours with it.
            networks=Networks(encoder="tf_efficientnet_lite2", start="lite", frozen_statistics=True, critic_width=64),
            loss=Loss(network="vgg16", pixel=1.5, features=(0.5, 1.0, 2.0), vivid=1.0),
            augment=Augment(zoom=1.5, saturation=0.1),  # every photo is seen a dozen times, never twice the same
            grey=GreyVariety(probability=0.5),
            generator_stages=(
                GeneratorStage("128", 128, 8, 8e-5, 8e-6, pct_start=0.1, epochs=12.0, window=0.5),  # at 50, 70 steps
            ),
            generate=Generate(share=1.0, batch=8),
            critic_stages=(CriticStage("128", 128, 8, 3e-4, epochs=8.0),),
            # A critic soon knows so few photos by heart. The phase is one pass over them; the inflection point may
            # well be its very beginning.
            gan=Gan(
                size=128,
                window=0.5,
                batch=8,
                lr=2e-5,
                share=1.0,
                max_critic_steps=4,
                save_every=5,
                ema=0.9,
                feature=1.0,
            ),
            validation=0.1,  # a fiftieth of 50 would be a single photo
        ),
        "smoke": Schedule(
            preset="smoke",
            networks=Networks(encoder="test_resnet", pretrained=False, critic_width=8),
            loss=Loss(network="untrained"),
            grey=GreyVariety(probability=0.5),
            generator_stages=(
                GeneratorStage("32-frozen", 32, 4, 1e-3, 1e-4, frozen=True),
                GeneratorStage("32", 32, 4, 1e-3, 1e-4, epochs=4.0),
                GeneratorStage("64", 64, 4, 1e-3, 1e-4, epochs=2.0),
            ),
            generate=Generate(share=1.0, batch=4),
            critic_stages=(CriticStage("64", 64, 4, 1e-3, epochs=2),),
            gan=Gan(size=64, batch=4, share=1.0, max_critic_steps=3, save_every=2, score_photos=4, ema=0.9),
            validation=0.2,
        ),
    }


PRESETS = tuple(_presets())


def preset(name: str) -> Schedule:
    """A schedule by name: lite, resnet34, artistic, stable and video (DeOldify's), finetune (from lite), smoke.

    Raises:
        ValueError: no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"preset {name!r} is unknown; choose {', '.join(PRESETS)}")
    return _presets()[name]
