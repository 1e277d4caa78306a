"""How much a pixel counts by how rare its colour is: class rebalancing.

Most pixels of most photos are nearly grey, so whatever is trained on the mean over pixels paints nearly grey. Zhang et
al. (2016, arXiv:1603.08511, section 2.2) weigh each pixel by the inverse of how often its colour comes up. Here colours
are boxes of the (Cb, Cr) plane, for chroma is what the generators predict.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import color
from .run import Run

BOXES = 64  # along each axis; four of 256 levels wide
SMOOTHING = 2.0  # boxes; sigma of the Gaussian that is laid over the counts
UNIFORM = 0.5  # share of the uniform distribution that is mixed in, so that no weight is without bound
PHOTOS = 2048


def colour_weights(run: Run, size: int) -> Tensor:
    "Weight (BOXES, BOXES) of each (Cb, Cr) by the training photos of `run`; over their pixels it is one on average."
    photos = run.pack(size)
    members = run.split(photos).train
    counts = torch.zeros(BOXES * BOXES, dtype=torch.float64)
    for index in members[:: max(1, len(members) // PHOTOS)].split(64):
        cbcr = color.chroma(photos.crops(index, 32, None, torch.Generator()))
        counts += torch.bincount(boxes(cbcr).flatten().cpu(), minlength=BOXES * BOXES)
    often = counts.reshape(BOXES, BOXES) / counts.sum()
    at = torch.arange(-3 * int(SMOOTHING), 3 * int(SMOOTHING) + 1, dtype=torch.float64)
    bell = torch.exp(-0.5 * (at / SMOOTHING) ** 2)
    bell = (bell / bell.sum())[None, None]
    smooth = F.conv2d(often[None, None], bell[..., None], padding=(len(at) // 2, 0))
    smooth = F.conv2d(smooth, bell[:, :, None], padding=(0, len(at) // 2))[0, 0]
    possible = (smooth > 0).sum()
    weights = 1 / ((1 - UNIFORM) * smooth + UNIFORM / possible)
    return (weights / (weights * often).sum()).float().to(run.device)


def boxes(cbcr: Tensor) -> Tensor:
    "The number (N, H, W) of each pixel's box; `cbcr` is (N, 2, H, W) in [-0.5, 0.5]."
    place = ((cbcr + 0.5) * BOXES).long().clamp(0, BOXES - 1)
    return place[:, 0] * BOXES + place[:, 1]
