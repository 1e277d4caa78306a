"""Colour arithmetic on tensors: the one place for luma, chroma, Lab and normalisation. BT.601's numbers are in `bt601`.

RGB and luma are in [0, 1], Cb and Cr in [-0.5, 0.5]; Lab is CIE L*a*b* of sRGB under D65, L in [0, 100] and, for what
sRGB can show, a in [-87, 99] and b in [-108, 95].
"""

import torch
from torch import Tensor

from .bt601 import CB_SCALE, CHROMA_TO_RGB, CR_SCALE, LUMA_WEIGHTS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# IEC 61966-2-1: linear sRGB to CIE XYZ, and the white point D65 of the 2 degree observer.
XYZ_OF_RGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
D65 = (0.95047, 1.0, 1.08883)
# CIE 15: below this share of white the cube root gives way to a line of the same value and slope.
LAB_LINEAR_BELOW = (6 / 29) ** 3


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


def _times(matrix: tuple[tuple[float, ...], ...], x: Tensor, inverse: bool = False) -> Tensor:
    "`matrix` (3, 3), or its inverse, applied to the channels of `x` (..., 3, H, W)."
    by = torch.tensor(matrix, dtype=torch.float64)
    by = (by.inverse() if inverse else by).to(x)
    return torch.einsum("ij,...jhw->...ihw", by, x)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE L*a*b* (..., 3, H, W) of sRGB (..., 3, H, W) in [0, 1], under D65: L in [0, 100], a and b some +-100.

    Single precision at least, whatever `rgb` has: half a unit of L is lost in bfloat16.
    """
    rgb = rgb if rgb.dtype == torch.float64 else rgb.float()
    # Each clamp keeps the branch that is not taken, and its gradient, finite.
    linear = torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    of_white = _times(XYZ_OF_RGB, linear) / _channels(D65, linear)
    root = of_white.clamp(min=LAB_LINEAR_BELOW) ** (1 / 3)
    x, y, z = torch.where(of_white > LAB_LINEAR_BELOW, root, of_white * (29 / 6) ** 2 / 3 + 4 / 29).unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """sRGB (..., 3, H, W) of CIE L*a*b* under D65: the way back from `rgb_to_lab`.

    Not clamped: colours that sRGB does not have leave [0, 1].
    """
    lab = lab if lab.dtype == torch.float64 else lab.float()
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    root = torch.stack([y + a / 500, y, y - b / 200], -3)
    of_white = torch.where(root > 6 / 29, root**3, 3 * (6 / 29) ** 2 * (root - 4 / 29))
    linear = _times(XYZ_OF_RGB, of_white * _channels(D65, lab), inverse=True)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, linear * 12.92)
