"A photo taken apart, and put together again in colour."

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DeoldifyError
from .merging import merge

# What `save_photo` takes: RGB (H, W, 3), uint8 or uint16; or, for a JPEG, an image in YCbCr.
ColorPixels = np.ndarray | Image.Image


class BadPhoto(DeoldifyError, ValueError):
    "A file that cannot be used as a photo, or a photo that a format cannot hold. The message says why."


@dataclass
class Photo:
    """A photo taken apart.

    luma: (H, W), uint8 or uint16, upright.
    alpha: of the same shape and type, or None.
    metadata: what `save_photo` writes beside the pixels: exif, xmp (bytes), dpi (pair).
    notes: what happened to it on the way that its owner may want to know.
    source: the upright picture in sRGB, mode L or RGB, where it had 8 bit and was wanted.
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
        return merge(self.luma, cbcr)


def to_8bit(pixels: np.ndarray) -> np.ndarray:
    "16-bit pixels by their upper byte; 8-bit ones as they are."
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
