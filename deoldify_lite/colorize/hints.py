"""Hints: the colours that a person gives for places in a photo, and the JSON files that they are kept in.

    {"version": 1, "width": 640, "height": 480, "hints": [{"x": 320, "y": 100, "color": "#a01818"}]}

Places are pixels of the upright photo, from its upper left corner. `width` and `height` are those of the photo. A file
for a larger or smaller copy of the photo is scaled; one for a photo of another shape is refused. Written by hand, the
file may also be the bare list of hints.
"""

import contextlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ImageColor

from ..bt601 import CB_SCALE, CHROMA_TO_RGB, CR_SCALE, LUMA_WEIGHTS
from ..errors import UsageError
from ..files import write_atomically

VERSION = 1
SUFFIX = ".hints.json"
MOST = 500  # hints that are used for a photo
LARGEST_FILE = 10_000_000  # bytes
SAME_SHAPE = 0.02  # by how much, relatively, the ratio of the sides may differ: small copies have whole pixels


class BadHints(UsageError):
    "Hints, or a file of hints, that cannot be used. The message says why."


@dataclass(frozen=True)
class Hint:
    """A colour for a place: pixels of the upright photo, and RGB, 0 to 255.

    Only hue and saturation (as in HSV) of the colour count.
    """

    x: float
    y: float
    color: tuple[int, int, int]

    @property
    def css(self) -> str:
        "The colour as `#rrggbb`."
        return "#{:02x}{:02x}{:02x}".format(*self.color)


Hints = Iterable[Hint | tuple[float, float, Any]]  # a colour: as CSS has it, or three numbers from 0 to 255


def parse_color(color: Any) -> tuple[int, int, int]:
    """RGB, 0 to 255, of a CSS colour (`#a01818`, `darkred`, `rgb(160, 24, 24)`, `hsl(0, 74%, 36%)`) or three numbers.

    Raises:
        BadHints: it is neither.
    """
    try:
        channels = ImageColor.getrgb(color.strip())[:3] if isinstance(color, str) else [round(c) for c in color]
        if len(channels) == 3 and all(0 <= channel <= 255 for channel in channels):
            return tuple(int(channel) for channel in channels)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        pass
    shown = repr(color)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    raise BadHints(f"{shown} is no colour; name one as CSS does, such as #a01818 or darkred, or as three of 0 to 255")


def wanted_chroma(color: tuple[int, int, int], luma: float) -> tuple[float, float]:
    """Cb and Cr, in [-0.5, 0.5], that a hint of `color` asks for where the photo has `luma`, in [0, 1].

    The colour is made lighter or darker until it has this luma, which keeps hue and saturation (as in HSV). Where that
    leaves the RGB gamut, as a deep red does where the photo is nearly white, the chroma is reduced and the hue kept.
    """
    red, green, blue = (channel / 255 for channel in color)
    own = sum(weight * channel for weight, channel in zip(LUMA_WEIGHTS, (red, green, blue)))
    if red == green == blue:
        return 0.0, 0.0
    cb, cr = ((channel - own) / scale * luma / own for channel, scale in ((blue, CB_SCALE), (red, CR_SCALE)))
    fits = _fitting(luma, [b * cb + r * cr for b, r in CHROMA_TO_RGB])
    return cb * fits, cr * fits


def color_of(luma: float, cb: float, cr: float) -> tuple[int, int, int]:
    "RGB, 0 to 255, of a luma in [0, 1] with chroma in [-0.5, 0.5], which is reduced where it leaves the gamut."
    offsets = [b * cb + r * cr for b, r in CHROMA_TO_RGB]
    fits = _fitting(luma, offsets)
    return tuple(round(255 * min(1.0, max(0.0, luma + fits * offset))) for offset in offsets)


def _fitting(luma: float, offsets: Sequence[float]) -> float:
    "The fraction of `offsets`, which chroma adds to a luma for red, green and blue, that is in gamut."
    return min([1.0, *((1 - luma if offset > 0 else luma) / abs(offset) for offset in offsets if offset)])


def check_hints(hints: Hints, size: tuple[int, int]) -> tuple[list[Hint], list[str]]:
    """Hints for a photo of `size` (width, height), and notes about those that were left out.

    Raises:
        BadHints: a hint has another form, an unknown colour, or lies outside of the photo.
    """
    checked, notes = [], []
    for number, hint in enumerate(hints, 1):
        if number > MOST:
            notes.append(f"has more than {MOST} hints, of which the first {MOST} were used")
            break
        checked.append(_checked(hint, number, size))
    return checked, notes


