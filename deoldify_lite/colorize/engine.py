"""A generator ready to run: right device, precision and memory layout. Pictures in, arrays out."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import color
from ..device import autocast, pick_device, pick_precision
from ..modeling.weights import load_generator


class Engine:
    """Runs one generator. Safe to share between threads.

    Args:
        weights: a name or a path, as `load_generator` takes it.
        device: auto, cpu, cuda, mps, ...
        precision: auto, float32, bfloat16 or float16.
    """

    def __init__(self, weights: str | Path = "lite", device: str = "auto", precision: str = "auto"):
        self.device = pick_device(device)
        self.precision = pick_precision(self.device, precision)
        self.generator = load_generator(weights, self.device).to(memory_format=torch.channels_last)

    @property
    def stride(self) -> int:
        "Sides of the network's input that are multiples of this waste nothing."
        return 32

    def _input(self, grey: Image.Image) -> Tensor:
        y = torch.from_numpy(np.asarray(grey, np.float32)).to(self.device) / 255
        return color.normalize(y.expand(1, 3, *y.shape)).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def chroma(self, grey: Image.Image) -> np.ndarray:
        "Cb and Cr (2, H, W), float32 in [-0.5, 0.5], of a grey picture (mode L)."
        with autocast(self.device, self.precision):
            return self.generator.chroma(self._input(grey))[0].float().cpu().numpy()

    @torch.inference_mode()
    def paint(self, grey: Image.Image) -> Image.Image:
        "The RGB picture that the network makes of a grey one (mode L), luma and all."
        with autocast(self.device, self.precision):
            rgb = color.denormalize(self.generator(self._input(grey))[0].float()).clamp(0, 1)
        return Image.fromarray((rgb * 255).byte().permute(1, 2, 0).contiguous().cpu().numpy())
