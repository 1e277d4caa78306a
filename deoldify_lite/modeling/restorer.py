"""The generator that restores: a small U-Net, full-resolution luma in; out, a mask of damage and what lies under it."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import PixelShuffle

STRIDE = 32  # sides of the network's input are multiples of this
PATCH = 2  # sides of the squares of pixels that are the channels of the first layer
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


class Encoder(nn.Module):
    "The contracting half: planes (N, `PLANES`, H, W) -> features at strides 2, 4, 8, 16 and 32."

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]):
        super().__init__()
        stem = nn.Conv2d(PLANES * PATCH**2, widths[0], 3, padding=1, bias=False)
        downs = [nn.Conv2d(wide, wider, 2, 2, bias=False) for wide, wider in pairwise(widths)]
        self.stages = nn.ModuleList(
            nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), *(ResBlock(width) for _ in range(count)))
            for first, width, count in zip([stem, *downs], widths, blocks)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        h, features = F.pixel_unshuffle(x, PATCH), []
        for stage in self.stages:
            features.append(h := stage(h))
        return features


def planes(luma: Tensor) -> Tensor:
    """What the network sees of luma (N, 1, H, W): itself, how each pixel differs from those around it, holes; about
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

    Most of a U-Net's arithmetic is at full resolution. Here a square of 2 x 2 pixels is the channels of one place
    (Shi et al. 2016, arXiv:1609.05158), and the first convolution is at half of the side: 25 thousand multiplications
    a pixel at the usual `width`, its channels there.
    """

    architecture, predicts = "restorer", "restoration"

    def __init__(self, width: int = 24):
        super().__init__()
        self.config = {"architecture": self.architecture, "width": width}
        widths = tuple(width * i for i in (1, 2, 4, 5, 6))
        self.encoder = Encoder(widths, (1, 1, 2, 2, 2))
        self.middle = ResBlock(widths[-1])
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for wide, wider in zip(widths[-2::-1], widths[::-1]):
            self.ups.append(PixelShuffle(wider, wide, conv=nn.Sequential(nn.Conv2d(wider, wide * 4, 1))))
            self.blocks.append(ResBlock(wide))
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
        *skips, h = self.encoder(planes(whole))
        h = self.middle(h)
        for up, block, skip in zip(self.ups, self.blocks, reversed(skips)):
            h = block(up(h) + skip)
        logit, change = F.pixel_shuffle(self.head(h), PATCH)[..., :height, :width].float().chunk(2, 1)
        return logit, luma.clamp(0, 1) + change
