"""The generator that restores: a small U-Net, full-resolution luma in; out, a mask of damage and what lies under it."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import color
from .backbones import EfficientNetLite
from .encoders import build_encoder

STRIDE = 16  # sides of the network's input are multiples of this
PATCH = 2  # sides of the squares of pixels that are the channels of the stem and of the head
HOLE = -1.0  # luma that says: nothing is known of this pixel, fill it in
MEAN, STD, DETAIL_STD = 0.45, 0.25, 0.08  # of luma and of its difference from the mean around it, about
PLANES, AROUND = 3, 4


def widen(chance: Tensor) -> Tensor:
    "The probability of damage (N, 1, H, W) of each pixel and its neighbours, the highest: what damage has soft edges."
    return F.max_pool2d(chance, 3, 1, 1)


class ResBlock(nn.Module):
    "Two convolutions with BatchNorm around a shortcut (He et al. 2016, arXiv:1512.03385)."

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def planes(luma: Tensor) -> Tensor:
    """What the stem sees of luma (N, 1, H, W): itself, how each pixel differs from those around it, holes; about
    normalised (N, `PLANES`, H, W).

    The differences are small, and without a plane of their own a network learns lines late.
    """
    hole = (luma == HOLE).to(luma)
    known = torch.where(hole > 0, MEAN, luma)
    around = F.avg_pool2d(F.pad(known, (AROUND,) * 4, mode="replicate"), 2 * AROUND + 1, 1)
    return torch.cat([(known - MEAN) / STD, (known - around) / DETAIL_STD, hole], 1)


class RestorerUnet(nn.Module):
    """Luma (N, 1, H, W) in [0, 1] -> the logit of damage, and the luma that lies under it, both (N, 1, H, W).

    Pixels of the value `HOLE` are damage by definition.

    The encoder is one of `build_encoder`, up to stride 16: ImageNet weights know what pictures of things look like, and
    a network that starts from them tells damage from detail after a sixth of the samples. Beside it a stem sees squares
    of 2 x 2 pixels as the channels of one place (Shi et al. 2016, arXiv:1609.05158), so nothing is lost of thin lines.
    The decoder goes up to half of the picture's side, and its head gives the four pixels of each place.

    Args:
        width: channels of the decoder at half of the picture's side; coarser maps have more.
        encoder: as `build_encoder` takes it, with feature maps at strides 2, 4, 8 and 16.
    """

    architecture, predicts = "restorer", "restoration"

    def __init__(self, width: int = 32, encoder: str = "tf_efficientnet_lite0"):
        super().__init__()
        self.config = {"architecture": self.architecture, "width": width, "encoder": encoder}
        widths = [width, width * 3 // 2, width * 2, width * 3]
        self.encoder = build_encoder(encoder)
        if isinstance(backbone := getattr(self.encoder, "model", None), EfficientNetLite):
            backbone.blocks = backbone.blocks[: 1 + backbone.taps[len(widths) - 1]]  # what is coarser is not used
        stem = nn.Conv2d(PLANES * PATCH**2, width, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(width), nn.ReLU(), ResBlock(width))
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, w, 1, bias=False), nn.BatchNorm2d(w))
            for (channels, _), w in zip(self.encoder.feature_maps, widths)
        )
        self.ups = nn.ModuleList(nn.Conv2d(wider, w, 1) for w, wider in pairwise(widths))
        self.blocks = nn.ModuleList(ResBlock(w) for w in widths)
        self.head = nn.Conv2d(width, 2 * PATCH**2, 3, padding=1)
        if not self.head.weight.is_meta:
            nn.init.normal_(self.head.weight, std=0.01)
            nn.init.zeros_(self.head.bias)
            with torch.no_grad():  # most pixels are undamaged
                self.head.bias[: PATCH**2] = -3.0

    @property
    def spectral(self) -> list[nn.Module]:
        "The parts that train under spectral norm: none."
        return []

    def forward(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        """Any size; multiples of `STRIDE` waste nothing."""
        height, width = luma.shape[-2:]
        whole = F.pad(luma, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        known = torch.where(whole == HOLE, MEAN, whole)
        features = self.encoder(color.normalize(known.expand(-1, 3, -1, -1)))
        h = self.blocks[-1](F.relu(self.laterals[-1](features[len(self.ups)])))
        for i in reversed(range(len(self.ups))):
            h = self.laterals[i](features[i]) + F.interpolate(self.ups[i](h), scale_factor=2)
            if i == 0:
                h = h + self.stem(F.pixel_unshuffle(planes(whole), PATCH))
            h = self.blocks[i](F.relu(h))
        logit, change = F.pixel_shuffle(self.head(h), PATCH)[..., :height, :width].float().chunk(2, 1)
        return logit, luma.clamp(0, 1) + change
