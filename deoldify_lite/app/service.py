"""Colorizes photos for the page: models loaded once, settings checked, errors as sentences for visitors.

Knows nothing of Gradio.
"""

import errno
import logging
import re
import secrets
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from ..colorize.colorizer import Colorizer
from ..colorize.folder import Job
from ..colorize.hints import BadHints, Hints
from ..colorize.matching import BadReference
from ..colorize.pages import colorize_pages, has_pages
from ..errors import DeoldifyError, UsageError
from ..files import atomic_path, sha256
from ..modeling.weights import BadWeights, find_weights
from ..photo import (
    BadPhoto,
    ColorPixels,
    MissingExtra,
    Photo,
    open_photo,
    output_name,
    save_photo,
    takes_ycbcr,
    to_8bit,
)
from ..photo.reading import TINTED_NOTE
from ..restore.restorer import Restorer

STRENGTHS = (0.0, 3.0)
RENDER_FACTORS = (2, 64)
PREVIEW = 1600  # longest side of the images in the slider; the download has the photo's own size
NO_PAGES = "a file of several pages, and colours can be corrected in files of one picture only"
RESTORER = "restore"  # the name of the restorer that ships, in versions where one does
GONE = "not here any more; please send it again"
log = logging.getLogger(__name__)


class Refused(DeoldifyError, ValueError):
    "A photo or settings that cannot be used. The message is a sentence for the visitor, without a path of the server."


@dataclass(frozen=True)
class Settings:
    "How a photo is colorized. `render_factor` None: the default. `restore`: whether it is restored first."

    model: str
    strength: float = 1.0
    render_factor: int | None = None
    restore: bool = False


