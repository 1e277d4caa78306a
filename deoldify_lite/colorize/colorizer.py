"""The class that people import: a PIL image or a file in, the same in colour out."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ..errors import UsageError
from ..photo import (
    MAX_PIXELS,
    BadPhoto,
    ColorPixels,
    Photo,
    open_photo,
    photo_from_image,
    save_photo,
    takes_ycbcr,
)
from .engine import Engine
from .folder import Result, single_job
from .hints import BadHints, Hints, read_hints
from .pages import colorize_pages, has_pages
from .prepared import METHODS, PreparedPhoto, as_image

if TYPE_CHECKING:
    from ..restore.restorer import Restorer
    from .matching import Like, Reference

_PHOTO = (Image.Image, str, Path)  # what a reference is made of


class Colorizer:
    """Colorizes photos.

        from deoldify_lite import Colorizer
        Colorizer().colorize(Image.open("grandmother.jpg")).save("grandmother in colour.jpg")

    The network predicts chroma from a reduced copy of the photo. The chroma is enlarged and added to the photo's own
    luma at full resolution, so no detail is lost. Where luma and chroma together leave the RGB gamut, the chroma is
    reduced. Safe to share between threads.

    Args:
        weights: `lite`, or a path to a `.safetensors` of this package or a `.pth` of DeOldify.
        device: `auto` uses a GPU if there is one.
        precision: `auto` uses bfloat16 where it is faster.
        render_factor: the default of the calls below. The network sees as many pixels as a square with sides of 16
            times this. Lower is faster and more colourful, higher follows small things more closely. None: chosen for
            each photo by its size (`Engine.render_factor_for`).
        hint_method: how the colours of hints spread: `trained`, by a branch that lies beside the weights; `least
            squares`, which needs no training; `auto`, trained where there is a branch.
        restore: whether photos are restored first: True, or a `Restorer` of your own.

    Raises:
        BadWeights: the weights cannot be found or do not fit.
        DeviceUnavailable: no such device here.
        UsageError: an unknown precision or method, or a render factor below 2.
    """

    engine_class = Engine

    def __init__(
        self,
        weights: str | Path = "lite",
        device: str = "auto",
        precision: str = "auto",
        render_factor: int | None = None,
        hint_method: str = "auto",
        *,
        restore: "bool | Restorer" = False,
    ):
        if hint_method not in METHODS:
            raise UsageError(f"hint_method is one of {', '.join(METHODS)}, not {hint_method!r}")
        self.hint_method = hint_method
        self.engine = self.engine_class(weights, device, precision)
        self.render_factor = None
        self.render_factor = self.valid_render_factor(render_factor)
        if restore:
            from ..restore.restorer import Restorer

            self.engine.restorer = Restorer(device=device, precision=precision) if restore is True else restore

    def valid_render_factor(self, render_factor: int | None) -> int | None:
        """`render_factor`, or this colorizer's own for None; None if that is chosen for each photo.

        Raises:
            UsageError: it is below 2.
        """
        if render_factor is None:
            return self.render_factor
        if render_factor < 2:
            raise UsageError("render_factor must be at least 2")
        return render_factor

    def colorize(
        self,
        image: Image.Image,
        strength: float = 1.0,
        *,
        render_factor: int | None = None,
        hints: Hints = (),
        like: "Like | None" = None,
    ) -> Image.Image:
        """The image in colour: RGB, or RGBA if it had transparency; upright, same size, 8 bit a channel.

        Args:
            image: of any mode; colours that it has are replaced.
            strength: factor of the chroma: 0 gives a grayscale image, 1 the colours as predicted.
            render_factor: None for the default of this colorizer.
            hints: colours for places, `[(x, y, "#a01818"), ...]`: pixels of the upright image, and a colour as CSS has
                it or as RGB from 0 to 255. Only its hue and saturation count; luma stays the photo's. The colour
                spreads over the thing that it lies on. A gray keeps a place gray.
            like: a colour photo, or its file: what it shows, too, gets its colours. `reference` reads it once for
                many calls.

        Raises:
            BadPhoto: the image has no pixels, or the network's output is not finite.
            BadHints: a hint outside of the image, or with an unknown colour.
            BadReference: `like` has no colours or cannot be read.
        """
        photo = photo_from_image(image)
        pixels = self.colorize_photo(photo, strength, render_factor=render_factor, hints=hints, like=like)
        return as_image(pixels, photo)

    def colorize_variants(
        self, image: Image.Image, n: int = 4, strength: float = 1.0, *, render_factor: int | None = None
    ) -> list[Image.Image]:
        """Plausible and different colourings of an image, the likeliest first, which is that of `colorize`.

        Args:
            n: how many, from 1 to 8. The first of more are the same as those of fewer.
            image, strength, render_factor: as in `colorize`.

        Raises:
            UsageError: no such number.
            BadPhoto: as `colorize`.
        """
        prepared = self.prepare(image, render_factor=render_factor)
        return [prepared.colorize(hints, strength) for hints in prepared.variants(n)]

    def reference(
        self, photo: Image.Image | str | Path, *, render_factor: int | None = None, max_pixels: int = MAX_PIXELS
    ) -> "Reference":
        """A colour photo, or its file, to take colours from: for `like`. A file with more pixels is refused.

        Raises:
            BadReference: it has no colours or cannot be read.
        """
        from .matching import open_reference

        self.check_hints_possible()
        return open_reference(self.engine, photo, self.valid_render_factor(render_factor), max_pixels)

    def prepare(self, image: Image.Image | Photo, *, render_factor: int | None = None) -> PreparedPhoto:
        """The photo with the network's prediction, to try hints on: each try takes a fraction of a second.

        Args:
            image: as for `colorize`, or what `open_photo` gives.

        Raises:
            BadPhoto: as `colorize`.
            UsageError: this colorizer works as DeOldify does, without hints.
        """
        self.check_hints_possible()
        photo = self.engine.restore_first(image if isinstance(image, Photo) else photo_from_image(image))
        model_input = self.engine.preprocess(photo, self.valid_render_factor(render_factor))
        predicted = self.engine.predict_with_features(model_input)
        return PreparedPhoto(self.engine, photo, model_input, *predicted, method=self.hint_method)

    def colorize_file(
        self,
        source: str | Path,
        target: str | Path,
        *,
        render_factor: int | None = None,
        strength: float = 1.0,
        max_pixels: int = MAX_PIXELS,
        hints: Hints | str | Path = (),
        like: "Like | None" = None,
    ) -> Result:
        """Colorize a file, and write the result atomically with the metadata of the original.

        TIFF and PDF keep their pages. 16 bit a channel stay 16 bit in PNG and TIFF. A file that exists is replaced, but
        never the original.

        Args:
            target: a file, whose extension names the format; or a folder, for the same name and format there.
            render_factor, strength: as in `colorize`.
            max_pixels: larger photos are refused before they are decoded.
            hints: as in `colorize`, or a JSON file of them (`colorize.hints`).
            like: as in `colorize`.

        Returns:
            Where the result is, its size, the seconds that it took, notes on what the format could not hold, and, as
            `error`, which pages could not be colorized.

        Raises:
            BadPhoto: not a photo, damaged, too large, or too large for the target's format.
            BadRequest: no format has this extension, or the target is the original.
            BadHints: as `colorize`, or the file of hints cannot be used.
            BadReference: as `colorize`.
            OSError: the result cannot be written.
        """
        started = time.monotonic()
        job = single_job(Path(source), Path(target))
        try:
            if has_pages(job):
                if hints:
                    raise BadHints(f"{job.input}: hints are for files of one picture, not for pages")
                if isinstance(like, _PHOTO):
                    # Once for all pages.
                    like = self.reference(like, render_factor=render_factor, max_pixels=max_pixels)
                colorize = partial(self.colorize_photo, strength=strength, render_factor=render_factor, like=like)
                return colorize_pages(job, colorize, max_pixels, self.engine.needs_source)
            photo = open_photo(job.input, max_pixels, keep_source=self.engine.needs_source)
            if isinstance(hints, str | Path):
                hints, notes = read_hints(Path(hints), photo.size)
                photo.notes.extend(notes)
            for_jpeg = takes_ycbcr(job.output)
            pixels = self.colorize_photo(
                photo, strength, render_factor=render_factor, for_jpeg=for_jpeg, hints=hints, like=like
            )
            save_photo(pixels, photo, job.output)
        except BadPhoto as error:
            raise BadPhoto(f"{job.input}: {error}") from error
        return Result.done(job, photo, started)

    def colorize_photo(
        self,
        photo: Photo,
        strength: float = 1.0,
        *,
        render_factor: int | None = None,
        for_jpeg: bool = False,
        hints: Hints = (),
        like: "Like | None" = None,
    ) -> ColorPixels:
        """Colour pixels (H, W, 3) of a photo, in its own depth, for `save_photo`.

        `for_jpeg`: possibly as a YCbCr image instead, which is faster to save as JPEG.
        """
        if (hints := list(hints)) or like is not None:
            prepared = self.prepare(photo, render_factor=render_factor)
            if like is not None:
                like = self.reference(like, render_factor=render_factor) if isinstance(like, _PHOTO) else like
                hints = prepared.hints_from(like, hints)
            return prepared.pixels(hints, strength, for_jpeg=for_jpeg)
        photo = self.engine.restore_first(photo)
        model_input = self.engine.preprocess(photo, self.valid_render_factor(render_factor))
        (prediction,) = self.engine.predict([model_input])
        return self.engine.merge(photo, prediction, strength, for_jpeg)

    def check_hints_possible(self) -> None:
        """Whether this colorizer takes hints, reference photos, and makes variants.

        Raises:
            UsageError: it works as DeOldify does.
        """
        if not self.engine.takes_hints:
            raise UsageError("hints, variants and reference photos need the usual way of colorizing, not DeOldify's")
