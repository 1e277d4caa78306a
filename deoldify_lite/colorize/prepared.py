"""A photo that went through the network: it takes hints, as often as one likes, without the network running again."""

from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import UsageError
from ..photo import ColorPixels, Photo, to_8bit
from .hints import Hint, Hints, check_hints, color_of, pixel_at, wanted_chroma

if TYPE_CHECKING:
    from ..modeling.hint_branch import Seen
    from .engine import Engine
    from .matching import Reference
    from .spreading import Spreading

METHODS = ("auto", "trained", "least squares")  # auto: trained, where the weights have a branch for hints
AROUND = 1  # a hint's colour is for the mean luma of so many pixels of the network's input in each direction


class PreparedPhoto:
    """A photo with what the network predicts for it, made by `Colorizer.prepare`. Safe to share between threads.

        prepared = colorizer.prepare(image)
        prepared.colorize()                             # as `Colorizer.colorize` gives it
        prepared.colorize([(320, 100, "#a01818")])      # with a hint, in a moment

    engine: what it was made by.
    photo: the photo.
    size: its width and height, in which places of hints are given.
    luma: (h, w) in [0, 1], what the network saw.
    prediction: Cb and Cr (2, h, w), float32 in [-0.5, 0.5].
    features: (C, h', w') of the same picture, by which colours are spread; None for a network that has none to offer.
    seen: of the same picture, what the trained branch for hints goes by; None likewise.
    method: how hints are spread, one of `METHODS`.
    """

    def __init__(
        self,
        engine: "Engine",
        photo: Photo,
        model_input: Image.Image,
        prediction: np.ndarray,
        features: np.ndarray | None = None,
        seen: "Seen | None" = None,
        method: str = "auto",
    ):
        self.photo, self.prediction, self.features, self.seen = photo, prediction, features, seen
        self.size = photo.size
        self.method = method
        self.luma = np.asarray(model_input, np.float32) / 255
        self.engine = engine

    def colorize(self, hints: Hints = (), strength: float = 1.0, *, longest_side: int | None = None) -> Image.Image:
        """The photo in colour: RGB, or RGBA if it had transparency, 8 bit a channel.

        Args:
            hints, strength: as in `Colorizer.colorize`.
            longest_side: for a screen, the result's longer side has at most so many pixels. Hints stay in pixels of
                the whole photo.

        Raises:
            BadHints: as `check_hints`.
            BadWeights: the branch for hints beside the weights does not fit them.
        """
        photo = self.photo if longest_side is None else _reduced(self.photo, longest_side)
        return as_image(self.engine.merge(photo, self.chroma(hints), strength), photo)

    def reduced(self, longest_side: int) -> "PreparedPhoto":
        """A copy without the whole photo, to be kept in memory while somebody tries hints.

        Its `photo` has at most so many pixels on the longer side, 8 bit a channel and no metadata. Hints stay in pixels
        of the whole photo.
        """
        small = copy(self)
        small.photo = _reduced(self.photo, longest_side)
        return small

    def pixels(self, hints: Hints = (), strength: float = 1.0, *, for_jpeg: bool = False) -> ColorPixels:
        """Colour pixels (H, W, 3) of the photo, in its own depth, for `save_photo`.

        `for_jpeg`: possibly as a YCbCr image instead, which is faster to save as JPEG.
        """
        return self.engine.merge(self.photo, self.chroma(hints), strength, for_jpeg)

    def chroma(self, hints: Hints = ()) -> np.ndarray:
        """Cb and Cr (2, h, w), float32: the prediction, changed around the hints to what they want.

        Without hints it is `prediction` itself. What was left out of the hints is added to the notes of the photo.
        """
        checked, notes = check_hints(hints, self.size)
        self.photo.notes += [note for note in notes if note not in self.photo.notes]
        if not checked:
            return self.prediction
        places = np.array([(hint.x, hint.y) for hint in checked]) / self.size
        wanted = np.array([wanted_chroma(hint.color, self.luma_at(place)) for hint, place in zip(checked, places)])
        return self.apply(places, wanted)

    def apply(self, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The chroma (2, h, w) with the `wanted` Cb and Cr (K, 2) at `places` (K, 2), and around them where it fits.

        Places are x and y as fractions of width and height, in [0, 1]. What the trained branch, where it is used, is
        still wrong by at the places is spread by least squares, so that hints are met either way.
        """
        base = self.engine.predict_hinted(self.seen, places, wanted) if self._trained else self.prediction
        predicted = np.array([base[(slice(None), *pixel_at(place, self.luma.shape))] for place in places])
        return base + self._spreading.spread(places, wanted - predicted)

    @property
    def _trained(self) -> bool:
        "Whether the trained branch is used."
        if self.method == "least squares":
            return False
        trained = self.seen is not None and self.engine.hint_branch is not None
        if self.method == "trained" and not trained:
            raise UsageError(f"the weights {self.engine.weights} have no trained branch for hints beside them")
        return trained

    def variants(self, n: int = 4, hints: Hints = (), reference: "Reference | None" = None) -> list[list[Hint]]:
        """Hints for `n` different colourings, the likeliest first, which is that of `hints` alone.

        All keep `hints`. With a reference (`Colorizer.reference`) the first has its colours as well, and the others
        move some of them. Each is a list for `colorize`, so that one can go on from a variant with further hints.

        Raises:
            UsageError: `n` is not from 1 to 8.
            BadHints: as `check_hints`.
        """
        from .variants import propose_variants

        return propose_variants(self, n, check_hints(hints, self.size)[0], reference)

    def hints_from(self, reference: "Reference", hints: Hints = ()) -> list[Hint]:
        """Hints with the colours of a reference photo (`Colorizer.reference`), where it shows what this photo shows.

        `hints` come first in the list, and the others keep away from them.
        """
        from .matching import match_hints

        checked = check_hints(hints, self.size)[0]
        return [*checked, *match_hints(self, reference, checked)]

    def chroma_at(self, place: np.ndarray) -> np.ndarray:
        "The predicted Cb and Cr (2,) at a place, x and y as fractions of width and height, in [0, 1]."
        return self.prediction[(slice(None), *pixel_at(place, self.luma.shape))]

    def hint_at(self, place: np.ndarray, chroma: np.ndarray) -> Hint:
        "A hint that asks for this chroma at a place, x and y as fractions of width and height, in [0, 1]."
        x, y = (float(fraction * side) for fraction, side in zip(place, self.size))
        return Hint(x, y, color_of(self.luma_at(place), *map(float, chroma)))

    def luma_at(self, place: np.ndarray) -> float:
        "The mean luma around a place, x and y as fractions of width and height, in [0, 1]."
        row, column = pixel_at(place, self.luma.shape)
        top, left = max(0, row - AROUND), max(0, column - AROUND)
        return float(self.luma[top : row + AROUND + 1, left : column + AROUND + 1].mean())

    @cached_property
    def _spreading(self) -> "Spreading":
        from .spreading import Spreading  # with SciPy, which takes a moment to import

        return Spreading(self.luma, self.prediction, self.features)


def as_image(pixels: np.ndarray, photo: Photo) -> Image.Image:
    "Pixels (H, W, 3) and the photo's transparency as an image of 8 bit a channel: RGB, or RGBA."
    image = Image.fromarray(to_8bit(pixels))
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(to_8bit(photo.alpha)))
    return image


def _reduced(photo: Photo, longest_side: int) -> Photo:
    "A copy for a screen, 8 bit a channel, without metadata."
    planes = [None if p is None else Image.fromarray(to_8bit(p)) for p in (photo.luma, photo.alpha)]
    for image in filter(None, planes):
        image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS, reducing_gap=3)
    return Photo(*(None if image is None else np.asarray(image) for image in planes))
