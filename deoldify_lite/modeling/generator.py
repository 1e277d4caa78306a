"""The generators: U-Nets that turn a grayscale photo into a colour one.

All share one interface. `generator(x)` takes a normalised grayscale picture (N, 3, H, W) of any height and width and
gives a normalised RGB picture of the same shape, values in (-3, 3). `generator.chroma(x)` gives only Cb and Cr,
(N, 2, H, W), which is all that a colorizer needs, since it keeps the photo's own luma.

The networks here are plain: spectral norm is put on for training (`layers.add_spectral_norm`) and folded into the
weights when they are saved (`layers.plain_state`).
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import color
from ..errors import UsageError
from .encoders import ResNetEncoder, build_encoder
from .layers import BLURS, PixelShuffle, UnetBlock, conv_layer, fit_size, replicate_borders

PADDINGS = ("zeros", "replicate")
STRIDE = 32  # the network pads sides that are no multiple of this
# What a file that says nothing of them has.
DEFAULTS = {"attention": True, "padding": "zeros", "blur": "top_left", "smooth": False, "cast": 1.0, "magenta": 1.0}


class Lite(nn.Module):
    """fastai's DynamicUnet without its hooks, with a head that gives chroma.

    Layer for layer the network that `fastai.vision.models.unet.DynamicUnet(encoder, 2, size, blur=True,
    self_attention=True, last_cross=False, y_range=(-0.5, 0.5), norm_type=NormType.Batch)` makes, but for the
    BatchNorm behind its last convolution, which would tie a photo's colours to its neighbours' in the batch; weights go
    from one to the other by name. Features travel as arguments instead of through hooks, so many threads may
    use one network, `torch.compile` sees one graph, and it can be copied and exported.

    DeOldify puts 55 % of its arithmetic into a residual block at full resolution (`last_cross`). The eye takes fine
    detail from luma, which comes from the photo itself, so that block is left out.

    Args:
        attention: self-attention at an eighth of the picture's side.
        padding: of all convolutions at the picture's border: `zeros`, or `replicate`, which repeats the border.
        blur: side on which the decoder's blur is padded, `top_left` or `bottom_right` (`layers.PixelShuffle`): the one
            that cancels the offset of the encoder's deep features.
        smooth: each value that the head makes is the mean of it and its eight neighbours.
        cast: how much of the mean over the picture of what the head makes stays, the rest is taken off: 1 is all.
        magenta: how much stays of what is halfway between blue and red, by its Cb and Cr; colours 60 degrees from there
            stay as they are, those between them in part. 1 is all.
    """

    architecture = "lite"
    predicts, outputs = "chroma", 2

    def __init__(
        self,
        encoder: str = "resnet34",
        attention: bool = True,
        padding: str = "zeros",
        blur: str = "top_left",
        smooth: bool = False,
        cast: float = 1.0,
        magenta: float = 1.0,
    ):
        super().__init__()
        if padding not in PADDINGS or blur not in BLURS:
            raise UsageError(
                f"padding is {' or '.join(PADDINGS)}, blur {' or '.join(BLURS)}: not {padding!r}, {blur!r}"
            )
        self.smooth, self.cast, self.magenta = smooth, cast, magenta
        options = {"attention": attention, "padding": padding, "blur": blur}
        options |= {"smooth": smooth, "cast": cast, "magenta": magenta}
        self.config = {"architecture": self.architecture, "encoder": encoder}
        self.config |= {name: value for name, value in options.items() if value != DEFAULTS[name]}
        body = build_encoder(encoder)
        *skips, (width, _) = body.feature_maps
        layers = [
            body,
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Sequential(conv_layer(width, width * 2), conv_layer(width * 2, width)),
        ]
        for i, (skip, stride) in enumerate(reversed(skips)):
            up = width // 2
            is_last = i == len(skips) - 1
            block_width = (up + skip) // 2 if is_last else up + skip
            # At an eighth of the picture's side there are enough places to be worth comparing, and few enough to
            # compare each with each.
            has_attention = attention and stride == 8
            layers.append(UnetBlock(width, up, skip, block_width, attention=has_attention, blur=blur))
            width = block_width
        layers += [PixelShuffle(width, width), nn.Identity(), nn.Conv2d(width, self.outputs, 1)]
        self.layers = nn.ModuleList(layers)
        nn.init.zeros_(self.layers[-1].bias)
        if padding == "replicate":
            replicate_borders(self)

    @property
    def encoder(self) -> nn.Module:
        return self.layers[0]

    @property
    def spectral(self) -> list[nn.Module]:
        "The parts that train under spectral norm: all of the decoder but its head, whose scale is the colours'."
        return list(self.layers[1:-1])

    def decode(self, x: Tensor) -> Tensor:
        "A normalised grayscale picture (N, 3, H, W) -> the decoder's last features, at half its size."
        return self.decode_all(self.encoder(x))[-1]

    def decode_all(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        "The encoder's features, finest first -> the decoder's after each of its blocks, finest last."
        _, bn, relu, middle, *_ = self.layers
        *skips, h = encoded
        return self.decode_from(middle(relu(bn(h))), skips)

    def decode_from(self, h: Tensor, skips: Sequence[Tensor]) -> list[Tensor]:
        "Features of the decoder and the encoder's finer ones, finest first -> the decoder's after the blocks left."
        decoded = []
        for block, skip in zip(list(self.layers)[-3 - len(skips) : -3], reversed(skips)):
            h = block(h, skip)
            decoded.append(h)
        return decoded

    def head(self, features: Tensor, x: Tensor) -> Tensor:
        "The decoder's last features -> what `raw` gives for the picture `x`."
        *_, shuffle, _, last = self.layers
        raw = fit_size(last(shuffle(features)), x, "bilinear").float()
        if self.smooth:
            # As channels_last, two channels take three times as long.
            raw = F.avg_pool2d(F.pad(raw.contiguous(), (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        if self.cast != 1:
            raw = raw - (1 - self.cast) * raw.mean((2, 3), keepdim=True)
        return raw if self.magenta == 1 else less_magenta(raw, self.magenta)

    def raw(self, x: Tensor) -> Tensor:
        "What the head makes of a normalised grayscale picture (N, 3, H, W): (N, outputs, H, W)."
        return self.head(self.decode(x), x)

    def bounded(self, raw: Tensor) -> Tensor:
        "What the head makes -> Cb and Cr, in (-0.5, 0.5)."
        return torch.sigmoid(raw) - 0.5

    def chroma(self, x: Tensor) -> Tensor:
        "Cb and Cr (N, 2, H, W), in (-0.5, 0.5), of a normalised grayscale picture (N, 3, H, W)."
        return self.bounded(self.raw(x))

    @torch.no_grad()
    def scale_chroma(self, gain: float) -> None:
        "Multiply what the head makes by `gain`, for good: weak colours get that much stronger, strong ones less."
        for parameter in self.layers[-1].parameters():
            parameter.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        gray = color.denormalize(x)
        return color.normalize(color.merge(color.luma(gray), self.chroma(x)).clamp(0, 1))


def less_magenta(raw: Tensor, stays: float) -> Tensor:
    """What the head makes (N, 2, H, W), with so much of the magenta in it.

    Here and not on Cb and Cr, so that a gain before it (`scale_chroma`) changes no hue, and hints can ask for magenta.
    """
    cosine = raw.sum(1, keepdim=True) / (2 * raw.square().sum(1, keepdim=True) + 1e-12).sqrt()
    magenta = ((cosine - 0.5) / 0.5).clamp(0, 1)  # 1 where Cb and Cr are positive and equal, 0 from 60 degrees on
    return raw * (1 - (1 - stays) * magenta)


class LiteRGB(Lite):
    "`Lite` with a head that gives RGB as DeOldify's do, of which only the chroma is used: to compare the two ways."

    architecture = "lite-rgb"
    predicts, outputs = "rgb", 3

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.raw(x)) * 6 - 3

    def bounded(self, raw: Tensor) -> Tensor:
        "What the head makes -> Cb and Cr of the predicted picture."
        return color.chroma(color.denormalize(torch.sigmoid(raw) * 6 - 3).clamp(0, 1))


class DeOldify(nn.Module):
    """DeOldify's generators (Antic 2018-2019): `deep` is the artistic one, `wide` the stable and the video one.

    They predict RGB, of which only the chroma is used. Their published weights load through `weights.load_generator`.
    """

    predicts = "rgb"

    def __init__(self, architecture: str):
        super().__init__()
        self.config = {"architecture": architecture}
        deep = architecture == "deep"
        body = ResNetEncoder("resnet34" if deep else "resnet101")
        *skips, (width, _) = body.feature_maps
        layers = [
            body,
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Sequential(conv_layer(width, width * 2, bn_first=False), conv_layer(width * 2, width, bn_first=False)),
        ]
        for i, (skip, stride) in enumerate(reversed(skips)):
            is_last = i == len(skips) - 1
            if deep:
                up, convs = width // 2, 2
                block_width = int(((up + skip) // 2 if is_last else up + skip) * 1.5)
            else:
                up = block_width = 256 if is_last else 512
                convs = 1
            layers.append(UnetBlock(width, up, skip, block_width, convs=convs, bn_first=False, attention=stride == 8))
            width = block_width
        shuffle = PixelShuffle(
            width, width, blur="top_left", conv=nn.Sequential(nn.Conv2d(width, width * 4, 1), nn.ReLU())
        )
        cross = width + 3
        layers += [shuffle, nn.Identity(), _ResBlock(cross), nn.Conv2d(cross, 3, 1)]
        self.layers = nn.ModuleList(layers)

    @property
    def encoder(self) -> nn.Module:
        return self.layers[0]

    @property
    def spectral(self) -> list[nn.Module]:
        "The parts that train under spectral norm."
        return list(self.layers[1:])

    def forward(self, x: Tensor) -> Tensor:
        _, bn, relu, middle, *blocks, shuffle, _, res_block, head = self.layers
        *skips, h = self.encoder(x)
        h = middle(relu(bn(h)))
        for block, skip in zip(blocks, reversed(skips)):
            h = block(h, skip)
        h = fit_size(shuffle(h), x, "nearest")
        h = head(res_block(torch.cat([h, x.to(h.dtype)], 1)))
        return torch.sigmoid(h.float()) * 6 - 3

    def chroma(self, x: Tensor) -> Tensor:
        "Cb and Cr (N, 2, H, W) of the predicted picture."
        return color.chroma(color.denormalize(self(x)).clamp(0, 1))


class _ResBlock(nn.Module):
    "Two convolutions around a shortcut, no BatchNorm and no activation after the sum."

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()) for _ in range(2))
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def build_generator(architecture: str = "lite", encoder: str = "resnet34", **options: Any) -> nn.Module:
    """An untrained generator: `lite` or `lite-rgb` with the `options` of `Lite`, or DeOldify's `deep` or `wide`.

    Raises:
        ValueError: no such architecture or encoder, or no such variant of it; `replicate` with an encoder of timm whose
            convolutions pad by themselves.
        TypeError: no such option.
    """
    if lite := {"lite": Lite, "lite-rgb": LiteRGB}.get(architecture):
        return lite(encoder, **options)
    if architecture in ("deep", "wide"):
        if DEFAULTS | options != DEFAULTS:
            raise UsageError(f"{architecture} is as DeOldify published it; {', '.join(DEFAULTS)} are lite's")
        return DeOldify(architecture)
    raise UsageError(f"generator {architecture!r} is unknown; choose lite, lite-rgb, deep or wide")
