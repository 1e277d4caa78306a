"""Fading: one smooth monotone curve of tone for a whole photo, from its black and its white point.

The points come from the tiles of a grid, not from the histogram of all pixels: a white border, a stamp, a burnt corner
cover few tiles, and what few tiles have does not count.
"""

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

SIDE = 384  # long side, in pixels, of the copy that is looked at
TILES = 12  # a side
DARK, LIGHT = 2, 98  # percentiles within a tile
FEW = 0.06  # of the tiles: what no more of them reach does not count
FLAT = 0.05  # of the whole range: rows and columns at the border that vary less are its frame
LARGEST_FRAME = 0.25  # of a side
BLACK, WHITE = 0.03, 0.97  # where the darkest and the lightest that count come to lie
LARGEST_GAIN = 2.5  # slope: more would show grain and JPEG's blocks
SAMPLES = 65536


def tone_points(luma: np.ndarray) -> tuple[float, float]:
    "The black and the white point, in [0, 1], of luma (H, W), uint8 or uint16."
    image = Image.fromarray(luma if luma.dtype == np.uint8 else (luma >> 8).astype(np.uint8))
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    y = _without_frame(np.asarray(image, np.float32) / 255)
    rows, columns = (np.array_split(np.arange(side), min(TILES, side)) for side in y.shape)
    tiles = [y[r[0] : r[-1] + 1, c[0] : c[-1] + 1] for r in rows for c in columns]
    low, high = np.transpose([np.percentile(tile, (DARK, LIGHT)) for tile in tiles])
    return float(np.quantile(low, FEW)), float(np.quantile(high, 1 - FEW))


def _without_frame(y: np.ndarray) -> np.ndarray:
    "The picture without the rows and columns at its border that are all of one tone."
    for _ in range(2):  # rows, then columns
        spread = np.percentile(y, 95, 1) - np.percentile(y, 5, 1)
        frame = spread < FLAT
        most = int(len(y) * LARGEST_FRAME)
        top, bottom = (min(most, int(np.argmin(side))) for side in (frame, frame[::-1]))
        top, bottom = (cut + 2 * (cut > 0) for cut in (top, bottom))  # the copy's next row has some of the frame
        if top + bottom < len(y):
            y = y[top : len(y) - bottom]
        y = y.T
    return y


def tone_curve(black: float, white: float, strength: float = 1.0) -> np.ndarray:
    """The curve as a table: `SAMPLES` values in [0, 1] for as many inputs from 0 to 1. Monotone, smooth, 0 and 1 stay.

    The points go to nearly black and nearly white; points that are there already stay. `strength` from 0, which changes
    nothing, to 1.
    """
    x = np.linspace(0, 1, SAMPLES)
    if white - black < 0.05 or strength == 0:  # a flat picture has no fading that could be told
        return x
    low, high = min(black, BLACK), max(white, WHITE)
    if high - low > LARGEST_GAIN * (white - black):  # both points go only a part of the way
        part = (LARGEST_GAIN - 1) * (white - black) / (high - low - white + black)
        low, high = black + part * (low - black), white + part * (high - white)
    knots = {0.0: 0.0, black: low, (black + white) / 2: (low + high) / 2, white: high, 1.0: 1.0}
    places = sorted(k for k in knots if 0 <= k <= 1)
    places = [p for i, p in enumerate(places) if i == 0 or p - places[i - 1] > 1e-3 or p == 1.0]
    curve = PchipInterpolator(places, [knots[p] for p in places])(x)
    return np.maximum.accumulate(x + strength * (curve - x)).clip(0, 1)


def apply_curve(luma: np.ndarray, curve: np.ndarray) -> np.ndarray:
    "Luma (H, W), uint8 or uint16, by a table of `tone_curve`, in its own depth."
    white = np.iinfo(luma.dtype).max
    table = np.interp(np.linspace(0, 1, white + 1), np.linspace(0, 1, len(curve)), curve)
    return np.rint(table * white).astype(luma.dtype)[luma]
