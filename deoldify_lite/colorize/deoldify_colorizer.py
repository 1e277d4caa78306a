"""DeOldify's own pre- and postprocessing, to compare with it: square input, 8-bit RGB in between, clipping.

The usual engine keeps the photo's shape and fits the chroma to the gamut.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from ..bt601 import LUMA_WEIGHTS
from ..photo import Photo
from .colorizer import Colorizer
from .engine import Engine

# OpenCV's analogue YUV, which the original merges in: scales of B - Y and R - Y.
U_SCALE, V_SCALE = 0.492, 0.877


class DeOldifyEngine(Engine):
    "Runs a generator as DeOldify does."

    needs_source = True
    takes_hints = False

    def render_factor_for(self, size: tuple[int, int], render_factor: int | None = None) -> int:
        "`render_factor`, or for None what the weights record."
        return render_factor or self.render_factor

    def preprocess(self, photo: Photo, render_factor: int | None = None) -> Image.Image:
        "The photo as the network's input (mode L): resized to a square, whatever its shape."
        side = 16 * self.render_factor_for(photo.size, render_factor)
        image = photo.source or photo.gray()
        return image.resize((side, side), Image.Resampling.BILINEAR).convert("L")

    def predict(self, inputs: Sequence[Image.Image]) -> list[np.ndarray]:
        "RGB (H, W, 3), uint8, of each of some images of one size (mode L)."
        rgb = self.predict_rgb(self.to_luma(inputs))
        return list((rgb * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy())

    def merge(self, photo: Photo, prediction: np.ndarray, strength: float = 1.0, for_jpeg: bool = False) -> np.ndarray:
        "RGB pixels (H, W, 3) in the photo's own depth: its luma with U and V of the prediction, rounded and clipped."
        luma = photo.luma
        white = np.iinfo(luma.dtype).max
        rgb = Image.fromarray(prediction).resize(photo.size, Image.Resampling.BILINEAR)
        rgb = np.asarray(rgb, np.float32)
        y = np.rint(rgb @ np.array(LUMA_WEIGHTS, np.float32))
        u, v = (
            (np.rint((rgb[..., channel] - y) * scale + 128).clip(0, 255) - 128) * (strength * white / 255)
            for channel, scale in ((2, U_SCALE), (0, V_SCALE))
        )
        luma = luma.astype(np.float32)
        blue, red = luma + u / U_SCALE, luma + v / V_SCALE
        green = (luma - LUMA_WEIGHTS[0] * red - LUMA_WEIGHTS[2] * blue) / LUMA_WEIGHTS[1]
        return np.rint(np.stack([red, green, blue], -1)).clip(0, white).astype(photo.luma.dtype)


class DeOldifyColorizer(Colorizer):
    "`Colorizer` with DeOldify's own pre- and postprocessing."

    engine_class = DeOldifyEngine
