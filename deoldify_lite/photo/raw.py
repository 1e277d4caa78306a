"Camera raw, developed by LibRaw (rawpy)."

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from PIL import Image

from .extras import RAWS
from .metadata import Tag, descriptive, upright_xmp
from .types import BadPhoto, Photo, check_size, luma_16bit

# The camera's white balance, sRGB with its own curve, and so bright that one pixel in a thousand becomes white.
DEVELOPMENT = {"output_bps": 16, "use_camera_wb": True, "gamma": (2.4, 12.92), "auto_bright_thr": 0.001}


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Any]:
    rawpy = RAWS.load()
    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            yield raw
    except rawpy.LibRawFileUnsupportedError as error:
        raise BadPhoto("no camera raw file, or of a camera that LibRaw does not know") from error
    except rawpy.LibRawError as error:
        raise BadPhoto("damaged or truncated") from error


def raw_size(file: BinaryIO) -> tuple[int, int]:
    "Width and height as stored, by the file's header."
    with _opened(file) as raw:
        return raw.sizes.width, raw.sizes.height


def read_raw(file: BinaryIO, max_pixels: int) -> Photo:
    """The luma of a developed photo, 16 bit, upright.

    Raises:
        BadPhoto: no such file, damaged, or too large.
    """
    with _opened(file) as raw:
        check_size(raw.sizes.width, raw.sizes.height, max_pixels)
        photo = Photo(luma_16bit(raw.postprocess(**DEVELOPMENT)))
    photo.metadata = _metadata(file)
    return photo


def _metadata(file: BinaryIO) -> dict[str, Any]:
    "EXIF and XMP of the raw formats that are a kind of TIFF, as most are; nothing of others."
    file.seek(0)
    stored, exif = Image.Exif(), Image.Exif()
    try:
        stored.load_from_fp(file)
        exif.update(descriptive(stored))
        found = {"exif": exif.tobytes() if len(exif) else None, "xmp": stored.get(Tag.XMLPacket)}
        if isinstance(found["xmp"], bytes):
            found["xmp"] = upright_xmp(found["xmp"])
    except Exception:  # another format, or damaged in one of many ways
        return {}
    return {name: data for name, data in found.items() if isinstance(data, bytes)}
