"""The networks of pix2pix (Isola et al. 2017, arXiv:1611.07004): U-Nets, PatchGAN, and a colorizer around them."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import color
from ..errors import UsageError
from ..modeling.generator import Lite

UNETS = ("isola", "lindernoren")
SPACES = {"rgb": (3, 3), "lab": (1, 2)}  # channels of the condition and of the prediction
AB_SCALE = 110.0  # no a and no b of an sRGB colour is larger
# Behind the encoder's convolutions, and behind the decoder's.
ACTIVATIONS = {"relu": (nn.LeakyReLU, nn.ReLU), "swish": (nn.SiLU, nn.SiLU), "mish": (nn.Mish, nn.Mish)}
# Strided convolutions of a PatchGAN by the side of the patch that each of its logits sees.
PATCHES = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


def _norm(name: str, channels: int, affine: bool = True) -> nn.Module:
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "instance":
        return nn.InstanceNorm2d(channels, affine=affine)
    raise UsageError(f"norm {name!r} is unknown; choose batch or instance")


def _activation(name: str, decoder: bool = False) -> nn.Module:
    if name not in ACTIVATIONS:
        raise UsageError(f"activation {name!r} is unknown; choose {', '.join(ACTIVATIONS)}")
    kind = ACTIVATIONS[name][decoder]
    return kind(0.2) if kind is nn.LeakyReLU else kind()


class UNet(nn.Module):
    """The U-Net of pix2pix: (N, inputs, H, W) -> (N, outputs, H, W) in (-1, 1), H and W multiples of 2**down.

    `down` 4x4 convolutions of stride two, 64 to 512 channels wide, and as many transposed ones, with skip connections
    between those of one size. At 256 px and 8 down the bottleneck is one pixel.

    Two kinds. `isola` is the paper's: dropout on the three deepest layers of the decoder. `lindernoren`, from Erik
    Linder-Norén's PyTorch-GAN: dropout on every layer of 512 channels, encoder included; instance norm without scale
    and shift; skip connections without ReLU; nearest upsampling before the last convolution.
    """

    def __init__(
        self,
        kind: str,
        inputs: int,
        outputs: int,
        *,
        down: int = 8,
        width: int = 64,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.5,
    ):
        super().__init__()
        if down < 2:
            raise UsageError(f"a U-Net goes down at least twice, not {down} times")
        paper, widest = kind == "isola", 8 * width
        self.rectify = paper and activation == "relu"
        widths = [min(width * 2**i, widest) for i in range(down)]
        self.down = nn.ModuleList()
        for i, (before, after) in enumerate(zip([inputs, *widths], widths)):
            layers = [nn.Conv2d(before, after, 4, 2, 1, bias=False)]
            if 0 < i < down - 1:
                layers.append(_norm(norm, after, affine=paper))
            layers.append(_activation(activation))
            if not paper and after == widest:
                layers.append(nn.Dropout(dropout))
            self.down.append(nn.Sequential(*layers))
        self.up = nn.ModuleList()
        before = widths[-1]
        for i, after in enumerate(widths[-2::-1]):
            layers = [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), _norm(norm, after, affine=paper)]
            layers.append(_activation(activation, decoder=True))
            if after == widest and (i < 3 or not paper):
                layers.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*layers))
            before = 2 * after
        self.head = (
            nn.ConvTranspose2d(before, outputs, 4, 2, 1)
            if paper
            else nn.Sequential(
                nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(before, outputs, 4, padding=1)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for layer in self.down:
            x = layer(x)
            features.append(x)
        if self.rectify:
            features = [F.relu(f) for f in features]
        h = features.pop()
        for layer in self.up:
            h = torch.cat([layer(h), features.pop()], 1)
        return torch.tanh(self.head(h).float())


class Pix2Pix(nn.Module):
    """A generator that works in RGB or in Lab inside, with the interface of `modeling.generator` outside.

    Inside, everything is in [-1, 1]: `condition` is the input of both networks, grayscale (N, 3, H, W) or
    L (N, 1, H, W); `predict` returns RGB (N, 3, H, W) or a and b (N, 2, H, W), like `target` for the ground truth.

    Args:
        network: a kind of `UNet`, or the name of an encoder (`encoders.build_encoder`) for a DynamicUnet.
        space: `rgb` or `lab`.
        size: side in pixels of the photos in training, from which the colorizer takes its default render factor.
        down, width, norm, activation, dropout: as `UNet` takes them. A DynamicUnet has its own.

    Raises:
        UsageError: no such network, space, norm or activation, or two that do not go together.
    """

    def __init__(
        self,
        network: str = "isola",
        space: str = "lab",
        size: int = 256,
        down: int = 8,
        width: int = 64,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.5,
    ):
        super().__init__()
        if space not in SPACES:
            raise UsageError(f"colour space {space!r} is unknown; choose {', '.join(SPACES)}")
        self.config = {"architecture": "pix2pix", "network": network, "space": space, "size": size}
        self.space, self.predicts = space, "rgb" if space == "rgb" else "chroma"
        if network in UNETS:
            options = {"down": down, "width": width, "norm": norm, "activation": activation, "dropout": dropout}
            self.config |= options
            self.body = UNet(network, *SPACES[space], **options)
            self.stride = 2**down
        elif space == "lab":
            self.body = Lite(network, attention=False)
            self.stride = 1  # any size will do
        else:
            raise UsageError(f"{network} has two outputs, a and b: it works in lab, not in {space}")

    def condition(self, x: Tensor) -> Tensor:
        "The input of both networks for normalised grayscale photos (N, 3, H, W)."
        gray = color.denormalize(x)
        return gray * 2 - 1 if self.space == "rgb" else color.rgb_to_lab(gray)[:, :1] / 50 - 1

    def target(self, rgb: Tensor) -> Tensor:
        "The target of `predict` for colour photos (N, 3, H, W) in [0, 1]."
        return rgb * 2 - 1 if self.space == "rgb" else color.rgb_to_lab(rgb)[:, 1:] / AB_SCALE

    def predict(self, condition: Tensor) -> Tensor:
        "The network's output, in (-1, 1), for a `condition` of any height and width."
        condition = condition.to(next(self.body.parameters()).dtype)  # Lab is exact, whatever the network is
        if isinstance(self.body, Lite):
            return 2 * self.body.chroma(color.normalize(((condition + 1) / 2).expand(-1, 3, -1, -1)))
        h, w = condition.shape[-2:]
        return self.body(_mirror_to(condition, self.stride))[..., :h, :w]

    def to_rgb(self, condition: Tensor, prediction: Tensor) -> Tensor:
        "RGB in [0, 1] (N, 3, H, W) of a condition and a prediction or target."
        if self.space == "rgb":
            return (prediction + 1) / 2
        return color.lab_to_rgb(torch.cat([(condition + 1) * 50, prediction * AB_SCALE], 1)).clamp(0, 1)

    def rgb(self, x: Tensor) -> Tensor:
        "RGB in [0, 1] for normalised grayscale photos (N, 3, H, W)."
        condition = self.condition(x)
        return self.to_rgb(condition, self.predict(condition))

    def forward(self, x: Tensor) -> Tensor:
        return color.normalize(self.rgb(x))

    def chroma(self, x: Tensor) -> Tensor:
        "Cb and Cr (N, 2, H, W), in [-0.5, 0.5], of the prediction."
        return color.chroma(self.rgb(x))


def _mirror_to(x: Tensor, multiple: int) -> Tensor:
    "`x` (N, C, H, W) padded below and to the right by mirroring until its sides are multiples of `multiple`."
    for dim in (-2, -1):
        side = x.shape[dim]
        if side % multiple:
            place = torch.arange(-(-side // multiple) * multiple, device=x.device) % (2 * side)
            x = x.index_select(dim, torch.minimum(place, 2 * side - 1 - place))
    return x


class PatchGAN(nn.Sequential):
    """pix2pix's critic: condition and prediction or target, (N, channels, H, W) -> logits (N, 1, h, w).

    Each logit sees `patch` x `patch` pixels: 16, 34, 70 (the paper's, 30 x 30 logits at 256 px), 142 or 286.

    Raises:
        UsageError: another patch, or an unknown norm.
    """

    def __init__(self, channels: int, patch: int = 70, width: int = 64, norm: str = "batch"):
        if patch not in PATCHES:
            raise UsageError(f"a patch of {patch} pixels cannot be had; choose {', '.join(map(str, PATCHES))}")
        strided = PATCHES[patch]
        widths = [min(width * 2**i, 8 * width) for i in range(strided + 1)]
        layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            stride = 2 if i < strided else 1
            layers += [nn.Conv2d(before, after, 4, stride, 1, bias=False), _norm(norm, after), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.config = {"architecture": "patchgan", "channels": channels, "patch": patch, "width": width, "norm": norm}

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


def init_normal_(network: nn.Module, std: float) -> nn.Module:
    "Convolutions from a normal distribution around 0, norm weights around 1, in place; biases 0."
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and module.affine:
            nn.init.normal_(module.weight, 1.0, std)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    return network
