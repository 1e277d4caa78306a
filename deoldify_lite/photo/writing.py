"Writes colour pixels with the alpha and metadata of a `Photo`, in the format that the file's extension names."

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..files import atomic_path
from .extras import JPEG_XL, register
from .formats import MAX_METADATA, MAX_SIDE, OPAQUE, PAGED, WRITABLE
from .merging import strips
from .metadata import Tag, descriptive
from .pdf import DPI, PdfWriter, is_pdf, pdf_writer
from .types import BadPhoto, ColorPixels, Photo, to_8bit

OPTIONS = {
    "JPEG": {"quality": 95, "subsampling": "4:2:0"},
    "WEBP": {"quality": 95},
    "JPEG2000": {"quality_mode": "dB", "quality_layers": [50]},
    "AVIF": {"quality": 90},
    "JXL": {"quality": 90, "effort": 4},
}
TIFF_HEADER = b"II*\0\x08\0\0\0"  # with the place of the first page
LARGEST_TIFF = 2**32 - 2**20  # bytes; places in the file are numbers of 32 bit, and the directories take some space
END_OF_JPEG = b"\xff\xd9"


def save_photo(pixels: ColorPixels, photo: Photo, path: Path) -> None:
    """Write pixels with the photo's alpha and metadata, atomically: RGB (H, W, 3), uint8 or uint16, or, where
    `takes_ycbcr`, the image of `merge_for_jpeg`.

    The extension of `path` decides on the format. 16 bit a channel stay 16 bit in PNG and TIFF; other formats get 8.
    What the format cannot hold is left out, with a sentence in `photo.notes`.

    Raises:
        BadPhoto: no format that is written has this extension, or the photo is too large for the format.
        OSError: the disk is full, the folder cannot be written to, ...
    """
    path = Path(path)
    kind = WRITABLE.get(path.suffix.lower())
    if kind is None:
        raise BadPhoto(f"cannot write {path.suffix or 'a file without extension'}; use one of {' '.join(WRITABLE)}")
    if kind in PAGED:
        with save_pages(path) as add:
            add(0, pixels, photo)
        return
    _check_sides(photo, kind)
    if kind == "JXL":
        register(JPEG_XL)
    metadata = _fitting_metadata(photo, kind)
    pixels = _with_alpha(pixels, photo, kind)
    with atomic_path(path) as temporary:
        if kind == "PNG":
            with temporary.open("wb") as file:
                _write_png(file, pixels, metadata)
        else:
            _save_8bit(_image_8bit(pixels), temporary, kind, metadata)


