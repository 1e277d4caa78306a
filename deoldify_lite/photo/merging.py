"""Merges a photo's luma, at full resolution, with the small chroma planes of a network.

Luma and chroma together may leave the RGB gamut, for instance a red sky where the paper is nearly white. Clipping such
a pixel would change its luma and its hue; here its chroma is scaled down until it fits.
"""

from collections.abc import Iterator
from functools import reduce

import numpy as np
from PIL import Image

from ..bt601 import CHROMA_TO_RGB

LARGEST = 127 / 255  # Cb or Cr that 8 bit can hold, to either side
STRIP = 1 << 20  # pixels that are processed at once, which bounds the memory


def merge(luma: np.ndarray, cbcr: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3) of the type of `luma` (H, W), uint8 or uint16; each pixel keeps its luma within one level.

    `cbcr`: (2, h, w) float in [-0.5, 0.5] of any size; resized to the luma's.
    """
    return _merge_8bit(luma, cbcr) if luma.dtype == np.uint8 else _merge_16bit(luma, cbcr)


def merge_for_jpeg(luma: np.ndarray, cbcr: np.ndarray) -> Image.Image:
    """A YCbCr image of an 8-bit `luma` (H, W) and `cbcr` as in `merge`, with one chroma value for 2 x 2 pixels.

    A JPEG with subsampled chroma (4:2:0) holds no more, and the conversion to RGB and back is saved.
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
        y, cb, cr = strip.astype(np.float32), *(_resized_rows(band, luma.shape, top, bottom) for band in bands)
        offsets = _offsets(cb, cr) * 65535
        scale = np.where(offsets > 0, 65535 - y, y) / np.maximum(np.abs(offsets), 1e-6)
        fitted = y + offsets * scale.min(0).clip(0, 1)
        rgb[top:bottom] = np.rint(np.moveaxis(fitted, 0, -1)).clip(0, 65535)
    return rgb


def strips(pixels: np.ndarray, multiple: int = 1) -> Iterator[tuple[int, int, np.ndarray]]:
    "`top`, `bottom` and the rows between, of (H, W, ...) pixels; their number is a `multiple`, but for the last strip."
    rows = max(1, STRIP // (pixels.shape[1] * multiple)) * multiple
    for top in range(0, pixels.shape[0], rows):
        bottom = min(top + rows, pixels.shape[0])
        yield top, bottom, pixels[top:bottom]


def _block(size: tuple[int, int], small: tuple[int, int]) -> int:
    """The side, in pixels, of the blocks that share one chroma value.

    Chroma that is enlarged many times changes little from pixel to pixel: a block is at most a third as wide as a pixel
    of the prediction.
    """
    magnified = min(size[0] / small[0], size[1] / small[1])
    return 4 if magnified >= 12 else 2 if magnified >= 6 else 1


def _fitted_planes(luma: np.ndarray, cbcr: np.ndarray, block: int) -> np.ndarray:
    "Cb and Cr (2, H / block, W / block), uint8, each in gamut for the lightest and the darkest pixel of its block."
    missing = [(0, -side % block) for side in luma.shape]
    whole = np.pad(luma, missing, "edge") if np.any(missing) else luma
    size = (whole.shape[0] // block, whole.shape[1] // block)
    bands = _with_limits(cbcr)
    planes = np.empty((2, *size), np.uint8)
    for top, bottom, strip in strips(whole, block):
        top, bottom = top // block, bottom // block
        lightest, darkest = _extreme(np.maximum, strip, block), _extreme(np.minimum, strip, block)
        planes[:, top:bottom] = _fitted(_resized_rows(bands, size, top, bottom), lightest, darkest)
    return planes


def _extreme(which: np.ufunc, pixels: np.ndarray, block: int) -> np.ndarray:
    "The maximum or minimum (H / block, W / block) of each block of (H, W) pixels."
    for axis in (0, 1):  # rows first: whole rows are compared faster
        parts = [pixels[i::block] if axis == 0 else pixels[:, i::block] for i in range(block)]
        pixels = reduce(which, parts)
    return pixels


def _ycbcr(luma: np.ndarray, planes: np.ndarray, block: int) -> Image.Image:
    "A YCbCr image of luma (H, W) and chroma planes with one value a block."
    height, width = luma.shape
    # Pillow's resize takes several times as long.
    whole = (plane.repeat(block, 1).repeat(block, 0)[:height, :width] for plane in planes)
    return Image.merge("YCbCr", [Image.fromarray(band) for band in (luma, *whole)])


def _with_limits(cbcr: np.ndarray) -> Image.Image:
    """Four bands to be resized together: Cb, Cr, and the lightest and the darkest luma that is in gamut with them.

    Interpolated limits are safe: each is the extreme of functions that are linear in Cb and Cr.
    """
    cbcr = cbcr * (LARGEST / np.maximum(np.abs(cbcr).max(0), LARGEST))  # not each cut off on its own
    offsets = _offsets(*cbcr) * 255
    highest = np.floor(255 - offsets.max(0)) - 1  # one level for rounding, here and in the conversion to RGB
    lowest = np.ceil(-offsets.min(0)) + 1
    bands = [cbcr[0] * 255 + 128, cbcr[1] * 255 + 128, highest, lowest]
    # CMYK, because Pillow has no mode for four unrelated bands.
    return Image.merge("CMYK", [Image.fromarray(np.rint(b).clip(0, 255).astype(np.uint8)) for b in bands])


def _resized_rows(small: Image.Image, shape: tuple[int, int], top: int, bottom: int) -> np.ndarray:
    "Rows `top` to `bottom` of `small` resized to `shape`, without the memory of the whole."
    box = (0, top / shape[0] * small.height, small.width, bottom / shape[0] * small.height)
    return np.asarray(small.resize((shape[1], bottom - top), Image.Resampling.BILINEAR, box=box))


def _fitted(bands: np.ndarray, lightest: np.ndarray, darkest: np.ndarray) -> np.ndarray:
    "Cb and Cr (2, H, W) from the bands (H, W, 4) of `_with_limits`, scaled down where a luma is beyond the limits."
    cb, cr, highest, lowest = np.moveaxis(bands, -1, 0)
    scale = np.minimum(_fraction(255 - lightest, 255 - highest), _fraction(darkest, lowest))
    return np.stack([(np.trunc((band - np.float32(128)) * scale) + 128).astype(np.uint8) for band in (cb, cr)])


def _fraction(there: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    "The fraction, 0 to 1, of the distances `wanted` (uint8) that fits into those `there`."
    return np.minimum(there / np.maximum(wanted, 1).astype(np.float32), 1)


def _offsets(cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    "What chroma adds to red, green and blue: (3, ...), in the units of `cb` and `cr`."
    return np.stack([b * cb + r * cr for b, r in CHROMA_TO_RGB])
