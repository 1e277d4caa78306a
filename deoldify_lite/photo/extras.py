"The formats that need an optional package, which is imported when the first such file is there."

import importlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from .formats import EXTENSIONS, HEIC, RAW
from .types import BadPhoto


class MissingExtra(BadPhoto):
    "A file whose format needs a package that is not installed. `title`: of the format."

    def __init__(self, extra: "Extra"):
        super().__init__(f'{extra.title} files need {extra.package}: pip install "deoldify_lite[{extra.name}]"')
        self.title = extra.title


@dataclass(frozen=True)
class Extra:
    """A format, or a family of formats, and the package that reads it.

    name: in setup.py; module: what is imported; start: a regular expression for the first bytes of its files.
    """

    name: str
    title: str
    package: str
    module: str
    suffixes: frozenset[str]
    start: bytes = b"(?!)"

    def load(self) -> ModuleType:
        """The package, imported.

        Raises:
            MissingExtra: it is not installed.
        """
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise MissingExtra(self) from error

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


BRANDS = rb"....ftyp(heic|heix|heim|heis|hevc|hevx|hevm|hevs|mif1|msf1)"
HEIF_IMAGES = Extra("heic", "HEIC", "pillow-heif", "pillow_heif", HEIC, BRANDS)
JPEG_XL = Extra("jxl", "JPEG XL", "pillow-jxl-plugin", "pillow_jxl", frozenset((".jxl",)), rb"\xff\x0a|....JXL ")
PDFS = Extra("pdf", "PDF", "pypdfium2", "pypdfium2", frozenset((".pdf",)), rb"%PDF-")
RAWS = Extra("raw", "camera raw", "rawpy", "rawpy", RAW)
EXTRAS = (HEIF_IMAGES, JPEG_XL, PDFS, RAWS)


def extra_for(start: bytes, suffix: str = "") -> Extra | None:
    "The extra that a file needs, by its first bytes; camera raw, which has no common ones, by its extension."
    if suffix.lower() in RAW:
        return RAWS
    return next((extra for extra in EXTRAS if re.match(extra.start, start, re.DOTALL)), None)


def readable_suffixes() -> frozenset[str]:
    "The extensions of the files that can be read here, with the packages that are installed."
    missing = [extra.suffixes for extra in EXTRAS if not extra.is_installed]
    return EXTENSIONS.union(RAW, PDFS.suffixes).difference(*missing)


def register(extra: Extra) -> str:
    """Make Pillow open a format, and write it if the package does. Returns Pillow's name of the format.

    Raises:
        MissingExtra: the package is not installed.
    """
    package = extra.load()
    if extra is HEIF_IMAGES:
        package.register_heif_opener(thumbnails=False)
        return "HEIF"
    return "JXL"  # registers itself when imported


RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width : height


def jpeg_xl_size(data: bytes) -> tuple[int, int]:
    """Width and height by the header of a JPEG XL file (ISO/IEC 18181-1, SizeHeader), as stored.

    Pillow's plugin decodes the whole picture before it tells the size.

    Raises:
        BadPhoto: there is no such header.
    """
    start = 0 if data.startswith(b"\xff\x0a") else _codestream(data)
    bits = int.from_bytes(data[start + 2 : start + 14], "little")
    place = 0

    def take(number: int) -> int:
        nonlocal place
        place += number
        return bits >> place - number & (1 << number) - 1

    def side(small: int) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side(small)
    ratio = RATIOS[take(3)]
    width = height * ratio[0] // ratio[1] if ratio else side(small)
    return width, height


def _codestream(data: bytes) -> int:
    "Where the codestream, or the first part of it, starts in a container of boxes."
    for kind, start in _boxes(data):
        start += 4 * (kind == b"jxlp")  # the part's number
        if kind in (b"jxlc", b"jxlp") and data[start : start + 2] == b"\xff\x0a":
            return start
    raise BadPhoto("damaged, or not a whole JPEG XL file")


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    "Kind and start of the content of each box of an ISO base media file."
    place = 0
    while True:
        size, kind, start = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], place + 8
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if len(kind) < 4:
            return
        yield kind, start
        if size < start - place:  # to the end of the file, or damaged
            return
        place += size
