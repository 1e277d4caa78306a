"""What lies under damage: the smoothest picture that meets its surroundings.

Pull-push (Gortler et al. 1996, "The Lumigraph"): known pixels are averaged over ever larger squares, and unknown ones
take the value of the smallest square that knows something. A few steps of averaging with neighbours then take the
squares' edges away. Scores are in docs/restore.md, beside those of OpenCV's `inpaint`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 8  # of averaging
AROUND = torch.tensor([[[[0.5, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.5]]]]) / 6  # weights of a pixel's neighbours
NOTHING = 0.5  # luma where a whole picture is unknown


@torch.inference_mode()
def fill_smoothly(luma: Tensor, unknown: Tensor) -> Tensor:
    "Luma (1, 1, H, W), with the pixels that are `unknown` (1, 1, H, W), bool, filled in. Theirs have no influence."
    known = (~unknown).to(luma)
    filled = _pull_push(luma, known)
    for _ in range(STEPS):
        smooth = F.conv2d(F.pad(filled, (1, 1, 1, 1), mode="replicate"), AROUND.to(luma))
        filled = torch.where(unknown, smooth, luma)
    return filled


def _pull_push(luma: Tensor, known: Tensor) -> Tensor:
    "Luma with its unknown pixels, where `known` is 0, filled in from coarser and coarser copies."
    height, width = luma.shape[-2:]
    if known.all():
        return luma
    if max(height, width) == 1:
        return torch.full_like(luma, NOTHING)
    odd = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(known, odd), 2)
    means = F.avg_pool2d(F.pad(torch.where(known > 0, luma, 0), odd), 2) / weight.clamp(min=1e-6)
    coarse = _pull_push(means, (weight > 0).to(luma))
    finer = F.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    return torch.where(known > 0, luma, finer)