@dataclass(frozen=True)
class Colorized:
    """A photo that was colorized.

    upload: the original.
    result: the file at full size, in the photo's own format if that can be written.
    before, after: JPEGs for the screen.
    settings: with the render factor that was used.
    weights: first 12 digits of the SHA-256 of the weights.
    size: width and height.
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
        "A unique name of this result."
        return self.result.parent.name


class Service:
    """The models on offer, loaded once and shared by all requests. Safe to call from several threads.

    Args:
        weights: names or files, as `Colorizer` takes them; the first is the default model.
        folder: where results are written, each into a folder of its own with a name that cannot be guessed.
        max_pixels, max_megabytes: larger photos are refused before they are decoded.
        max_pages: files with more pages are refused.
        restorer: the weights that photos are restored with, as `Restorer` takes them.

    Raises:
        BadWeights, DeviceUnavailable: as `Colorizer` and `Restorer` do.
        UsageError: two models have one name.
    """

    def __init__(
        self,
        weights: Sequence[str],
        folder: Path,
        max_pixels: int,
        device: str = "auto",
        precision: str = "auto",
        max_pages: int | None = None,
        max_megabytes: int = 50,
        restorer: str | Path = RESTORER,
    ):
        self.folder = folder
        self.max_megabytes = max_megabytes
        self.max_pixels = max_pixels
        self.max_pages = max_pages
        self._colorizers = {}
        self._hashes = {}
        self.weights = {}
        for name in weights:
            model = Path(name).stem  # the path of a file stays private
            if model in self._colorizers:
                raise UsageError(f"{name} and {self.weights[model]} are both called {model} on the page: rename a file")
            self._colorizers[model] = Colorizer(name, device, precision)
            self.weights[model] = name
            self._hashes[model] = sha256(find_weights(name))[:12]
        self.models = list(self._colorizers)
        self._restorer = None
        self._load_restorer = partial(Restorer, restorer, device, precision)
        self._loading = threading.Lock()
        self.restores = _there_is(restorer)
        if restorer != RESTORER:  # whoever has given one is told at the start whether it can be used
            self.restorer  # noqa: B018

    @property
    def restorer(self) -> Restorer:
        "What restores photos, loaded when it is first needed. Only where `restores` is true."
        with self._loading:
            if self._restorer is None:
                self._restorer = self._load_restorer()
            return self._restorer

    def colorizer(self, model: str) -> Colorizer:
        """The colorizer of a model, which all requests share.

        Raises:
            Refused: there is no such model.
        """
        if model not in self._colorizers:
            raise Refused(f"there is no such model here, only {', '.join(self.models)}")
        return self._colorizers[model]

    def colorize(self, file: Path, settings: Settings, hints: Hints = ()) -> Colorized:
        """Colorize one photo, with hints as `Colorizer.colorize` takes them.

        Raises:
            Refused: not a photo, damaged, too large, or settings or hints that make no sense.
        """
        check_settings(settings)
        colorizer = self.colorizer(settings.model)

        def colorize(photo: Photo, *, for_jpeg: bool) -> ColorPixels:
            photo = self.restore_first(photo, settings)
            return colorizer.colorize_photo(
                photo, settings.strength, render_factor=settings.render_factor, for_jpeg=for_jpeg, hints=hints
            )

        result = self.folder / secrets.token_hex(16) / output_name(file.name)
        try:
            self.check_megabytes(file)
            if has_pages(job := Job(file, result)):
                if hints:
                    raise Refused(NO_PAGES)
                photo, pixels, notes = self._colorize_pages(job, colorize)
            else:
                photo = open_photo(file, self.max_pixels)
                pixels = colorize(photo, for_jpeg=takes_ycbcr(result))
                save_photo(pixels, photo, result)
                notes = photo.notes
            before, after = self.previews(file, photo, pixels, result.parent / "previews")
        except Exception as error:
            raise Refused(sentence_of(error)) from error
        return Colorized(
            file,
            result,
            before,
            after,
            replace(settings, render_factor=colorizer.engine.render_factor_for(photo.size, settings.render_factor)),
            self._hashes[settings.model],
            photo.size,
            tuple(notes),
        )

    def restore_first(self, photo: Photo, settings: Settings) -> Photo:
        """The photo, restored if the settings say so.

        Raises:
            Refused: there is no restorer here.
        """
        if not settings.restore:
            return photo
        if not self.restores:
            raise Refused("photos cannot be restored here")
        return self.restorer.restore_photo(photo)

    def check_megabytes(self, file: Path) -> None:
        """Whether a file is as small as this page wants it.

        Raises:
            Refused: it is not.
        """
        if file.is_file() and file.stat().st_size > self.max_megabytes * 2**20:
            raise Refused(f"too large: more than {self.max_megabytes} MB")

    def _colorize_pages(
        self, job: Job, colorize: Callable[..., ColorPixels]
    ) -> tuple[Photo, ColorPixels, Sequence[str]]:
        "Colorize a file of several pages. Returns the first of them, to be shown, and notes on all."
        shown = []

        def show(photo: Photo, pixels: ColorPixels) -> None:
            if not shown:
                shown.extend((photo, pixels))

        done = colorize_pages(job, colorize, self.max_pixels, max_pages=self.max_pages, on_page=show)
        return *shown, [f"{done.pages} pages, of which the first is shown", *filter(None, [done.error]), *done.notes]

    def previews(self, file: Path, photo: Photo, pixels: ColorPixels, folder: Path) -> tuple[Path, Path]:
        "JPEGs for the screen: the original and the result."
        colors = pixels if isinstance(pixels, Image.Image) else Image.fromarray(to_8bit(pixels))
        folder.mkdir()
        self.for_screen(file, photo).save(folder / "before.jpg", "JPEG", quality=90)
        _for_screen(colors, photo).save(folder / "after.jpg", "JPEG", quality=90)
        return folder / "before.jpg", folder / "after.jpg"

    def for_screen(self, file: Path, photo: Photo) -> Image.Image:
        "A file's photo at a size for the screen (mode RGB), on white where it is transparent; sepia in sepia."
        original = photo.gray()
        if TINTED_NOTE in photo.notes:
            with suppress(BadPhoto):  # where the first page is not the one that is shown
                original = open_photo(file, self.max_pixels, keep_source=True).source or original
        return _for_screen(original, photo)

    def make_archive(self, results: Sequence[Colorized]) -> Path:
        "A ZIP with all results under their own names; a name that is taken gets a number."
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


def _there_is(restorer: str | Path) -> bool:
    """Whether photos can be restored: the one place that knows what it means if no restorer ships.

    Raises:
        BadWeights: another one was asked for, and is not there.
    """
    try:
        find_weights(restorer)
    except BadWeights:
        if restorer != RESTORER:
            raise
        return False
    return True


def check_settings(settings: Settings) -> None:
    """Whether strength and render factor are in range.

    Raises:
        Refused: they are not.
    """
    low, high = STRENGTHS
    if not low <= settings.strength <= high:  # false for NaN, too
        raise Refused(f"the strength goes from {low:g} to {high:g}")
    low, high = RENDER_FACTORS
    if settings.render_factor is not None and not low <= settings.render_factor <= high:
        raise Refused(f"the render factor goes from {low} to {high}")


def _for_screen(image: Image.Image, photo: Photo) -> Image.Image:
    "The image at a size for the screen (mode RGB), on white where the photo is transparent."
    image = image.convert("RGB")
    if photo.alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), Image.fromarray(to_8bit(photo.alpha)))
    image.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS, reducing_gap=3)
    return image


def sentence_of(error: Exception, what: str = "photo", done: str = "colorized") -> str:
    """What went wrong when a photo, or `what`, was to be colorized, or `done`, in a sentence for the visitor.

    An error of ours goes to the log.
    """
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error.__cause__, FileNotFoundError):
        return GONE
    if isinstance(error, MissingExtra):
        return f"{error.title} files are not supported here; convert it to JPEG, PNG or TIFF first"
    if isinstance(error, (BadHints, BadReference)):
        return str(error)
    if isinstance(error, BadPhoto):
        return re.sub(r" \(--[^)]*\)$", "", str(error))  # advice for the command line
    if isinstance(error, MemoryError):
        return "too large for the memory of this server"
    if isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the server's disk is full; please try again later"
    log.error("a %s could not be %s", what, done, exc_info=error)
    return f"could not be {done}, which is our fault, not yours; it has been noted in the server's log"
