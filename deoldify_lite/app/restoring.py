"""Restoring on the page: the damage that was found, as an overlay that visitors paint on or erase, then filled in.

What was found is kept in files of the service's folder, which go when all results go: nothing stays in memory.

Knows nothing of Gradio.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..colorize.folder import Job
from ..colorize.pages import has_pages
from ..photo import Photo, open_photo, output_name, save_photo, takes_ycbcr, to_8bit
from ..restore.engine import Restoration, fill_in, gray_pixels, mask_path
from .service import Refused, Service, sentence_of

RED = (225, 29, 46)
LEFT, PAINTED = 64, 192  # levels of marks from which damage is left, and from which something was painted
NO_PAGES = "a file of several pages, and damage can be marked in files of one picture only"


@dataclass(frozen=True)
class Damage:
    """What was found in a visitor's photo.

    upload: the photo.
    picture: a JPEG of it for the screen.
    overlay: a PNG of the picture's size: red where there is damage, transparent elsewhere.
    mask, fill: PNGs of the photo's own size, the planes of a `Restoration`.
    """

    upload: Path
    picture: Path
    overlay: Path
    mask: Path
    fill: Path


@dataclass(frozen=True)
class Restored:
    """A photo that was restored.

    result: the file at full size, in the photo's own format if that can be written.
    before, after: JPEGs for the screen.
    """

    result: Path
    before: Path
    after: Path
    notes: tuple[str, ...]


class RestoringService:
    """Finds damage and fills it in. Safe to call from several threads.

    Args:
        service: whose models, limits and folder of results are used; one that `restores`.
    """

    def __init__(self, service: Service):
        self.service = service

    def find(self, file: Path) -> Damage:
        """What is damaged in a photo.

        Raises:
            Refused: not a photo, broken, too large, or a file of several pages.
        """
        try:
            self.service.check_megabytes(file)
            if has_pages(Job(file, Path(output_name(file.name)))):
                raise Refused(NO_PAGES)
            photo = self._open(file)
            found = self.service.restorer.engine.find(photo.luma)
            folder = self._new_folder()
            names = ("picture.jpg", "overlay.png", "mask.png", "fill.png")
            damage = Damage(file, *(folder / name for name in names))
            picture = self.service.for_screen(file, photo)
            picture.save(damage.picture, quality=90)
            _overlay(found.mask, picture.size).save(damage.overlay)
            for path, plane in ((damage.mask, found.mask), (damage.fill, found.fill)):
                Image.fromarray(plane).save(path, compress_level=1)
        except Exception as error:
            raise _refusal(error) from error
        return damage

    def fill_in(
        self, damage: Damage, marks: Path | None = None, *, tone: bool = True, colorize: bool = False
    ) -> Restored:
        """Restore the photo at full size.

        Where nothing was painted or erased, the result is what `Restorer.restore_file` gives.

        Args:
            marks: the visitor's, a PNG of the picture's size: 255 where something was painted, 128 where damage of the
                overlay is left, 0 elsewhere. None for the overlay as it was.
            tone: whether fading is removed, too.
            colorize: whether it gets colour then, by the first model.

        Raises:
            Refused: the marks are no image of the picture's size, or a file has been deleted.
        """
        try:
            photo, restoration = self._restoration(damage, marks)
            restored = self.service.restorer.engine.restored(photo, restoration, tone=tone)
            result = self._new_folder() / output_name(damage.upload.name)
            if colorize:
                colorizer = self.service.colorizer(self.service.models[0])
                pixels = colorizer.colorize_photo(restored, for_jpeg=takes_ycbcr(result))
            else:
                pixels = gray_pixels(restored, takes_ycbcr(result))
            save_photo(pixels, restored, result)
            shown = self.service.previews(damage.upload, photo, pixels, result.parent / "previews")
        except Exception as error:
            raise _refusal(error) from error
        return Restored(result, *shown, tuple(restored.notes))

    def save_mask(self, damage: Damage, marks: Path | None = None) -> Path:
        """The mask at full size with what was painted and erased: a PNG, as `deoldify-lite restore --mask` takes it.

        Raises:
            Refused: as `fill_in`.
        """
        try:
            found = self._open(damage.mask).luma.copy()
            painted, erased = self._edits(damage, marks, found.shape)
            found[erased] = 0
            found[painted] = 255
            path = mask_path(self._new_folder() / damage.upload.name)
            Image.fromarray(found).save(path)
        except Exception as error:
            raise _refusal(error) from error
        return path

    def _restoration(self, damage: Damage, marks: Path | None) -> tuple[Photo, Restoration]:
        """The photo, and what is to be filled in.

        What was painted is filled in by a second pass, which sees the photo without the damage that was found.
        """
        photo = self._open(damage.upload)
        found = Restoration(self._open(damage.mask).luma.copy(), self._open(damage.fill).luma.copy())
        painted, erased = self._edits(damage, marks, photo.luma.shape)
        found.mask[erased], found.fill[erased] = 0, 0
        if painted.any():
            given = np.where(painted, np.uint8(255), np.uint8(0))
            more = self.service.restorer.engine.find(fill_in(photo.luma, found), given)
            found.mask[painted], found.fill[painted] = more.mask[painted], more.fill[painted]
        return photo, found

    def _edits(self, damage: Damage, marks: Path | None, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        "Where the visitor has painted, and where erased: pixels of the photo (H, W), bool."
        if marks is None:
            return np.zeros(shape, bool), np.zeros(shape, bool)
        overlay, made = self._open(damage.overlay), self._open(marks)
        if made.size != overlay.size:
            raise Refused("what was painted has not the size of the picture; please send the photo again")
        level = to_8bit(made.luma)
        painted, erased = level >= PAINTED, (overlay.alpha > 0) & (level < LEFT)
        return tuple(
            np.asarray(Image.fromarray(places).resize(shape[::-1], Image.Resampling.NEAREST))
            for places in (painted, erased)
        )

    def _open(self, file: Path) -> Photo:
        return open_photo(file, self.service.max_pixels)

    def _new_folder(self) -> Path:
        "With a name that cannot be guessed."
        folder = self.service.folder / secrets.token_hex(16)
        folder.mkdir()
        return folder


def _refusal(error: Exception) -> Refused:
    return Refused(sentence_of(error, done="restored"))


def _overlay(mask: np.ndarray, size: tuple[int, int]) -> Image.Image:
    "Red where a pixel of the mask under it is damaged, at a size for the screen (mode RGBA)."
    damaged = Image.fromarray(np.where(mask > 0, np.uint8(255), np.uint8(0)))
    covered = np.asarray(damaged.resize(size, Image.Resampling.BOX)) > 0
    overlay = Image.new("RGBA", size, RED)
    overlay.putalpha(Image.fromarray(np.where(covered, np.uint8(255), np.uint8(0))))
    return overlay