@contextmanager
def save_pages(path: Path, source: Path | None = None) -> Iterator[Callable[[int, ColorPixels, Photo], None]]:
    """A function that writes one page after the other into a new TIFF or PDF: takes a page's number, counted from 0,
    its pixels and its photo, as `save_photo` does. The file is written atomically when the block ends.

    source: where the pages are from. Is it a PDF and the result, too, then all but the pages stays as it was, and so
        does each page that is not replaced.

    Raises:
        BadPhoto: the result would be too large for its format, or its format needs a package.
        OSError: as for `save_photo`.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        if WRITABLE[path.suffix.lower()] == "TIFF":
            with temporary.open("wb") as file:
                tiff = TiffWriter(file)
                yield lambda number, pixels, photo: tiff.add(_with_alpha(pixels, photo, "TIFF"), photo.metadata)
        else:
            with pdf_writer(temporary, source if source and is_pdf(source) else None) as pdf:
                yield partial(_put_page, pdf)


def _put_page(pdf: PdfWriter, number: int, pixels: ColorPixels, photo: Photo) -> None:
    _check_sides(photo, "PDF")
    image = _image_8bit(_with_alpha(pixels, photo, "PDF"))
    jpeg = _encoded(image, "JPEG", OPTIONS["JPEG"])
    pdf.put(number, jpeg, image.size, photo.metadata.get("dpi", (DPI, DPI)))


def _with_alpha(pixels: ColorPixels, photo: Photo, kind: str) -> ColorPixels:
    if photo.alpha is None:
        return pixels
    if kind in OPAQUE:
        photo.notes.append(f"its transparency was left out, which {kind} cannot hold")
        return pixels
    return np.dstack([pixels, photo.alpha])


def _check_sides(photo: Photo, kind: str) -> None:
    if max(photo.size) > (limit := MAX_SIDE.get(kind, max(photo.size))):
        raise BadPhoto(f"{kind} holds no picture with a side of more than {limit} pixels; use PNG or TIFF")


def _image_8bit(pixels: ColorPixels) -> Image.Image:
    return pixels if isinstance(pixels, Image.Image) else Image.fromarray(to_8bit(pixels))


def takes_ycbcr(path: Path) -> bool:
    "Whether this file's format stores YCbCr with subsampled chroma, so that a conversion to RGB can be saved."
    return WRITABLE.get(Path(path).suffix.lower()) in ("JPEG", "PDF")


def _fitting_metadata(photo: Photo, kind: str) -> dict[str, Any]:
    "The photo's metadata, without what is too long for the format."
    metadata = dict(photo.metadata)
    for name, limit in MAX_METADATA.get(kind, {}).items():
        if len(metadata.get(name, b"")) > limit:
            del metadata[name]
            photo.notes.append(f"its {name.upper()} data was left out, which is too long for {kind}")
    return metadata


def _save_8bit(image: Image.Image, path: Path, kind: str, metadata: dict[str, Any]) -> None:
    options = OPTIONS.get(kind, {}).copy()
    options |= {name: metadata[name] for name in ("exif", "dpi", "xmp") if name in metadata}
    # Encoded in memory: on a full disk, Pillow leaves half a JPEG or BMP without an error, and hangs in JPEG 2000.
    path.write_bytes(_encoded(image, kind, options))


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    if kind == "JPEG":
        # Pillow releases the interpreter lock only while it encodes into a real file.
        with suppress(AttributeError, OSError), os.fdopen(os.memfd_create("photo"), "w+b") as file:  # Linux only
            image.save(file, kind, **options)
            file.seek(0)
            data = file.read()
            if data.endswith(END_OF_JPEG):  # else the file was too large for the system
                return data
    memory = io.BytesIO()
    image.save(memory, kind, **options)  # Pillow skips options that a format does not have
    return memory.getvalue()


def _write_png(file: BinaryIO, pixels: np.ndarray, metadata: dict[str, Any]) -> None:
    """An RGB or RGBA PNG, 8 or 16 bit a channel, each row stored as its difference to the one above (filter 2).

    Pillow cannot write 16 bit, and holds the interpreter lock while it writes 8.
    """
    height, width, channels = pixels.shape

    def chunk(name: bytes, data: bytes) -> None:
        file.writelines(
            (struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))
        )

    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, {3: 2, 4: 6}[channels], 0, 0, 0))
    chunk(b"sRGB", b"\0")
    if "dpi" in metadata:
        chunk(b"pHYs", struct.pack(">IIB", *(round(d / 0.0254) for d in metadata["dpi"]), 1))
    if "exif" in metadata:
        chunk(b"eXIf", metadata["exif"].removeprefix(b"Exif\0\0"))
    if "xmp" in metadata:
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata["xmp"])
    deflate, above = zlib.compressobj(6), 0
    for _, _, strip in strips(pixels):
        whole = strip.astype(strip.dtype.newbyteorder(">")).view(np.uint8).reshape(len(strip), -1)
        rows = np.full((len(whole), whole.shape[1] + 1), 2, np.uint8)
        rows[0, 1:] = whole[0] - above
        rows[1:, 1:] = whole[1:] - whole[:-1]
        above = whole[-1]
        chunk(b"IDAT", deflate.compress(rows))
    chunk(b"IDAT", deflate.flush())
    chunk(b"IEND", b"")


class TiffWriter:
    """Writes RGB or RGBA pictures into a TIFF, one page after the other, 8 or 16 bit a channel. Each pixel is stored as
    its difference to the one before, deflated.

    Pillow cannot write 16 bit, nor a camera's EXIF into a compressed TIFF.
    """

    def __init__(self, file: BinaryIO):
        self.file = file
        self.pointer = 4  # where the place of the next page is to be written; first in the file's header

    def add(self, pixels: np.ndarray, metadata: dict[str, Any]) -> None:
        """
        Raises:
            BadPhoto: the file would be larger than 4 GB.
        """
        packed = [_packed(strip) for _, _, strip in strips(pixels)]
        start = self.file.seek(0, os.SEEK_END)
        if start + sum(map(len, packed)) > LARGEST_TIFF:
            raise BadPhoto("more than the 4 GB that a TIFF holds")
        tags = _tiff_tags(pixels, metadata, [len(data) for data in packed])
        tags.save(self.file)
        self.file.writelines(packed)
        if self.file.tell() % 2:  # the next page begins at an even place
            self.file.write(b"\0")
        start = start or len(TIFF_HEADER)
        self.file.seek(self.pointer)
        self.file.write(struct.pack("<I", start))
        self.pointer = start + 2 + 12 * len(tags)


def _packed(strip: np.ndarray) -> bytes:
    rows = strip.copy()
    rows[:, 1:] -= strip[:, :-1]
    return zlib.compress(rows.astype(rows.dtype.newbyteorder("<")).tobytes(), 6)


def _tiff_tags(pixels: np.ndarray, metadata: dict[str, Any], sizes: list[int]) -> ImageFileDirectory_v2:
    "The directory of a page. `sizes`: bytes of the strips that follow."
    height, width, channels = pixels.shape
    tags = ImageFileDirectory_v2(TIFF_HEADER)
    if "exif" in metadata:
        exif = Image.Exif()
        exif.load(metadata["exif"])
        for tag, value in descriptive(exif).items():
            tags[tag] = value
    if "xmp" in metadata:
        tags[Tag.XMLPacket] = metadata["xmp"]
    if "dpi" in metadata:
        tags[Tag.XResolution], tags[Tag.YResolution] = metadata["dpi"]
        tags[Tag.ResolutionUnit] = 2  # inches
    tags[Tag.ImageWidth] = width
    tags[Tag.ImageLength] = height
    tags[Tag.BitsPerSample] = (8 * pixels.dtype.itemsize,) * channels
    tags[Tag.Compression] = 8  # deflate
    tags[Tag.Predictor] = 2  # differences
    tags[Tag.PhotometricInterpretation] = 2  # RGB
    tags[Tag.SamplesPerPixel] = channels
    tags[Tag.PlanarConfiguration] = 1  # interleaved
    if channels == 4:
        tags[Tag.ExtraSamples] = 2  # alpha, not premultiplied
    tags[Tag.RowsPerStrip] = next(strips(pixels))[1]
    tags[Tag.StripByteCounts] = tuple(sizes)
    tags[Tag.StripOffsets] = (0, *accumulate(sizes[:-1]))  # counted from the tags' end
    return tags
