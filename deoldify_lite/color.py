"""Colour arithmetic on tensors: the one place for luma, chroma, gamut and normalisation.

Luma and chroma are those of JPEG (BT.601, full range), the space that Pillow calls YCbCr:

    Y  =  0.299 R + 0.587 G + 0.114 B
    Cb = (B - Y) / 1.772            Cr = (R - Y) / 1.402

with R, G, B and Y in [0, 1] and Cb, Cr in [-0.5, 0.5]. The transform is linear, so a picture is its luma plus a
linear function of its chroma: a network that predicts chroma alone cannot damage the luma.
"""
import torch
from torch import Tensor

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Columns: what one unit of Cb and of Cr adds to R, G and B at constant luma.
CHROMA_TO_RGB = ((0.0, 1.402), (-0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587), (1.772, 0.0))


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
    return torch.stack([(blue - y) / 1.772, (red - y) / 1.402], -3)


def merge(y: Tensor, cbcr: Tensor) -> Tensor:
    "RGB (..., 3, H, W) of luma (..., 1, H, W) in [0, 1] and chroma (..., 2, H, W). Not clamped: it may leave [0, 1]."
    cb, cr = cbcr.unbind(-3)
    return torch.stack([y.squeeze(-3) + b * cb + r * cr for b, r in CHROMA_TO_RGB], -3)


def fit_gamut(y: Tensor, cbcr: Tensor) -> Tensor:
    """Chroma (..., 2, H, W) pulled towards grey just enough that `merge(y, ...)` stays inside [0, 1].

    Hue and luma are kept; clipping the RGB values instead would shift both, which is where the purple and
    orange blotches in bright and dark places come from.
    """
    offset = merge(torch.zeros_like(y), cbcr)  # how far each channel leaves the luma
    room = torch.where(offset > 0, 1 - y, y).clamp(min=0)  # how far it may
    scale = (room / offset.abs().clamp(min=1e-6)).amin(-3, keepdim=True).clamp(max=1)
    return cbcr * scale
