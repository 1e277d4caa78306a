"""A generator ready to run, with the steps around it: a photo in, its colour pixels out."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import color
from ..device import pick_device, pick_precision, tune_allocator
from ..modeling.fold import fold
from ..modeling.generator import Lite
from ..modeling.layers import attend_by_rows
from ..modeling.weights import load_generator
from ..modeling.winograd import use_winograd
from ..photo import BadPhoto, ColorPixels, Photo, merge_for_jpeg

STRIDE = 32  # the network pads sides that are no multiple of this
LONGEST = 4  # times the side of the square of the same area: how long a side of the network's input may be


class Engine:
    """Runs one generator, without anything that only training needs. Safe to share between threads.

    `preprocess`, `predict` and `merge` are the steps from a photo to its colour pixels. Only `predict` uses the
    network; the others take one core, so that they can run beside it. For tensors, for instance the frames of a video,
    there are `predict_chroma` and `predict_rgb`.

    Args:
        weights: a name or a path, as `load_generator` takes it.
        device: auto, cpu, cuda, mps, ...
        precision: auto, float32, bfloat16 or float16.
    """

    needs_source = False  # whether `preprocess` needs `Photo.source`
    takes_hints = True  # whether a prediction is chroma, which hints change

    def __init__(self, weights: str | Path = "lite", device: str = "auto", precision: str = "auto"):
        self.device = pick_device(device)
        self.precision = pick_precision(self.device, precision)
        generator = fold(load_generator(weights, self.device))
        if self.device.type == "cpu":
            tune_allocator()
            if self.precision == torch.float32:
                generator = attend_by_rows(use_winograd(generator))
        if self.precision != torch.float32:
            generator = lower_precision(generator, self.precision)
        self.generator = generator.to(memory_format=torch.channels_last)

    def preprocess(self, photo: Photo, render_factor: int) -> Image.Image:
        "The photo as the network's input: its luma (mode L) at `working_size`."
        size = working_size(photo.size, render_factor)
        return photo.gray().resize(size, Image.Resampling.BICUBIC, reducing_gap=3)

    def predict(self, inputs: Sequence[Image.Image]) -> list[np.ndarray]:
        """Cb and Cr (2, H, W), float32 in [-0.5, 0.5], of each of some images of one size (mode L).

        Raises:
            BadPhoto: the network's output is not finite.
        """
        return list(self.predict_chroma(self.to_luma(inputs)).cpu().numpy())

    def predict_with_features(self, model_input: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
        """As `predict` for one input, and the features (C, h, w) that it is made of, which say what belongs together.

        None in their place if the generator has none to offer, as those of DeOldify.

        Raises:
            BadPhoto: the network's output is not finite.
        """
        if not isinstance(self.generator, Lite):
            return self.predict([model_input])[0], None
        x = self._input(self.to_luma([model_input]))
        with torch.inference_mode():
            features = self.generator.decode(x)
            chroma = self._finite(self.generator.bounded(self.generator.head(features, x)))
        return chroma[0].cpu().numpy(), features[0].float().cpu().numpy()

    @torch.inference_mode()
    def encode(self, luma: np.ndarray) -> list[np.ndarray]:
        "What the encoder makes of a luma (H, W) in [0, 1]: feature maps (C, h, w), finest first."
        features = self.generator.encoder(self._input(torch.from_numpy(luma)[None, None]))
        return [each[0].float().cpu().numpy() for each in features]

    def merge(self, photo: Photo, prediction: np.ndarray, strength: float = 1.0, for_jpeg: bool = False) -> ColorPixels:
        """Colour pixels of the photo: its luma with the predicted chroma times `strength`.

        RGB (H, W, 3) in the photo's own depth; `for_jpeg`, of an 8-bit photo, a YCbCr image.
        """
        if for_jpeg and photo.luma.dtype == np.uint8:
            return merge_for_jpeg(photo.luma, prediction * strength)
        return photo.merge(prediction * strength)

    def to_luma(self, images: Sequence[Image.Image]) -> Tensor:
        "Images of one size (mode L) as luma (N, 1, H, W) in [0, 1] on the engine's device."
        return torch.from_numpy(np.stack([np.asarray(image) for image in images])).to(self.device)[:, None] / 255

    @torch.inference_mode()
    def predict_chroma(self, luma: Tensor) -> Tensor:
        """Luma (N, 1, H, W) in [0, 1] to Cb and Cr (N, 2, H, W), float32 in [-0.5, 0.5], on the engine's device.

        Any size will do; multiples of `STRIDE` waste nothing.

        Raises:
            BadPhoto: the network's output is not finite.
        """
        return self._finite(self.generator.chroma(self._input(luma)).float())

    @torch.inference_mode()
    def predict_rgb(self, luma: Tensor) -> Tensor:
        "Luma (N, 1, H, W) in [0, 1] to RGB (N, 3, H, W), float32 in [0, 1], the network's own luma included."
        return color.denormalize(self.generator(self._input(luma)).float()).clamp(0, 1)

    def _finite(self, chroma: Tensor) -> Tensor:
        if not torch.isfinite(chroma).all():
            raise BadPhoto(f"the network's output is not finite in {self.precision}; try --precision float32")
        return chroma

    def _input(self, luma: Tensor) -> Tensor:
        x = color.normalize(luma.to(self.device).expand(-1, 3, -1, -1))
        return x.contiguous(memory_format=torch.channels_last)


def working_size(size: tuple[int, int], render_factor: int) -> tuple[int, int]:
    """Width and height of the network's input for a photo of `size`.

    The photo's shape, about the area of a square with sides of 16 x `render_factor`, in multiples of `STRIDE`.
    """
    side, ratio = 16 * render_factor, math.sqrt(size[0] / size[1])

    def fitted(length: float) -> int:
        return STRIDE * max(1, round(min(length, LONGEST * side) / STRIDE))

    return fitted(side * ratio), fitted(side / ratio)


def lower_precision(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Convert a network in place to `dtype`, except for its input and the first layers of its encoder. Returns it.

    A flat area of a grayscale image is a single value in the first layers. Rounded there, the whole area has the same
    error, and its colour changes. In later layers the errors are small and average out. The layers that stay in
    float32 are those that an encoder names in `beginning`, else the first convolution, whose weights nearly cancel on
    three equal channels.
    """
    where, encoder = next(((p, m) for p, m in network.named_modules() if hasattr(m, "beginning")), ("", network))
    first_convolution = (path for path, module in network.named_modules() if isinstance(module, nn.Conv2d))
    paths = getattr(encoder, "beginning", None) or (next(first_convolution),)
    exact = {path: encoder.get_submodule(path) for path in paths}
    for path in paths:
        encoder.set_submodule(path, nn.Identity())  # hidden from the conversion
    network.to(dtype)
    for path, layer in exact.items():
        encoder.set_submodule(path, _Rounded(layer, dtype).eval() if path == paths[-1] else layer)
    if where:  # its first layers may return features, too
        network.set_submodule(where, _Rounded(encoder, dtype).eval())
    return network


class _Rounded(nn.Module):
    "A module that stays in float32 within a network of another type, and whose output is rounded to that type."

    def __init__(self, part: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.part, self.dtype = part, dtype

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        output = self.part(x)
        return [each.to(self.dtype) for each in output] if isinstance(output, list) else output.to(self.dtype)
