"""One photo in, one photo out: open a file of any format safely, merge its luma with chroma, write it atomically.

A colorizer only adds chroma. `open_photo` reads what stays as it is: luma in full resolution and depth, alpha, EXIF,
XMP, resolution. `Photo.merge` adds the predicted chroma to the luma, and `save_photo` writes the result in the format
of the original.
"""

from .extras import MissingExtra, readable_suffixes
from .formats import (
    EXTENSIONS,
    FORMATS,
    PHOTO_SUFFIXES,
    PICTURE_SUFFIXES,
    WRITABLE,
    holds_pages,
    output_name,
)
from .merging import merge_for_jpeg
from .reading import (
    MAX_PIXELS,
    count_pixels,
    open_in_color,
    open_pages,
    open_photo,
    photo_from_image,
    read_rgb,
    upright_size,
)
from .types import BadPhoto, ColorPixels, Photo, to_8bit
from .writing import save_pages, save_photo, takes_ycbcr

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_PIXELS",
    "PHOTO_SUFFIXES",
    "PICTURE_SUFFIXES",
    "WRITABLE",
    "BadPhoto",
    "ColorPixels",
    "MissingExtra",
    "Photo",
    "count_pixels",
    "holds_pages",
    "merge_for_jpeg",
    "open_in_color",
    "open_pages",
    "open_photo",
    "output_name",
    "photo_from_image",
    "read_rgb",
    "readable_suffixes",
    "save_pages",
    "save_photo",
    "takes_ycbcr",
    "to_8bit",
    "upright_size",
]