def _checked(hint: Any, number: int, size: tuple[int, int]) -> Hint:
    try:
        x, y, color = (hint.x, hint.y, hint.color) if isinstance(hint, Hint) else hint
        x, y = float(x), float(y)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadHints(f"hint {number} is not of the form (x, y, colour)") from error
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= size[0] and 0 <= y <= size[1]):
        raise BadHints(
            f"hint {number} at ({x:g}, {y:g}) is outside of the photo, which has {size[0]} x {size[1]} pixels"
        )
    try:
        return Hint(x, y, parse_color(color))
    except BadHints as error:
        raise BadHints(f"hint {number}: {error}") from error


def pixel_at(place: Sequence[float], shape: tuple[int, int]) -> tuple[int, int]:
    "Row and column of a place, x and y as fractions of width and height in [0, 1], in a picture of `shape` (H, W)."
    x, y = place
    return min(int(y * shape[0]), shape[0] - 1), min(int(x * shape[1]), shape[1] - 1)


def read_hints(file: Path, size: tuple[int, int]) -> tuple[list[Hint], list[str]]:
    """The hints in a JSON file for a photo of `size` (width, height), and notes about what was scaled or left out.

    Raises:
        BadHints: the file cannot be read, has another form, is about another photo, or has a hint that
            `check_hints` refuses.
    """
    try:
        if Path(file).stat().st_size > LARGEST_FILE:
            raise BadHints("too large for a file of hints")
        return parse_hints(Path(file).read_bytes(), size)
    except OSError as error:
        raise BadHints(f"{file}: {error.strerror}") from error
    except BadHints as error:
        raise BadHints(f"{file}: {error}") from error


def parse_hints(text: str | bytes, size: tuple[int, int]) -> tuple[list[Hint], list[str]]:
    "As `read_hints`, of the content of a file."
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadHints("not JSON") from error
    meant_for, notes = size, []
    if isinstance(content, dict):
        meant_for, notes = _meant_for(content, size)
        content = content.get("hints")
    if not isinstance(content, list):
        raise BadHints('not a file of hints, which is {"version": 1, "width": ..., "height": ..., "hints": [...]}')
    try:
        hints = [_scaled(entry, meant_for, size) for entry in content[: MOST + 1]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadHints('a hint is not of the form {"x": 320, "y": 100, "color": "#a01818"}') from error
    checked, more = check_hints(hints, size)
    return checked, notes + more


def _meant_for(content: dict, size: tuple[int, int]) -> tuple[tuple[int, int], list[str]]:
    "Width and height that the places in a file are for, and a note if a photo of `size` has others."
    version = content.get("version", VERSION)
    if version != VERSION:
        raise BadHints(f"version {str(version)[:20]} of the file is not known here, only {VERSION}")
    if "width" not in content and "height" not in content:
        return size, []
    width, height = content.get("width"), content.get("height")
    if not all(type(side) is int and 0 < side < 2**31 for side in (width, height)):
        raise BadHints("width and height are not those of a photo")
    if (width, height) == size:
        return size, []
    across, down = size[0] / width, size[1] / height
    # One pixel of the smaller copy is what rounding may have cost.
    if abs(across / down - 1) > SAME_SHAPE + 1 / min(width, height, *size):
        raise BadHints(f"for a photo of {width} x {height} pixels, and this one has {size[0]} x {size[1]}")
    return (width, height), [f"its hints are for {width} x {height} pixels and were scaled"]


def _scaled(entry: Any, meant_for: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, Any]:
    x, y, color = (entry["x"], entry["y"], entry["color"]) if isinstance(entry, dict) else entry
    x, y = float(x), float(y)
    if meant_for != size:  # multiplied first, so that a hint on the border stays there
        x, y = x * size[0] / meant_for[0], y * size[1] / meant_for[1]
    return x, y, color


def format_hints(hints: Iterable[Hint], size: tuple[int, int]) -> str:
    "The content of a JSON file with these hints for a photo of `size` (width, height)."
    entries = [{"x": hint.x, "y": hint.y, "color": hint.css} for hint in hints]
    return json.dumps({"version": VERSION, "width": size[0], "height": size[1], "hints": entries}, indent=1) + "\n"


def write_hints(file: Path, hints: Hints, size: tuple[int, int]) -> None:
    """Write hints for a photo of `size` (width, height) to a JSON file, atomically.

    Raises:
        BadHints: as `check_hints`; or there are more than count.
        OSError: the file cannot be written.
    """
    checked, notes = check_hints(hints, size)
    if notes:
        raise BadHints(f"more than {MOST} hints, and a photo takes no more: leave some out")
    write_atomically(Path(file), format_hints(checked, size))


def hints_beside(photo: Path) -> Path | None:
    "The file of hints beside a photo: of `a.jpg` it is `a.jpg.hints.json`, or else `a.hints.json`; None without one."
    candidates = (photo.with_name(photo.name + SUFFIX), photo.with_name(photo.stem + SUFFIX))
    with contextlib.suppress(OSError):  # the name of the photo is as long as names may be
        return next((file for file in candidates if file.is_file()), None)
    return None
