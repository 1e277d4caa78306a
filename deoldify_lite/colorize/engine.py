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
    """Bring a network, in place, to `dtype`, all but its input and its encoder's beginning. Returns the network.

    What is flat in a grey picture is one value to the network: rounded early, all of it is off by the same, and whole
    backgrounds change their colour. Further on errors are many and small, and even out. The layers that stay are those
    that an encoder names in `beginning`; of others it is the first convolution, whose weights nearly cancel on three
    channels that are the same.
    """
    where, encoder = next(((p, m) for p, m in network.named_modules() if hasattr(m, "beginning")), ("", network))
    first_convolution = (path for path, module in network.named_modules() if isinstance(module, nn.Conv2d))
    paths = getattr(encoder, "beginning", None) or (next(first_convolution),)
    exact = {path: encoder.get_submodule(path) for path in paths}
    for path in paths:
        encoder.set_submodule(path, nn.Identity())  # out of the way of the rounding
    network.to(dtype)
    for path, layer in exact.items():
        encoder.set_submodule(path, _Rounded(layer, dtype).eval() if path == paths[-1] else layer)
    if where:  # its beginning may give features, too
        network.set_submodule(where, _Rounded(encoder, dtype).eval())
    return network


class _Rounded(nn.Module):
    "A part, or the last layer, in float32 of a network of another type: rounds what it gives."

    def __init__(self, part: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.part, self.dtype = part, dtype

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        made = self.part(x)
        return [each.to(self.dtype) for each in made] if isinstance(made, list) else made.to(self.dtype)
