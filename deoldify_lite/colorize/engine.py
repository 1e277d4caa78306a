"""A generator ready to run: right device, precision and memory layout. Grey pictures in, arrays out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import color
from ..device import pick_device, pick_precision
from ..modeling.fold import fold
from ..modeling.weights import load_generator
from ..modeling.winograd import use_winograd


class Engine:
    """Runs one generator, without anything that only training needs. Safe to share between threads.

    Args:
        weights: a name or a path, as `load_generator` takes it.
        device: auto, cpu, cuda, mps, ...
        precision: auto, float32, bfloat16 or float16.
    """

    stride = 32  # sides of the network's input that are multiples of this waste nothing

    def __init__(self, weights: str | Path = "lite", device: str = "auto", precision: str = "auto"):
        self.device = pick_device(device)
        self.precision = pick_precision(self.device, precision)
        generator = fold(load_generator(weights, self.device))
        if self.device.type == "cpu" and self.precision == torch.float32:
            generator = use_winograd(generator)
        self.generator = generator.to(dtype=self.precision, memory_format=torch.channels_last)

    def _input(self, greys: Sequence[Image.Image]) -> Tensor:
        y = torch.from_numpy(np.stack([np.asarray(grey) for grey in greys])).to(self.device) / 255
        x = color.normalize(y[:, None].expand(-1, 3, -1, -1))
        return x.to(self.precision).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def chroma(self, greys: Sequence[Image.Image]) -> list[np.ndarray]:
        "Cb and Cr (2, H, W), float32 in [-0.5, 0.5], of each of some grey pictures (mode L) of one size."
        return list(self.generator.chroma(self._input(greys)).float().cpu().numpy())

    @torch.inference_mode()
    def paint(self, greys: Sequence[Image.Image]) -> list[Image.Image]:
        "The RGB pictures that the network makes of grey ones (mode L) of one size, luma and all."
        rgb = color.denormalize(self.generator(self._input(greys)).float()).clamp(0, 1)
        return [Image.fromarray(p) for p in (rgb * 255).byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()]
