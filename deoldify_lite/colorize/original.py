"""DeOldify's own way from network to picture, for those who compare: square input, 8 bit in between, clipping.

Kept apart from the engine's way, which keeps the photo's shape and fits colours to the gamut.
"""

import numpy as np
from PIL import Image

from ..bt601 import LUMA_WEIGHTS

# OpenCV's analogue YUV, which the original merges in: scales of B - Y and R - Y.
U_SCALE, V_SCALE = 0.492, 0.877


def squeeze(image: Image.Image, render_factor: int) -> Image.Image:
    "A picture (mode L or RGB) as the network sees it: grey and square, whatever shape it had."
    side = 16 * render_factor
    return image.resize((side, side), Image.Resampling.BILINEAR).convert("L")


def merge(luma: np.ndarray, painted: Image.Image, strength: float = 1.0) -> np.ndarray:
    """Luma (H, W), uint8 or uint16, with U and V of the square RGB picture `painted`: (H, W, 3).

    Stretched, rounded and clipped as the original does.
    """
    white = np.iinfo(luma.dtype).max
    rgb = np.asarray(painted.resize(luma.shape[::-1], Image.Resampling.BILINEAR), np.float32)
    y = np.rint(rgb @ np.array(LUMA_WEIGHTS, np.float32))
    u, v = (
        (np.rint((rgb[..., channel] - y) * scale + 128).clip(0, 255) - 128) * (strength * white / 255)
        for channel, scale in ((2, U_SCALE), (0, V_SCALE))
    )
    luma = luma.astype(np.float32)
    blue, red = luma + u / U_SCALE, luma + v / V_SCALE
    green = (luma - LUMA_WEIGHTS[0] * red - LUMA_WEIGHTS[2] * blue) / LUMA_WEIGHTS[1]
    return np.rint(np.stack([red, green, blue], -1)).clip(0, white).astype(f"uint{white.bit_length()}")
