"""Hints on the page: what a visitor has done to a photo, and the pictures of it.

A `Correction` is what is remembered of a visitor: small, and never changed, only replaced. What is large, the photo
with the network's prediction, is kept for a while for the visitors that were here last; for others it is made again.

Knows nothing of Gradio.
"""

import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..colorize.folder import Job
from ..colorize.hints import LARGEST_FILE, SUFFIX, BadHints, Hint, check_hints, parse_color, parse_hints, write_hints
from ..colorize.pages import has_pages
from ..colorize.prepared import PreparedPhoto
from ..photo import open_in_color, open_photo, output_name
from .service import GONE, NO_PAGES, Colorized, Refused, Service, Settings, check_settings, sentence_of

SCREEN = 1024  # longest side of the picture that is clicked on
THUMBNAIL = 320  # the same of a variant
VARIANTS = 4
KEPT, SECONDS = 6, 600  # photos with their predictions in memory, and seconds after which an unused one goes
UNDO = 30  # how many steps can be undone
NEAR = 0.02  # a click this near to a hint, as a fraction of the longer side, means that hint
AROUND = 2  # the colour of a place in a reference photo is the mean of so many pixels in each direction
SWATCHES = {  # only hue and saturation count: a dark skin is as brown as a light one is pink
    "Light skin": "#e3b49a",
    "Tan skin": "#c68e63",
    "Dark skin": "#7a4a30",
    "Blond hair": "#d6b36a",
    "Brown hair": "#6b452b",
    "Red hair": "#a4512a",
    "Sky": "#78a9d8",
    "Water": "#5b8d9c",
    "Grass": "#7a9a3f",
    "Leaves": "#48733a",
    "Brick": "#a3543a",
    "Wood": "#8b6239",
    "Sand": "#c9b48a",
    "Red": "#b3202c",
    "Pink": "#e08aa4",
    "Orange": "#d9772b",
    "Yellow": "#dcb92f",
    "Green": "#2f7a4d",
    "Blue": "#2d5da8",
    "Navy": "#2b3658",
    "Purple": "#73489a",
    "Khaki": "#8f8458",
    "Gray": "#808080",
}
CLICK_FIRST = "Click on the photo first."


@dataclass(frozen=True)
class Correction:
    """A visitor's work on a photo.

    visitor: whose it is; one photo of each visitor is kept in memory.
    size: width and height of the upright photo, in whose pixels places are.
    shown: the same of the picture on the screen.
    place: x and y of where the next colour goes, if that is known.
    before: the hints before each of the last changes, for undo.
    variants: hints of the answers to choose from, if there are any.
    """

    visitor: str
    upload: Path
    settings: Settings
    size: tuple[int, int]
    shown: tuple[int, int]
    hints: tuple[Hint, ...] = ()
    place: tuple[float, float] | None = None
    before: tuple[tuple[Hint, ...], ...] = ()
    variants: tuple[tuple[Hint, ...], ...] = ()

    def click(self, x: float, y: float) -> "Correction":
        "Choose a place by pixels of the picture on the screen, from its upper left corner; near a hint, that hint's."
        across, down = (whole / small for whole, small in zip(self.size, self.shown))
        x, y = (x + 0.5) * across, (y + 0.5) * down
        nearest = min(self.hints, key=lambda hint: math.dist((x, y), (hint.x, hint.y)), default=None)
        if nearest and math.dist((x, y), (nearest.x, nearest.y)) <= NEAR * max(self.size):
            return replace(self, place=(nearest.x, nearest.y))
        return self.choose_place(int(x), int(y))

    def choose_place(self, x: float | None, y: float | None) -> "Correction":
        """Choose a place in pixels of the photo; one outside becomes the nearest inside.

        Raises:
            Refused: not numbers.
        """
        if not all(isinstance(each, (int, float)) and math.isfinite(each) for each in (x, y)):
            raise Refused("A place is two numbers: pixels from the left edge, and from the upper one.")
        return replace(self, place=tuple(min(max(each, 0), side) for each, side in zip((x, y), self.size)))

    @property
    def chosen(self) -> int | None:
        "The number of the hint, from 0, that lies at the place."
        return next((number for number, hint in enumerate(self.hints) if (hint.x, hint.y) == self.place), None)

    def give(self, color: str) -> "Correction":
        """A hint with this colour at the place, in the stead of the one that is there.

        Raises:
            Refused: no place, or no colour.
        """
        if self.place is None:
            raise Refused(CLICK_FIRST)
        try:
            (hint,), _ = check_hints([(*self.place, parse_color(color))], self.size)
        except BadHints as error:
            raise Refused(str(error)) from error
        hints = list(self.hints)
        number = len(hints) if self.chosen is None else self.chosen
        hints[number : number + 1] = [hint]
        return self.with_hints(hints)

    def remove(self) -> "Correction":
        """Without the hint at the place.

        Raises:
            Refused: there is none.
        """
        if self.chosen is None:
            raise Refused("Click on the mark of a hint, or choose one in the list, to remove it.")
        kept = (hint for number, hint in enumerate(self.hints) if number != self.chosen)
        return replace(self.with_hints(kept), place=None)

    def clear(self) -> "Correction":
        "Without hints."
        return replace(self.with_hints(()), place=None)

    def choose_variant(self, number: int) -> "Correction":
        """The hints of a variant in the stead of the present ones; the others stay to choose from.

        Raises:
            Refused: there is no such variant any more.
        """
        if not 0 <= number < len(self.variants):
            raise Refused("These answers are not here any more; please ask for them again.")
        return replace(self.with_hints(self.variants[number]), place=None, variants=self.variants)

    def undo(self) -> "Correction":
        """As before the last change.

        Raises:
            Refused: there is none.
        """
        if not self.before:
            raise Refused("There is nothing to undo.")
        return replace(self, hints=self.before[-1], before=self.before[:-1], place=None, variants=())

    def with_hints(self, hints: Iterable[Hint]) -> "Correction":
        "With other hints, which can be undone."
        hints = tuple(hints)
        before = self.before if hints == self.hints else (*self.before, self.hints)[-UNDO:]
        return replace(self, hints=hints, before=before, variants=())


