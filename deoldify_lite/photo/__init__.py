"""One photo in, one photo out: open a file of any format safely, merge its luma with chroma, write it atomically.

A colorizer only adds chroma. `open_photo` reads what stays as it is: luma in full resolution and depth, alpha, EXIF,
XMP, resolution. `Photo.merge` adds the predicted chroma to the luma, and `save_photo` writes the result in the format
of the original.
"""

from .formats import EXTENSIONS, FORMATS, PHOTO_SUFFIXES, WRITABLE, output_name
from .merging import merge_for_jpeg
from .reading import MAX_PIXELS, count_pixels, open_photo, photo_from_image, read_rgb
from .types import BadPhoto, ColorPixels, Photo, to_8bit
from .writing import save_photo, takes_ycbcr

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_PIXELS",
    "PHOTO_SUFFIXES",
    "WRITABLE",
    "BadPhoto",
    "ColorPixels",
    "Photo",
    "count_pixels",
    "merge_for_jpeg",
    "open_photo",
    "output_name",
    "photo_from_image",
    "read_rgb",
    "save_photo",
    "takes_ycbcr",
    "to_8bit",
]
