"""One photo in, one photo out: open anything safely, keep its luma, put chroma on it, write it atomically.

A colorizer only adds chroma. `open_photo` takes a file apart into what stays (luma in full resolution and depth,
alpha, EXIF, XMP, resolution) and what the network wants to see; `Photo.merge` puts the predicted chroma on the luma,
and `save_photo` writes the result in the format that the photo came in.
"""

from .formats import EXTENSIONS, FORMATS, UNREADABLE, WRITABLE, output_name
from .merging import merge_for_jpeg
from .parts import BadPhoto, ColorPixels, Photo, to_8bit
from .reading import MAX_PIXELS, count_pixels, open_photo, read_rgb, take_apart
from .writing import save_photo, takes_ycbcr

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_PIXELS",
    "UNREADABLE",
    "WRITABLE",
    "BadPhoto",
    "ColorPixels",
    "Photo",
    "count_pixels",
    "merge_for_jpeg",
    "open_photo",
    "output_name",
    "read_rgb",
    "save_photo",
    "take_apart",
    "takes_ycbcr",
    "to_8bit",
]
