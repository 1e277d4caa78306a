"""Class rebalancing: pixels of rare colours count for more (Zhang et al. 2016, arXiv:1603.08511, section 2.2).

Most pixels of most photos are nearly grey, so whatever is trained on the mean over pixels predicts nearly grey. Here
the classes are bins of the (Cb, Cr) plane, since chroma is what the generators predict.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import color
from .run import Run

BINS = 64  # along each axis; four of 256 levels wide
SMOOTHING = 2.0  # bins; sigma of the Gaussian over the counts
UNIFORM = 0.5  # of the uniform distribution in the mixture with it, which bounds the weights
PHOTOS = 2048


def bin_weights(run: Run, size: int) -> Tensor:
    "Weight (BINS, BINS) of each (Cb, Cr) by the training photos of `run`; over their pixels it is one on average."
    photos = run.pack(size)
    members = run.split(photos).train
    counts = torch.zeros(BINS * BINS, dtype=torch.float64)
    for index in members[:: max(1, len(members) // PHOTOS)].split(64):
        cbcr = color.chroma(photos.crops(index, 32, None, torch.Generator()))
        counts += torch.bincount(color_bins(cbcr).flatten().cpu(), minlength=BINS * BINS)
    often = counts.reshape(BINS, BINS) / counts.sum()
    at = torch.arange(-3 * int(SMOOTHING), 3 * int(SMOOTHING) + 1, dtype=torch.float64)
    bell = torch.exp(-0.5 * (at / SMOOTHING) ** 2)
    bell = (bell / bell.sum())[None, None]
    smooth = F.conv2d(often[None, None], bell[..., None], padding=(len(at) // 2, 0))
    smooth = F.conv2d(smooth, bell[:, :, None], padding=(0, len(at) // 2))[0, 0]
    possible = (smooth > 0).sum()
    weights = 1 / ((1 - UNIFORM) * smooth + UNIFORM / possible)
    return (weights / (weights * often).sum()).float().to(run.device)


def color_bins(cbcr: Tensor) -> Tensor:
    "The number (N, H, W) of each pixel's bin; `cbcr` is (N, 2, H, W) in [-0.5, 0.5]."
    place = ((cbcr + 0.5) * BINS).long().clamp(0, BINS - 1)
    return place[:, 0] * BINS + place[:, 1]
