"""The class that people import: a PIL image in, a PIL image in colour out."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UsageError
from ..photo import Photo, merge_for_jpeg, take_apart, to_8bit
from . import original
from .engine import Engine

# The network's working size that gave the weights that ship their best colours, in units of 16 pixels (see the model
# cards in docs), and those of DeOldify theirs.
RENDER_FACTORS = {"lite": 12, "lite-rgb": 12, "deep": 35, "wide": 35}
RESNET34_FACTOR = 10  # of lite on that encoder: what ships by that name saw smaller pictures in its training
LONGEST = 4  # times the side of the square of the same area


def usual_render_factor(config: Mapping[str, Any]) -> int:
    "Of a generator by its description; one of the pix2pix family sees photos at the size that it was trained on."
    if config["architecture"] == "lite" and config.get("encoder") == "resnet34":
        return RESNET34_FACTOR
    return RENDER_FACTORS.get(config["architecture"]) or max(2, config["size"] // 16)


class Colorizer:
    """Puts colour on photographs.

        from deoldify_lite import Colorizer
        Colorizer().colorize(Image.open("grandmother.jpg")).save("grandmother in colour.jpg")

    The network looks at the photo at a reduced size and says what colour things have; that colour goes onto the photo's
    own luma in full resolution, so no detail is lost, whatever the size. Colours that do not fit the luma are
    weakened until they do. Safe to share between threads.

    Args:
        weights: `lite`, `resnet34`, or a path to a `.safetensors` of this package or a `.pth` of DeOldify.
        device: `auto` takes a GPU where there is one.
        precision: `auto` takes bfloat16 where it is faster.
        render_factor: the network sees as many pixels as a square of 16 x this; None is best for most photos. Lower
            is faster and more vivid, higher follows small things more closely.
        squash: work as DeOldify does: look at the photo squeezed to a square, and clip colours that do not fit.

    Raises:
        BadWeights: the weights cannot be found or do not fit.
        DeviceUnavailable: no such device here.
    """

    def __init__(
        self,
        weights: str | Path = "lite",
        device: str = "auto",
        precision: str = "auto",
        render_factor: int | None = None,
        squash: bool = False,
    ):
        self.engine = Engine(weights, device, precision)
        if render_factor is None:
            render_factor = usual_render_factor(self.engine.generator.config)
        if render_factor < 2:
            raise UsageError("render_factor must be at least 2")
        self.render_factor = render_factor
        self.squash = squash

    def colorize(self, image: Image.Image, strength: float = 1.0) -> Image.Image:
        """The image in colour: RGB, or RGBA where it had transparency; upright, same size.

        Any mode is taken; colours that it had are replaced. `strength` 0 gives grey, 1 the colours as predicted, more
        exaggerates. Depth is 8 bit, which is what a PIL colour image can hold.
        """
        photo = take_apart(image)
        colour = Image.fromarray(to_8bit(self.colorize_photo(photo, strength)))
        if photo.alpha is not None:
            colour.putalpha(Image.fromarray(to_8bit(photo.alpha)))
        return colour

    def colorize_photo(self, photo: Photo, strength: float = 1.0) -> np.ndarray:
        "Colour pixels (H, W, 3) of a photo, in its own depth."
        return self.merge(photo, self.paint([self.look(photo)])[0], strength)

    # The three steps of colorizing. The first and the last take one core and no network, so that those who have many
    # photos can do them beside it.

    def look(self, photo: Photo) -> Image.Image:
        "What the network sees of a photo: a small grey picture (mode L)."
        if self.squash:
            return original.squeeze(photo.source or photo.grey(), self.render_factor)
        size = self.working_size(photo.size)
        return photo.grey().resize(size, Image.Resampling.BICUBIC, reducing_gap=3)

    def paint(self, looks: Sequence[Image.Image]) -> list[Any]:
        "What the network makes of pictures of one size: something for `merge` each."
        return self.engine.paint(looks) if self.squash else self.engine.chroma(looks)

    def merge(
        self, photo: Photo, painted: Any, strength: float = 1.0, for_jpeg: bool = False
    ) -> np.ndarray | Image.Image:
        """Pixels (H, W, 3) in the photo's own depth, or, `for_jpeg`, also a picture in YCbCr."""
        if self.squash:
            return original.merge(photo.luma, painted, strength)
        if for_jpeg and photo.luma.dtype == np.uint8:
            return merge_for_jpeg(photo.luma, painted * strength)
        return photo.merge(painted * strength)

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        "Width and height at which the network sees a picture of `size`: its shape, the render factor's area."
        side, stride = 16 * self.render_factor, self.engine.stride
        ratio = math.sqrt(size[0] / size[1])

        def fitted(length: float) -> int:
            return stride * max(1, round(min(length, LONGEST * side) / stride))

        return fitted(side * ratio), fitted(side / ratio)
