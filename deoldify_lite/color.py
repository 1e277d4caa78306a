"""Colour arithmetic on tensors: the one place for luma, chroma and normalisation. The numbers are in `bt601`.

RGB and luma are in [0, 1], Cb and Cr in [-0.5, 0.5].
"""

import torch
from torch import Tensor

from .bt601 import CB_SCALE, CHROMA_TO_RGB, CR_SCALE, LUMA_WEIGHTS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    "`values` as a (C, 1, 1) tensor of the device and dtype of `like`."
    return torch.tensor(values, device=like.device, dtype=like.dtype)[:, None, None]


def normalize(rgb: Tensor, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD) -> Tensor:
    "RGB in [0, 1], (..., 3, H, W), to zero mean and unit variance over the data that has these statistics."
    return (rgb - _channels(mean, rgb)) / _channels(std, rgb)


def denormalize(x: Tensor) -> Tensor:
    "From ImageNet statistics back to RGB in [0, 1]."
    return x * _channels(IMAGENET_STD, x) + _channels(IMAGENET_MEAN, x)


def luma(rgb: Tensor, weights: tuple[float, ...] = LUMA_WEIGHTS) -> Tensor:
    "Luma (..., 1, H, W) of RGB (..., 3, H, W), in the same range."
    return (rgb * _channels(weights, rgb)).sum(-3, keepdim=True)


def chroma(rgb: Tensor) -> Tensor:
    "Cb and Cr (..., 2, H, W), in [-0.5, 0.5], of RGB (..., 3, H, W) in [0, 1]."
    red, _, blue = rgb.unbind(-3)
    y = luma(rgb).squeeze(-3)
    return torch.stack([(blue - y) / CB_SCALE, (red - y) / CR_SCALE], -3)


def merge(y: Tensor, cbcr: Tensor) -> Tensor:
    "RGB (..., 3, H, W) of luma (..., 1, H, W) in [0, 1] and chroma (..., 2, H, W). Not clamped: it may leave [0, 1]."
    cb, cr = cbcr.unbind(-3)
    return torch.stack([y.squeeze(-3) + b * cb + r * cr for b, r in CHROMA_TO_RGB], -3)