class HintService:
    """Opens photos to be corrected and makes pictures of them. Safe to call from several threads.

    Args:
        service: whose models, limits and folder of results are used.
        kept: photos with their predictions in memory, those that were used last.
        seconds: after which an unused one goes.
    """

    def __init__(self, service: Service, kept: int = KEPT, seconds: float = SECONDS):
        self.service = service
        self._kept = _Recent(kept, seconds)

    def open(self, visitor: str, file: Path, settings: Settings) -> Correction:
        """Begin with a photo; it takes the place of the visitor's last one.

        Raises:
            Refused: as `Service.colorize`, or a file of several pages.
        """
        check_settings(settings)
        prepared = self._prepare(file, settings)
        self._kept.put(visitor, (file, settings), prepared)
        return Correction(visitor, file, settings, prepared.size, prepared.photo.size)

    def picture(self, correction: Correction, marks: bool = True) -> Path:
        """A JPEG of the photo in colour, at most `SCREEN` pixels long, with marks where hints and the place are.

        Raises:
            Refused: the upload has been deleted.
        """
        image = self._colorize(correction, correction.hints)
        if marks:
            _draw_marks(image, correction)
        return self._save(image, "picture.jpg")

    def find_variants(self, correction: Correction) -> tuple[Correction, list[Path]]:
        """Several answers, which all keep the visitor's hints, and small JPEGs of them. The first is the present one.

        Raises:
            Refused: as `picture`.
        """
        try:
            found = self._prepared(correction).variants(VARIANTS, correction.hints)
        except Exception as error:
            raise Refused(sentence_of(error)) from error
        pictures = [self._save(self._colorize(correction, hints, THUMBNAIL), "variant.jpg") for hints in found]
        return replace(correction, variants=tuple(map(tuple, found))), pictures

    def open_reference(self, file: Path) -> Path:
        """Another photo to take colours from, as a JPEG for the screen.

        Raises:
            Refused: not a photo, damaged, or too large.
        """
        try:
            self.service.check_megabytes(file)
            image = open_in_color(file, SCREEN, self.service.max_pixels)
        except Exception as error:
            raise Refused(sentence_of(error)) from error
        image = image.convert("RGB")
        image.thumbnail((SCREEN, SCREEN), Image.Resampling.LANCZOS, reducing_gap=3)
        return self._save(image, "reference.jpg")

    def take_colors(self, correction: Correction, reference: Path) -> Correction:
        """With hints that have the colours of a reference (`open_reference`) where it shows the same; own hints stay.

        Raises:
            Refused: the reference has no colours, or nothing in it is like the photo; or as `picture`.
        """
        colorizer = self.service.colorizer(correction.settings.model)
        try:
            with _opened(reference) as image:
                colors = colorizer.reference(image, render_factor=correction.settings.render_factor)
            found = self._prepared(correction).hints_from(colors, correction.hints)
        except Exception as error:
            raise Refused(sentence_of(error)) from error
        if len(found) == len(correction.hints):
            raise Refused("Nothing in the other photo is like something in this one.")
        return replace(correction.with_hints(found), place=None)

    def download(self, correction: Correction) -> Colorized:
        """The photo at full size, with the hints.

        Raises:
            Refused: as `picture`.
        """
        return self.service.colorize(correction.upload, correction.settings, correction.hints)

    def save(self, correction: Correction) -> Path:
        "The hints as a JSON file, named after the photo."
        path = self._new_file(correction.upload.name + SUFFIX)
        write_hints(path, correction.hints, correction.size)
        return path

    def load(self, correction: Correction, file: Path) -> tuple[Correction, list[str]]:
        """With the hints of a JSON file in the stead of the present ones, and notes on what was changed in them.

        Raises:
            Refused: the file is not one of hints for this photo.
        """
        try:
            if file.stat().st_size > LARGEST_FILE:
                raise BadHints("too large for a file of hints")
            hints, notes = parse_hints(file.read_bytes(), correction.size)
        except FileNotFoundError as error:
            raise Refused(GONE) from error
        except BadHints as error:
            raise Refused(str(error)) from error
        return replace(correction.with_hints(hints), place=None), notes

    def forget(self, visitor: str) -> None:
        "Free the memory of a visitor who has left."
        self._kept.drop(visitor)

    def sweep(self) -> None:
        "Free the memory of visitors who have done nothing for a while."
        self._kept.sweep()

    def _prepare(self, file: Path, settings: Settings) -> PreparedPhoto:
        try:
            self.service.check_megabytes(file)
            if has_pages(Job(file, Path(output_name(file.name)))):
                raise Refused(NO_PAGES)
            photo = self.service.restore_first(open_photo(file, self.service.max_pixels), settings)
            colorizer = self.service.colorizer(settings.model)
            prepared = colorizer.prepare(photo, render_factor=settings.render_factor).reduced(SCREEN)
            prepared.chroma([(0, 0, "gray")])  # the first hint takes longest
        except Exception as error:
            raise Refused(sentence_of(error)) from error
        return prepared

    def _prepared(self, correction: Correction) -> PreparedPhoto:
        "The visitor's photo with its prediction, made again if that has been forgotten."
        kind = correction.upload, correction.settings
        return self._kept.get(correction.visitor, kind, lambda: self._prepare(*kind))

    def _colorize(self, correction: Correction, hints: Iterable[Hint], longest_side: int | None = None) -> Image.Image:
        "The photo with some hints, on white where it is transparent."
        prepared = self._prepared(correction)
        try:
            image = prepared.colorize(hints, correction.settings.strength, longest_side=longest_side)
        except Exception as error:
            raise Refused(sentence_of(error)) from error
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        return image

    def _save(self, image: Image.Image, name: str) -> Path:
        path = self._new_file(name)
        image.save(path, quality=90)
        return path

    def _new_file(self, name: str) -> Path:
        "A path in a new folder with a name that cannot be guessed."
        folder = self.service.folder / secrets.token_hex(16)
        folder.mkdir()
        return folder / name


