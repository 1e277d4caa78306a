"""Luma and chroma together: from a photo's own luma and the network's small picture of its colours to pixels.

Luma and chroma together may leave the gamut, say a red sky where the paper is nearly white. Cut off, such a pixel
would change its luma and its hue; here its chroma gives way until it fits.
"""

from collections.abc import Iterator
from functools import reduce

import numpy as np
from PIL import Image

from ..bt601 import CHROMA_TO_RGB

STRIP = 1 << 20  # pixels that are worked on at once


def merge(luma: np.ndarray, cbcr: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3), uint8 or uint16 as `luma` (H, W) is, of which each pixel keeps its luma within one level.

    `cbcr`: (2, h, w) float in [-0.5, 0.5] of any size; stretched to the luma's.
    """
    return _merge_8bit(luma, cbcr) if luma.dtype == np.uint8 else _merge_16bit(luma, cbcr)


def merge_for_jpeg(luma: np.ndarray, cbcr: np.ndarray) -> Image.Image:
    """A YCbCr picture of an 8-bit `luma` (H, W) and `cbcr` as in `merge`, the chroma the same for two by two pixels.

    That is all that a JPEG of halved chroma (4:2:0) holds, and RGB is never gone through.
    """
    block = max(2, _block(luma.shape, cbcr.shape[1:]))
    planes = _fitted_planes(luma, cbcr, block)
    return _ycbcr(luma, planes, block)


def _merge_8bit(luma: np.ndarray, cbcr: np.ndarray) -> np.ndarray:
    block = _block(luma.shape, cbcr.shape[1:])
    planes = _fitted_planes(luma, cbcr, block)
    rgb = np.empty((*luma.shape, 3), np.uint8)
    for top, bottom, strip in strips(luma, block):
        rows = planes[:, top // block : -(-bottom // block)]
        rgb[top:bottom] = np.asarray(_ycbcr(strip, rows, block).convert("RGB"))
    return rgb


def _merge_16bit(luma: np.ndarray, cbcr: np.ndarray) -> np.ndarray:
    bands = [Image.fromarray(np.ascontiguousarray(band, np.float32)) for band in cbcr]
    rgb = np.empty((*luma.shape, 3), np.uint16)
    for top, bottom, strip in strips(luma):
        y, cb, cr = strip.astype(np.float32), *(_stretched(band, luma.shape, top, bottom) for band in bands)
        offsets = _offsets(cb, cr) * 65535
        room = np.where(offsets > 0, 65535 - y, y) / np.maximum(np.abs(offsets), 1e-6)
        fitted = y + offsets * room.min(0).clip(0, 1)
        rgb[top:bottom] = np.rint(np.moveaxis(fitted, 0, -1)).clip(0, 65535)
    return rgb


def strips(pixels: np.ndarray, multiple: int = 1) -> Iterator[tuple[int, int, np.ndarray]]:
    "Rows `top` to `bottom` of (H, W, ...) pixels, a handful at a time, each time a `multiple` but for the last."
    rows = max(1, STRIP // (pixels.shape[1] * multiple)) * multiple
    for top in range(0, pixels.shape[0], rows):
        bottom = min(top + rows, pixels.shape[0])
        yield top, bottom, pixels[top:bottom]


def _block(size: tuple[int, int], small: tuple[int, int]) -> int:
    """Over how many pixels each way the chroma may stay the same.

    Stretched many times over, chroma changes so little from pixel to pixel that working out each would be in vain.
    """
    magnified = min(size[0] / small[0], size[1] / small[1])
    return 4 if magnified >= 16 else 2 if magnified >= 8 else 1


def _fitted_planes(luma: np.ndarray, cbcr: np.ndarray, block: int) -> np.ndarray:
    "Cb and Cr (2, H / block, W / block), uint8, each fitted to the lightest and the darkest pixel of its block."
    missing = [(0, -side % block) for side in luma.shape]
    whole = np.pad(luma, missing, "edge") if np.any(missing) else luma
    size = (whole.shape[0] // block, whole.shape[1] // block)
    bands = _with_limits(cbcr)
    planes = np.empty((2, *size), np.uint8)
    for top, bottom, strip in strips(whole, block):
        top, bottom = top // block, bottom // block
        lightest, darkest = _extreme(np.maximum, strip, block), _extreme(np.minimum, strip, block)
        planes[:, top:bottom] = _fitted(_stretched(bands, size, top, bottom), lightest, darkest)
    return planes


def _extreme(which: np.ufunc, pixels: np.ndarray, block: int) -> np.ndarray:
    "The maximum or minimum (H / block, W / block) of each block of (H, W) pixels."
    for axis in (0, 1):  # rows first: whole rows are quick to compare
        parts = [pixels[i::block] if axis == 0 else pixels[:, i::block] for i in range(block)]
        pixels = reduce(which, parts)
    return pixels


def _ycbcr(luma: np.ndarray, planes: np.ndarray, block: int) -> Image.Image:
    "A YCbCr picture of luma (H, W) and of chroma planes in which one value counts for a block of pixels."
    height, width = luma.shape
    # The same with Pillow's resizing takes several times as long.
    whole = (plane.repeat(block, 1).repeat(block, 0)[:height, :width] for plane in planes)
    return Image.merge("YCbCr", [Image.fromarray(band) for band in (luma, *whole)])


def _with_limits(cbcr: np.ndarray) -> Image.Image:
    """Four bands to be stretched together: Cb, Cr, and the lightest and the darkest luma that these colours fit.

    Stretching keeps the limits on the safe side, because each is the extreme of functions linear in Cb and Cr.
    """
    offsets = _offsets(*cbcr) * 255
    highest = np.floor(255 - offsets.max(0)) - 1  # a level is what rounding, here and on the way to RGB, may take
    lowest = np.ceil(-offsets.min(0)) + 1
    bands = [cbcr[0] * 255 + 128, cbcr[1] * 255 + 128, highest, lowest]
    # CMYK is Pillow's name for four bands that have nothing to do with one another.
    return Image.merge("CMYK", [Image.fromarray(np.rint(b).clip(0, 255).astype(np.uint8)) for b in bands])


def _stretched(small: Image.Image, shape: tuple[int, int], top: int, bottom: int) -> np.ndarray:
    "Rows `top` to `bottom` of what `small` is when stretched to `shape`: floats and bytes stay small on a huge scan."
    box = (0, top / shape[0] * small.height, small.width, bottom / shape[0] * small.height)
    return np.asarray(small.resize((shape[1], bottom - top), Image.Resampling.BILINEAR, box=box))


def _fitted(bands: np.ndarray, lightest: np.ndarray, darkest: np.ndarray) -> np.ndarray:
    "Cb and Cr (2, H, W) out of `_with_limits`' bands (H, W, 4), weakened where a luma is beyond the limits."
    cb, cr, highest, lowest = np.moveaxis(bands, -1, 0)
    room = np.minimum(_share(255 - lightest, 255 - highest), _share(darkest, lowest))
    return np.stack([(np.trunc((band - np.float32(128)) * room) + 128).astype(np.uint8) for band in (cb, cr)])


def _share(there: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    "The share, 0 to 1, of the `wanted` distances, uint8, that the ones that are `there` allow."
    return np.minimum(there / np.maximum(wanted, 1).astype(np.float32), 1)


def _offsets(cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    "What chroma adds to red, green and blue: (3, ...), in the units of `cb` and `cr`."
    return np.stack([b * cb + r * cr for b, r in CHROMA_TO_RGB])
