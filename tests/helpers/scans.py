"""Files that need an extra, made in memory: HEIC, JPEG XL, camera raw, PDF; and TIFF with several pages."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from .photo_files import encoded, tiff

SRGB_FROM_XYZ = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)  # times 10,000


def heic(image: Image.Image, **options) -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return encoded(image, "HEIF", **{"quality": 95} | options)


def jxl(image: Image.Image, **options) -> bytes:
    pytest.importorskip("pillow_jxl")
    return encoded(image, "JXL", **{"effort": 1} | options)


def dng(levels: np.ndarray, **tags) -> bytes:
    "A camera raw file of linear levels (H, W), uint16, all under red, green and blue filters (RGGB) of equal strength."
    return tiff(
        levels,
        **{
            "NewSubfileType": 0,
            "PhotometricInterpretation": 32803,  # a mosaic of filters
            "DNGVersion": b"\1\4\0\0",
            "DNGBackwardVersion": b"\1\1\0\0",
            "UniqueCameraModel": "Agfa",
            "CFARepeatPatternDim": (2, 2),
            "33422": b"\0\1\1\2",  # which filter where; `Tag.CFAPattern` is that of EXIF
            "CFAPlaneColor": b"\0\1\2",
            "ColorMatrix1": tuple(IFDRational(number, 10_000) for number in SRGB_FROM_XYZ),
            "CalibrationIlluminant1": 21,
            "AsShotNeutral": (IFDRational(1),) * 3,
            "WhiteLevel": 65535,
        }
        | tags,
    )


def pages(kind: str, *images: Image.Image, **options) -> bytes:
    "A TIFF or PDF."
    return encoded(
        images[0].copy(), kind, save_all=True, append_images=[image.copy() for image in images[1:]], **options
    )


def steps(width: int, height: int) -> Image.Image:
    "A smooth grayscale picture whose corners can be told apart."
    x, y = np.linspace(40, 160, width), np.linspace(0, 60, height)
    return Image.fromarray((x[None] + y[:, None]).astype(np.uint8))


def stored_pages(path: Path) -> list[Image.Image]:
    "The pages of a TIFF, or those of a PDF as they look at 72 pixels an inch."
    if path.suffix == ".pdf":
        import pypdfium2

        with pypdfium2.PdfDocument(path) as document:
            return [page.render(scale=1).to_pil().copy() for page in document]
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(image.copy())
        return found