def color_at(picture: Path, x: int, y: int) -> str:
    """The colour of a place in a picture, as `#rrggbb`: the mean of the pixels around it.

    Raises:
        Refused: the picture has been deleted.
    """
    with _opened(picture) as image:
        box = max(0, x - AROUND), max(0, y - AROUND), x + AROUND + 1, y + AROUND + 1
        box = *box[:2], *(min(end, side) for end, side in zip(box[2:], image.size))
        pixels = np.asarray(image.convert("RGB").crop(box), np.float64)
    return "#{:02x}{:02x}{:02x}".format(*pixels.mean((0, 1)).round().astype(int).tolist())


def _opened(picture: Path) -> Image.Image:
    "A picture that this module has saved."
    try:
        return Image.open(picture)
    except FileNotFoundError as error:
        raise Refused(GONE) from error


def _draw_marks(image: Image.Image, correction: Correction) -> None:
    "A disc in the colour of each hint, and a ring around the place."
    draw, radius = ImageDraw.Draw(image), max(image.size) / 130
    scale = [small / whole for small, whole in zip(image.size, correction.size)]
    for hint in correction.hints:
        at = hint.x * scale[0], hint.y * scale[1]
        draw.circle(at, radius + 2, "black")
        draw.circle(at, radius + 1, "white")
        draw.circle(at, radius - 1, hint.color)
    if correction.place:
        at = [each * factor for each, factor in zip(correction.place, scale)]
        draw.circle(at, 2 * radius + 1, outline="black", width=5)
        draw.circle(at, 2 * radius, outline="white", width=3)


class _Recent:
    "The photos of those visitors that were here last. Safe to use from several threads."

    def __init__(self, most: int, seconds: float):
        self.most, self.seconds = most, seconds
        self._entries: OrderedDict[str, tuple[float, tuple, PreparedPhoto]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, visitor: str, kind: tuple, make: Callable[[], PreparedPhoto]) -> PreparedPhoto:
        "What is kept of a visitor if it is of this kind, or else what `make` makes."
        with self._lock:
            _, known, prepared = self._entries.get(visitor, (0, None, None))
        if known != kind:
            prepared = make()
        self.put(visitor, kind, prepared)
        return prepared

    def put(self, visitor: str, kind: tuple, prepared: PreparedPhoto) -> None:
        with self._lock:
            self._entries[visitor] = time.monotonic(), kind, prepared
            self._entries.move_to_end(visitor)
            while len(self._entries) > self.most:
                self._entries.popitem(last=False)

    def drop(self, visitor: str) -> None:
        with self._lock:
            self._entries.pop(visitor, None)

    def sweep(self) -> None:
        with self._lock:
            oldest = time.monotonic() - self.seconds
            for visitor in [visitor for visitor, (used, *_) in self._entries.items() if used < oldest]:
                del self._entries[visitor]
