"""A generator ready to run: right device, precision and memory layout. Grey pictures in, arrays out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import color
from ..device import keep_freed_memory, pick_device, pick_precision
from ..modeling.fold import fold
from ..modeling.layers import attend_by_rows
from ..modeling.weights import load_generator
from ..modeling.winograd import use_winograd
from ..photo import BadPhoto


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
        if self.device.type == "cpu":
            keep_freed_memory()
            if self.precision == torch.float32:
                generator = attend_by_rows(use_winograd(generator))
        if self.precision != torch.float32:
            generator = lower_precision(generator, self.precision)
        self.generator = generator.to(memory_format=torch.channels_last)

    def _input(self, greys: Sequence[Image.Image]) -> Tensor:
        y = torch.from_numpy(np.stack([np.asarray(grey) for grey in greys])).to(self.device) / 255
        x = color.normalize(y[:, None].expand(-1, 3, -1, -1))
        return x.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def chroma(self, greys: Sequence[Image.Image]) -> list[np.ndarray]:
        """Cb and Cr (2, H, W), float32 in [-0.5, 0.5], of each of some grey pictures (mode L) of one size.

        Raises:
            BadPhoto: what comes out are no numbers.
        """
        chroma = self.generator.chroma(self._input(greys)).float().cpu().numpy()
        if not np.isfinite(chroma).all():
            raise BadPhoto(f"the network gives no numbers for it in {self.precision}; try --precision float32")
        return list(chroma)

    @torch.inference_mode()
    def paint(self, greys: Sequence[Image.Image]) -> list[Image.Image]:
        "The RGB pictures that the network makes of grey ones (mode L) of one size, luma and all."
        rgb = color.denormalize(self.generator(self._input(greys)).float()).clamp(0, 1)
        return [Image.fromarray(p) for p in (rgb * 255).byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def lower_precision(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Bring a network, in place, to `dtype`, all but its first convolution and its input. Returns the network.

    A first convolution that has learned from colours finds the same grey in all three channels, where its weights
    nearly cancel: what rounding takes from them, little as it is, shows in the colours. It is a small part of the work.
    """
    path = next(path for path, module in network.named_modules() if isinstance(module, nn.Conv2d))
    parent, name = network.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]
    first = _Exact(getattr(parent, name), dtype).eval()
    setattr(parent, name, nn.Identity())  # out of the way of the rounding
    network.to(dtype)
    setattr(parent, name, first)
    return network


class _Exact(nn.Module):
    "A float32 layer at the beginning of a network of another type."

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.layer, self.dtype = layer, dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).to(self.dtype)
