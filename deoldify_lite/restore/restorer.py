"""The class that people import: a damaged PIL image or file in, the same restored out."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..colorize.folder import Result, single_job
from ..colorize.pages import colorize_pages, has_pages
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
    to_8bit,
)
from .engine import RestorationEngine


class Restorer:
    """Restores photos: scratches, hairs, dust, folds, cracks, stains, small tears, and fading.

        from deoldify_lite import Restorer
        Restorer().restore(Image.open("grandmother.jpg")).save("grandmother restored.png")

    The network gives a mask of damage, which is filled in from around it. Pixels change only under the mask; besides,
    tone changes by one smooth curve for the whole photo. Results are grayscale, for `Colorizer` to go on with. Any size
    will do: the network sees a photo in tiles, at full resolution. Safe to share between threads.

    Args:
        weights: `restore`, or a path to a `.safetensors` of `nogan --preset restore`.
        device: `auto` uses a GPU if there is one.
        precision: `auto` uses bfloat16 where it is faster.
        tone: whether fading is removed, too.
        threshold: the probability from which a pixel is damaged: lower finds more, and takes more for damage that is
            none. None: that of the weights.
        mask: (H, W), uint8, used for every photo in place of a mask of its own: 255 is damage.
        save_mask: whether masks are saved beside results, `photo.jpg.mask.png`.

    Raises:
        BadWeights: the weights cannot be found or do not fit.
        DeviceUnavailable: no such device here.
        UsageError: an unknown precision, or a threshold that is no probability.
    """

    def __init__(
        self,
        weights: str | Path = "restore",
        device: str = "auto",
        precision: str = "auto",
        *,
        tone: bool = True,
        threshold: float | None = None,
        mask: np.ndarray | None = None,
        save_mask: bool = False,
    ):
        options = {"tone": tone, "threshold": threshold, "mask": mask, "save_mask": save_mask}
        self.engine = RestorationEngine(weights, device, precision, **options)

    def valid_render_factor(self, render_factor: int | None) -> int | None:
        "What `colorize.pipeline` asks of a colorizer; the network sees photos at their own size."
        return render_factor

    def restore(self, image: Image.Image, strength: float = 1.0, *, mask: Image.Image | None = None) -> Image.Image:
        """The image restored: grayscale (L), or LA if it had transparency; upright, same size, 8 bit a channel.

        Args:
            image: of any mode; colours that it has are left out.
            strength: from 0, which changes nothing, to 1: how much of what was found is put right.
            mask: of the upright image's size, white where it is damaged, in place of what the network would find.

        Raises:
            BadPhoto: the image has no pixels, the mask another size, or the network's output is not finite.
            UsageError: `strength` is out of range.
        """
        photo = photo_from_image(image)
        restored = self.restore_photo(
            photo, strength, mask=None if mask is None else mask_pixels(photo_from_image(mask))
        )
        gray = Image.fromarray(to_8bit(restored.luma))
        if restored.alpha is not None:
            gray.putalpha(Image.fromarray(to_8bit(restored.alpha)))
        return gray

    def find_mask(self, image: Image.Image) -> Image.Image:
        "The mask of an image's damage (mode L), upright: 255 where it is damaged, 0 where not; `restore` takes it."
        return Image.fromarray(self.engine.find(photo_from_image(image).luma).mask)

    def restore_file(
        self,
        source: str | Path,
        target: str | Path,
        *,
        strength: float = 1.0,
        mask: str | Path | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Result:
        """Restore a file, and write the result atomically with the metadata of the original.

        16 bit a channel stay 16 bit in PNG and TIFF, and TIFF and PDF keep their pages. A file that exists is replaced,
        but never the original.

        Args:
            target: a file, whose extension names the format; or a folder, for the same name and format there.
            strength: as in `restore`.
            mask: a file of a mask, as in `restore`, for a file of one picture.
            max_pixels: larger photos are refused before they are decoded.

        Raises:
            BadPhoto: not a photo, damaged, too large, or too large for the target's format; or the mask is.
            BadRequest: no format has this extension, or the target is the original.
            OSError: the result cannot be written.
        """
        started = time.monotonic()
        job = single_job(Path(source), Path(target))
        try:
            given = read_mask(mask, max_pixels) if mask else self.engine.mask
            if has_pages(job):
                restore = partial(self.colorize_photo, strength=strength, mask=given)
                return colorize_pages(job, restore, max_pixels, max_pages=None if given is None else 1)
            photo = open_photo(job.input, max_pixels)
            prediction = self.engine.find(photo.luma, given)
            save_photo(
                self.engine.merge(photo, prediction, valid_strength(strength), takes_ycbcr(job.output)),
                photo,
                job.output,
            )
        except BadPhoto as error:
            raise BadPhoto(f"{job.input}: {error}") from error
        self.engine.save_beside(prediction, job.output)
        return Result.done(job, photo, started)

    def colorize_photo(
        self,
        photo: Photo,
        strength: float = 1.0,
        *,
        for_jpeg: bool = False,
        mask: np.ndarray | None = None,
        **_: Any,
    ) -> ColorPixels:
        "Pixels of a restored page, for `save_pages`; called as `Colorizer.colorize_photo`."
        if self.engine.save_mask:
            photo.notes.append("its mask was not saved, as no page's is")
        prediction = self.engine.find(photo.luma, self.engine.mask if mask is None else mask)
        return self.engine.merge(photo, prediction, valid_strength(strength), for_jpeg)

    def restore_photo(self, photo: Photo, strength: float = 1.0, *, mask: np.ndarray | None = None) -> Photo:
        "The photo with its luma restored, in its own depth. `mask` (H, W), uint8, as in `restore`."
        prediction = self.engine.find(photo.luma, self.engine.mask if mask is None else mask)
        return self.engine.restored(photo, prediction, valid_strength(strength))


def valid_strength(strength: float) -> float:
    if not 0 <= strength <= 1:
        raise UsageError(f"strength is from 0 to 1, not {strength:g}")
    return strength


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The mask in a file (H, W), uint8: 255 where its pixels are light.

    Raises:
        BadPhoto: not an image, damaged, or too large.
    """
    try:
        return mask_pixels(open_photo(Path(path), max_pixels))
    except BadPhoto as error:
        raise BadPhoto(f"the mask {path}: {error}") from error


def mask_pixels(photo: Photo) -> np.ndarray:
    "0 and 255: a mask may have been through JPEG, which leaves nothing quite black."
    return np.where(to_8bit(photo.luma) >= 128, np.uint8(255), np.uint8(0))
