"EXIF, XMP and resolution of a file, corrected for a photo that was turned upright."

import re
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

Tag = ExifTags.Base

# The TIFF tags that describe the photo, not how the file stores its pixels.
DESCRIPTIVE = (
    Tag.DocumentName,
    Tag.ImageDescription,
    Tag.Make,
    Tag.Model,
    Tag.PageName,
    Tag.Software,
    Tag.DateTime,
    Tag.Artist,
    Tag.HostComputer,
    Tag.Rating,
    Tag.RatingPercent,
    Tag.Copyright,
    Tag.XPTitle,
    Tag.XPComment,
    Tag.XPAuthor,
    Tag.XPKeywords,
    Tag.XPSubject,
)
SUBDIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
DAMAGED = "its EXIF data is damaged and was dropped"


def read_metadata(image: Image.Image, notes: list[str]) -> dict[str, Any]:
    "The metadata of an opened file for `Photo.metadata`, without the orientation, which has been applied."
    metadata = {}
    try:
        exif = _read_exif(image)
        exif.pop(Tag.Orientation, None)
        exif.update(with_raw_text(exif))
        if len(exif):
            metadata["exif"] = exif.tobytes()
    except Exception:  # EXIF of cameras and phones is often damaged, in many ways
        if DAMAGED not in notes:
            notes.append(DAMAGED)
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode("utf-8", "replace")
    if isinstance(xmp, bytes):
        metadata["xmp"] = upright_xmp(xmp)
    try:
        dpi = tuple(float(d) for d in image.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        dpi = ()
    if len(dpi) == 2 and all(1 < d < 1e5 for d in dpi):  # Pillow says 1 for a TIFF that has no resolution
        metadata["dpi"] = dpi
    return metadata


def upright_xmp(xmp: bytes) -> bytes:
    "XMP data that say of a photo that it is upright, wherever Pillow looks for it."
    return re.sub(rb'(tiff:Orientation(?:="|>))\d', rb"\g<1>1", xmp)


def with_raw_text(tags: Mapping[int, Any]) -> dict[int, Any]:
    "The tags with their texts as the bytes of the file, often UTF-8: Pillow reads Latin-1, and would write ASCII."
    return {t: value.encode("latin-1", "replace") if isinstance(value, str) else value for t, value in tags.items()}


def _read_exif(image: Image.Image) -> Image.Exif:
    exif = Image.Exif()
    if image.format == "TIFF":
        exif.update(descriptive(image.getexif()))
    elif data := image.info.get("exif"):
        exif.load(data)  # `getexif` returns an empty one if it failed before
    else:
        exif = image.getexif()
    return exif


def descriptive(exif: Image.Exif) -> dict[int, Any]:
    "What can be copied from one TIFF to another: tags with their values, subdirectories as dictionaries."
    kept = {tag: exif[tag] for tag in DESCRIPTIVE if tag in exif}
    for tag in SUBDIRECTORIES:
        if entries := exif.get_ifd(tag):
            kept[tag] = {t: value for t, value in entries.items() if t != ExifTags.IFD.Interop}  # a bare offset
    return with_raw_text(kept)
