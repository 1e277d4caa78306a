"Photos of any size, made of the samples, so that everybody measures with the same ones."

import math
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageOps

from deoldify_lite.errors import Unavailable
from deoldify_lite.samples import sample_photos

QUALITY = 90
GRAIN = 6  # levels; 12 megapixels become a JPEG of some 3.5 MB, as of a scan, and not the 1 MB of a blurred picture
TILE = 512  # pixels after which the grain repeats
KINDS = {"L": "grayscale", "RGB": "colour"}


class NoSamples(Unavailable, RuntimeError):
    "There is nothing to make photos of. The message says why."


def sized(path: Path, megapixels: float, mode: str) -> Image.Image:
    "A sample scaled to about so many million pixels, its shape kept, in mode L or RGB, with a film's grain."
    with Image.open(path) as image:
        scale = math.sqrt(megapixels * 1e6 / (image.width * image.height))
        width, height = (max(1, round(side * scale)) for side in image.size)
        large = image.convert(mode).resize((width, height), Image.Resampling.BICUBIC)
    tile = np.random.default_rng(0).normal(128, GRAIN, (TILE, TILE)).round().clip(0, 255).astype(np.uint8)
    grain = Image.fromarray(np.tile(tile, (height // TILE + 1, width // TILE + 1))[:height, :width])
    return ImageChops.add(large, Image.merge(mode, [grain] * len(mode)), offset=-128)


def fitted(size: tuple[int, int], mode: str = "L") -> Image.Image:
    "The middle of one sample at exactly this width and height."
    with Image.open(_samples()[-1]) as image:
        return ImageOps.fit(image.convert(mode), size, Image.Resampling.BICUBIC)


def make_folder(folder: Path, count: int, megapixels: float, mode: str, extension: str = ".jpg") -> Path:
    """`count` photos in a new folder, which is returned: the samples over and over.

    Raises:
        NoSamples: the libraries that bring the samples are not installed.
    """
    folder.mkdir(parents=True)
    samples = _samples()
    for i in range(count):
        photo = folder / f"{i:04}{extension}"
        if i < len(samples):
            options = {"quality": QUALITY} if extension == ".jpg" else {}
            sized(samples[i], megapixels, mode).save(photo, **options)
        else:
            shutil.copyfile(folder / f"{i % len(samples):04}{extension}", photo)
    return folder


def _samples() -> list[Path]:
    found = sorted(sample_photos().values(), key=lambda path: path.name)
    if not found:
        raise NoSamples("there are no sample photos to measure with here: they come with matplotlib and scikit-learn")
    return found
