"""A generator ready to run, with the steps around it: a photo in, its colour pixels out."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import color
from ..device import autocast, pick_device, pick_precision, tune_allocator
from ..errors import UsageError
from ..modeling.fold import fold
from ..modeling.generator import STRIDE, Lite
from ..modeling.hint_branch import HintBranch, Seen, hinted_chroma, see
from ..modeling.layers import attend_by_rows
from ..modeling.weights import default_render_factor, load_generator, load_hint_branch
from ..modeling.winograd import use_winograd
from ..photo import BadPhoto, ColorPixels, Photo, merge_for_jpeg
from .hints import pixel_at

if TYPE_CHECKING:
    from ..restore.restorer import Restorer

HINT_SIDE = 2  # pixels of the network's input that a hint for the branch covers: one of its places
SEEN = 3 / 4  # of a photo's side: what the network sees by default, between the weights' own factor and `LARGEST` of it
LARGEST = 4 / 3
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
    restorer: "Restorer | None" = None  # restores photos first
    max_pages = None  # of a file
    takes_hints = True  # whether a prediction is chroma, which hints change

    def __init__(self, weights: str | Path = "lite", device: str = "auto", precision: str = "auto"):
        self.weights, self.device = weights, pick_device(device)
        self.precision = pick_precision(self.device, precision)
        generator = fold(load_generator(weights, self.device))
        self.render_factor = default_render_factor(weights, generator.config)
        if self.device.type == "cpu":
            tune_allocator()
            if self.precision == torch.float32:
                generator = attend_by_rows(use_winograd(generator))
        if self.precision != torch.float32:
            generator = lower_precision(generator, self.precision)
        self.generator = generator.to(memory_format=torch.channels_last)

    def restore_first(self, photo: Photo) -> Photo:
        "The photo, restored where the engine has a restorer for that."
        return self.restorer.restore_photo(photo) if self.restorer else photo

    def render_factor_for(self, size: tuple[int, int], render_factor: int | None = None) -> int:
        """`render_factor`, or for None the default for a photo of `size`.

        Three quarters of the photo's side, the square root of its area; at least what the weights record. Generators
        of this package see more of a large photo than that, up to `LARGEST` times as much, which pays
        (docs/model_card.md); others keep to what is recorded.
        """
        if render_factor or not isinstance(self.generator, Lite):
            return render_factor or self.render_factor
        fitting = round(SEEN * math.sqrt(size[0] * size[1]) / 16)
        return min(max(fitting, self.render_factor), round(LARGEST * self.render_factor))

    def preprocess(self, photo: Photo, render_factor: int | None = None) -> Image.Image:
        """The photo as the network's input: its luma (mode L) at `working_size`.

        `render_factor`: None for `render_factor_for` the photo.
        """
        size = working_size(photo.size, self.render_factor_for(photo.size, render_factor))
        return photo.gray().resize(size, Image.Resampling.BICUBIC, reducing_gap=3)

    def predict(self, inputs: Sequence[Image.Image]) -> list[np.ndarray]:
        """Cb and Cr (2, H, W), float32 in [-0.5, 0.5], of each of some images of one size (mode L).

        Raises:
            BadPhoto: the network's output is not finite.
        """
        return list(self.predict_chroma(self.to_luma(inputs)).cpu().numpy())

    def predict_with_features(self, model_input: Image.Image) -> tuple[np.ndarray, np.ndarray | None, Seen | None]:
        """As `predict` for one input, and the features (C, h, w) that it is made of, which say what belongs together;
        and all that `predict_hinted` needs.

        None in their places if the generator has none to offer, as those of DeOldify.

        Raises:
            BadPhoto: the network's output is not finite.
        """
        if not isinstance(self.generator, Lite):
            return self.predict([model_input])[0], None, None
        with torch.inference_mode():
            seen = see(self.generator, self._input(self.to_luma([model_input])))
            prediction = self._finite(seen.chroma)[0].cpu().numpy()
        return prediction, seen.decoded[-1][0].float().cpu().numpy(), seen

    @cached_property
    def hint_branch(self) -> HintBranch | None:
        """The trained branch for hints, where the weights have one beside them.

        Raises:
            BadWeights: as `load_hint_branch`.
        """
        branch = load_hint_branch(self.weights, self.device)
        return branch and branch.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def predict_hinted(self, seen: Seen, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Cb and Cr (2, H, W), float32 in [-0.5, 0.5], by `hint_branch`, with the `wanted` Cb and Cr (K, 2) at `places`
        (K, 2), x and y as fractions of width and height, in [0, 1]. About what is wanted: see `PreparedPhoto.apply`.

        Raises:
            BadPhoto: the network's output is not finite.
        """
        planes = torch.zeros(1, 3, *seen.luma.shape[-2:])
        for place, chroma in zip(places, wanted):
            row, column = (HINT_SIDE * (each // HINT_SIDE) for each in pixel_at(place, planes.shape[-2:]))
            hint = torch.tensor([*chroma, 1.0])[:, None, None]
            planes[0, :, row : row + HINT_SIDE, column : column + HINT_SIDE] += hint
        planes /= planes[:, 2:].clamp(min=1)  # hints for the same place are averaged
        with autocast(self.device, self.precision):
            chroma = hinted_chroma(self.generator, self.hint_branch, seen, planes.to(self.device), HINT_SIDE)
        return self._finite(chroma.float())[0].cpu().numpy()

    @torch.inference_mode()
    def encode(self, luma: np.ndarray) -> list[np.ndarray]:
        """What the encoder makes of a luma (H, W) in [0, 1]: feature maps (C, h, w), finest first.

        Raises:
            UsageError: the network has no encoder, as those of the baselines.
        """
        if not hasattr(self.generator, "encoder"):
            raise UsageError(f"the network of {self.weights} has no encoder, which finds what a reference photo shows")
        features = self.generator.encoder(self._input(torch.from_numpy(luma)[None, None]))
        return [each[0].float().cpu().numpy() for each in features]

    def merge(self, photo: Photo, prediction: np.ndarray, strength: float = 1.0, for_jpeg: bool = False) -> ColorPixels:
        """Colour pixels of the photo: its luma with the predicted chroma times `strength`.

        RGB (H, W, 3) in the photo's own depth; `for_jpeg`, of an 8-bit photo, a YCbCr image.
        """
        if for_jpeg and photo.luma.dtype == np.uint8:
            return merge_for_jpeg(photo.luma, prediction * strength)
        return photo.merge(prediction * strength)

    def save_beside(self, prediction: np.ndarray, output: Path) -> None:
        "Write what belongs beside a result: nothing."

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
        """Luma (N, 1, H, W) in [0, 1] to RGB (N, 3, H, W), float32 in [0, 1], the network's own luma included.

        Raises:
            BadPhoto: the network's output is not finite.
        """
        return color.denormalize(self._finite(self.generator(self._input(luma)).float())).clamp(0, 1)

    def _finite(self, output: Tensor) -> Tensor:
        if not torch.isfinite(output).all():
            raise BadPhoto(f"the network's output is not finite in {self.precision}; try --precision float32")
        return output

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
