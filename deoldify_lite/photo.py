"""One photo in, one photo out."""
import io
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

# Named, so that no exotic decoder (EPS starts a program) ever sees an untrusted file.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "MPO")
EXTENSIONS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".pgm",
                        ".ppm", ".pbm", ".jp2", ".avif"))
MAX_PIXELS = 150_000_000


class BadPhoto(ValueError):
    "A file that cannot be used as a photo. The message says why."


def read_rgb(file: Path | BinaryIO | bytes, short_side: int) -> Image.Image:
    """A photo for training: upright, RGB, its short side `short_side` pixels, the long one at most three times that.

    Raises:
        BadPhoto: not a photo, truncated, or too large.
    """
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadPhoto(f"{image.width} x {image.height} is more than {MAX_PIXELS:,} pixels")
            image.draft("RGB", (2 * short_side, 2 * short_side))  # JPEG decodes at a fraction of its size for less
            image = ImageOps.exif_transpose(image).convert("RGB")
    except BadPhoto:
        raise
    except Exception as error:  # decoders raise a wide variety of things on broken files
        raise BadPhoto(f"cannot be read as a photo ({error})") from error
    scale = short_side / min(image.size)
    width, height = (min(max(short_side, round(side * scale)), 3 * short_side) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)
