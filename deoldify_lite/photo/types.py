"A photo as luma, alpha and metadata."

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ..bt601 import LUMA_WEIGHTS
from ..errors import DeoldifyError
from .merging import merge, strips

MAX_PAGES = 5000  # of a file

# What `save_photo` takes: RGB (H, W, 3), uint8 or uint16; or, for a JPEG, an image in YCbCr.
ColorPixels = np.ndarray | Image.Image


class BadPhoto(DeoldifyError, ValueError):
    "A file that cannot be read as a photo, or a photo that its new format cannot hold. The message says why."


@dataclass
class Photo:
    """What a colorizer keeps of a photo.

    luma: (H, W), uint8 or uint16, upright.
    alpha: of the same shape and type, or None.
    metadata: what `save_photo` writes beside the pixels: exif and xmp (bytes), dpi (pair of floats).
    notes: sentences for the owner about what was changed or left out.
    source: the upright image in sRGB (mode L or RGB), if the file has 8 bit a channel and the caller asked for it.
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

    def gray(self) -> Image.Image:
        "The luma in 8 bit, as an image (mode L)."
        return Image.fromarray(to_8bit(self.luma))

    def merge(self, cbcr: np.ndarray) -> np.ndarray:
        """RGB (H, W, 3) of the luma's type, without alpha.

        `cbcr`: (2, h, w) float in [-0.5, 0.5] of any size; resized to the photo's. Where luma and chroma together leave
        the gamut, the chroma is reduced, so that luma stays within one level and the hue is kept.
        """
        return merge(self.luma, cbcr)


def to_8bit(pixels: np.ndarray) -> np.ndarray:
    "The upper byte of 16-bit pixels; 8-bit pixels as they are."
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def luma_16bit(pixels: np.ndarray) -> np.ndarray:
    "The luma (H, W) of 16-bit pixels (H, W, 1 or 3)."
    luma = np.empty(pixels.shape[:2], np.uint16)
    for top, bottom, strip in strips(luma):
        rows = pixels[top:bottom].astype(np.float32)
        strip[:] = rows[..., 0] if rows.shape[2] == 1 else np.rint(rows @ np.array(LUMA_WEIGHTS, np.float32))
    return luma


def check_size(width: int, height: int, max_pixels: int) -> None:
    """
    Raises:
        BadPhoto: a picture of this size has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise BadPhoto(
            f"too large: {width} x {height} is more than {max_pixels:,} pixels (--max-pixels raises the limit)"
        )
