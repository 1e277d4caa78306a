"""Photos in, photos out, for a page that strangers use: generators loaded once, wishes checked, errors as sentences."""

import errno
import logging
import re
import secrets
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..colorize.colorizer import Colorizer
from ..errors import DeoldifyError
from ..files import atomic_path, sha256
from ..modeling.weights import find_weights
from ..photo import BadPhoto, Photo, open_photo, output_name, save_photo, takes_ycbcr, to_8bit
from ..photo.reading import TINTED_NOTE

STRENGTHS = (0.0, 3.0)
RENDER_FACTORS = (2, 64)
PREVIEW = 1600  # longest side of what the slider shows; the download has the photo's own size
log = logging.getLogger(__name__)


class Refused(DeoldifyError, ValueError):
    "What cannot be done for somebody. The message is a sentence for them, without a path of this computer."


@dataclass(frozen=True)
class Settings:
    "How a photo is colorized. `render_factor` None is what suits the model."

    model: str
    strength: float = 1.0
    render_factor: int | None = None


@dataclass(frozen=True)
class Coloured:
    """A photo that was colorized.

    result: at full size, in the photo's own format where that can be written.
    before, after: JPEGs for the screen.
    settings: with the render factor that was used.
    """

    upload: Path
    result: Path
    before: Path
    after: Path
    settings: Settings
    weights: str
    size: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def id(self) -> str:
        "Names this result and no other."
        return self.result.parent.name


class Studio:
    """The generators on offer, loaded once and shared by all requests.

    Args:
        weights: names or files, as `Colorizer` takes them; the first is what is used unless another is asked for.
        folder: where results are written, each into a folder of its own with a name that nobody can guess.
        max_pixels: larger photos are refused before they are decoded.

    Raises:
        BadWeights, DeviceUnavailable: as `Colorizer` does.
    """

    def __init__(
        self,
        weights: Sequence[str],
        folder: Path,
        max_pixels: int,
        device: str = "auto",
        precision: str = "auto",
    ):
        self.folder = folder
        self.max_pixels = max_pixels
        self._colorizers = {}
        self._hashes = {}
        for name in weights:
            model = Path(name).stem  # never where the file lies
            self._colorizers[model] = Colorizer(name, device, precision)
            self._hashes[model] = sha256(find_weights(name))[:12]
        self.models = list(self._colorizers)

    def render_factor(self, model: str) -> int:
        "The one that suits a model."
        return self._colorizer(Settings(model)).render_factor

    def _colorizer(self, settings: Settings) -> Colorizer:
        if settings.model not in self._colorizers:
            raise Refused(f"there is no such model here, only {', '.join(self.models)}")
        return self._colorizers[settings.model]

    def colorize(self, file: Path, settings: Settings) -> Coloured:
        """Put colour on one photo. Safe to call from several threads.

        Raises:
            Refused: not a photo, damaged, too large, or settings that make no sense.
        """
        _check(settings)
        colorizer = self._colorizer(settings)
        try:
            photo = open_photo(file, self.max_pixels)
            result = self.folder / secrets.token_hex(16) / output_name(file.name)
            for_jpeg = takes_ycbcr(result)
            colour = colorizer.colorize_photo(
                photo, settings.strength, render_factor=settings.render_factor, for_jpeg=for_jpeg
            )
            save_photo(colour, photo, result)
            before, after = self._previews(file, photo, colour, result.parent / "previews")
        except Exception as error:
            raise Refused(_sentence(error)) from error
        return Coloured(
            file,
            result,
            before,
            after,
            Settings(settings.model, settings.strength, colorizer.valid_render_factor(settings.render_factor)),
            self._hashes[settings.model],
            photo.size,
            tuple(photo.notes),
        )

    def _previews(self, file: Path, photo: Photo, colour: np.ndarray | Image.Image, folder: Path) -> tuple[Path, Path]:
        "JPEGs for the screen, of the photo as it came and in colour."
        original = photo.gray()
        if TINTED_NOTE in photo.notes:  # sepia is to be seen as sepia
            original = open_photo(file, self.max_pixels, keep_source=True).source or original
        if not isinstance(colour, Image.Image):
            colour = Image.fromarray(to_8bit(colour))
        folder.mkdir()
        for name, image in (("before.jpg", original), ("after.jpg", colour)):
            _on_white(image.convert("RGB"), photo).save(folder / name, "JPEG", quality=90)
        return folder / "before.jpg", folder / "after.jpg"

    def pack(self, results: Sequence[Coloured]) -> Path:
        "A ZIP with all results, under their own names; a name that is there already gets a number."
        path = self.folder / secrets.token_hex(16) / "colorized.zip"
        taken = set()
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:  # photos are compressed
            for item in results:
                name, number = item.result.name, 1
                while name.lower() in taken:
                    number += 1
                    name = f"{item.result.stem} ({number}){item.result.suffix}"
                taken.add(name.lower())
                archive.write(item.result, name)
        return path


def _check(settings: Settings) -> None:
    low, high = STRENGTHS
    if not low <= settings.strength <= high:  # nor NaN
        raise Refused(f"the strength goes from {low:g} to {high:g}")
    low, high = RENDER_FACTORS
    if settings.render_factor is not None and not low <= settings.render_factor <= high:
        raise Refused(f"the render factor goes from {low} to {high}")


def _on_white(image: Image.Image, photo: Photo) -> Image.Image:
    "An image no larger than a screen, on white where the photo is transparent."
    if photo.alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), Image.fromarray(to_8bit(photo.alpha)))
    image.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS, reducing_gap=3)
    return image


def _sentence(error: Exception) -> str:
    "What went wrong, for somebody who sees only the page."
    if isinstance(error.__cause__, FileNotFoundError):
        return "not here any more; please send it again"
    if isinstance(error, BadPhoto):
        return re.sub(r" \(--[^)]*\)$", "", str(error))  # advice for the command line
    if isinstance(error, MemoryError):
        return "too large for the memory of this server"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the server's disk is full; please try again later"
    log.error("a photo could not be colorized", exc_info=error)
    return "could not be colorized, which is our fault, not yours; it has been noted in the server's log"
