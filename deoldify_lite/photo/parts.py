"A photo taken apart, and put together again in colour."

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ..bt601 import CHROMA_TO_RGB

STRIP = 1 << 20  # pixels that are worked on at once


class BadPhoto(ValueError):
    "A file that cannot be used as a photo, or a photo that a format cannot hold. The message says why."


@dataclass
class Photo:
    """A photo taken apart.

    luma: (H, W), uint8 or uint16, upright.
    alpha: of the same shape and type, or None.
    metadata: what `save_photo` writes beside the pixels: exif, xmp (bytes), dpi (pair).
    notes: what happened to it on the way that its owner may want to know.
    source: the upright picture in sRGB, mode L or RGB, where it had 8 bit; None where it had more.
    """

    luma: np.ndarray
    alpha: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        "Width and height, upright."
        return self.luma.shape[1], self.luma.shape[0]

    def grey(self) -> Image.Image:
        "What the network looks at: the luma in 8 bit (mode L)."
        return Image.fromarray(to_8bit(self.luma))

    def merge(self, cbcr: np.ndarray) -> np.ndarray:
        """The photo in colour: (H, W, 3) of the luma's type, alpha left out.

        `cbcr`: (2, h, w) float in [-0.5, 0.5] of any size; stretched to the photo's. Where luma and chroma together
        leave the gamut the chroma gives way, so that luma stays within one level and hue is kept.
        """
        bands = [Image.fromarray(np.ascontiguousarray(band, np.float32)) for band in cbcr]
        colour = np.empty((*self.luma.shape, 3), self.luma.dtype)
        for top, bottom, luma in strips(self.luma):
            # Stretching only this strip's part keeps the floats small on a huge scan.
            box = (
                0,
                top / self.luma.shape[0] * bands[0].height,
                bands[0].width,
                bottom / self.luma.shape[0] * bands[0].height,
            )
            size = (self.luma.shape[1], bottom - top)
            cb, cr = (np.asarray(band.resize(size, Image.Resampling.BILINEAR, box=box)) for band in bands)
            merge = _merge_8bit if luma.dtype == np.uint8 else _merge_16bit
            colour[top:bottom] = merge(luma, cb, cr)
        return colour


def to_8bit(pixels: np.ndarray) -> np.ndarray:
    "16-bit pixels by their upper byte; 8-bit ones as they are."
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def strips(pixels: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    "Rows `top` to `bottom` of (H, W, ...) pixels, a handful at a time."
    rows = max(1, STRIP // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        bottom = min(top + rows, pixels.shape[0])
        yield top, bottom, pixels[top:bottom]


def _merge_8bit(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    "By Pillow's integer YCbCr; exact arithmetic only where a channel was clipped."
    bands = [Image.fromarray(luma)]
    bands += [Image.fromarray(np.rint(band * 255 + 128).clip(0, 255).astype(np.uint8)) for band in (cb, cr)]
    rgb = np.array(Image.merge("YCbCr", bands).convert("RGB"))
    clipped = ((rgb == 0) | (rgb == 255)).any(-1)
    if clipped.any():
        rgb[clipped] = np.rint(_within_gamut(luma[clipped].astype(np.float32), cb[clipped], cr[clipped], 255))
    return rgb


def _merge_16bit(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    return np.rint(_within_gamut(luma.astype(np.float32), cb, cr, 65535)).astype(np.uint16)


def _within_gamut(y: np.ndarray, cb: np.ndarray, cr: np.ndarray, white: int) -> np.ndarray:
    "RGB (..., 3) in [0, white] of luma in [0, white] and chroma in [-0.5, 0.5], the chroma scaled down until it fits."
    offset = np.stack([(b * cb + r * cr) * white for b, r in CHROMA_TO_RGB], -1)
    y = y[..., None]
    room = np.where(offset > 0, white - y, y)
    scale = (room / np.maximum(np.abs(offset), 1e-6)).min(-1, keepdims=True).clip(0, 1)
    return (y + offset * scale).clip(0, white)
