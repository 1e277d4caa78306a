"""Small files of every format that is opened, and random damage to them."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, features

from deoldify_lite.photo.extras import HEIF_IMAGES, JPEG_XL, register
from deoldify_lite.samples import sample_photos

from .scans import dng, pages


def small_photo() -> Image.Image:
    "A part of a real photo where there is one, in colour, 40 x 32."
    for path in sample_photos().values():
        with Image.open(path) as image:
            return image.convert("RGB").resize((40, 32))
    return Image.merge("RGB", [Image.radial_gradient("L").resize((40, 32))] * 3)


COLOR = small_photo()
GRAY = COLOR.convert("L")
RGBA = COLOR.copy()
RGBA.putalpha(GRAY)
MORE = {"save_all": True, "append_images": [Image.new("RGB", COLOR.size, "red"), COLOR]}
DEEP = Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 257)


def described() -> dict[str, bytes]:
    "Metadata of every sort, to be damaged as well."
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Agfa"
    exif[ExifTags.Base.ExifOffset] = {ExifTags.Base.ExposureTime: 0.25}
    exif[ExifTags.Base.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return {
        "exif": exif.tobytes(),
        "xmp": b'<x:xmpmeta tiff:Orientation="6">Oma</x:xmpmeta>',
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }


# Kind -> picture, Pillow's name of the format, options.
KINDS = {
    "a.jpg": (COLOR, "JPEG", described() | {"dpi": (300, 300)}),
    "gray progressive.jpg": (GRAY, "JPEG", {"progressive": True, "comment": b"Am See"}),
    "cmyk.jpg": (COLOR.convert("CMYK"), "JPEG", {"icc_profile": described()["icc_profile"]}),
    "a.mpo": (COLOR, "MPO", MORE),
    "a.png": (COLOR, "PNG", described() | {"dpi": (300, 300)}),
    "rgba.png": (RGBA, "PNG", {}),
    "palette.png": (COLOR.quantize(16), "PNG", {"transparency": 3}),
    "bits.png": (COLOR.convert("1"), "PNG", {}),
    "animated.png": (COLOR, "PNG", MORE),
    "16 bit.png": (DEEP, "PNG", {}),
    "a.tif": (COLOR, "TIFF", {"dpi": (300, 300), "icc_profile": described()["icc_profile"]}),
    "lzw.tif": (RGBA, "TIFF", {"compression": "tiff_lzw"}),
    "deflate.tif": (GRAY, "TIFF", {"compression": "tiff_adobe_deflate"}),
    "jpeg.tif": (COLOR, "TIFF", {"compression": "jpeg"}),
    "fax.tif": (COLOR.convert("1"), "TIFF", {"compression": "group4"}),
    "packbits.tif": (COLOR.convert("CMYK"), "TIFF", {"compression": "packbits"}),
    "pages.tif": (COLOR, "TIFF", MORE),
    "big.tif": (COLOR, "TIFF", {"big_tiff": True}),
    "16 bit.tif": (DEEP, "TIFF", {"exif": described()["exif"]}),
    "float.tif": (GRAY.convert("F"), "TIFF", {}),
    "lab.tif": (Image.merge("LAB", [GRAY] * 3), "TIFF", {}),
    "a.webp": (COLOR, "WEBP", described()),
    "lossless.webp": (RGBA, "WEBP", {"lossless": True}),
    "animated.webp": (RGBA, "WEBP", MORE),
    "a.bmp": (COLOR, "BMP", {"dpi": (300, 300)}),
    "palette.bmp": (COLOR.quantize(16), "BMP", {}),
    "a.gif": (COLOR, "GIF", {"comment": b"Am See"}),
    "animated.gif": (COLOR.quantize(16), "GIF", MORE | {"transparency": 3, "disposal": 2}),
    "a.ppm": (COLOR, "PPM", {}),
    "a.pgm": (GRAY, "PPM", {}),
    "a.pbm": (COLOR.convert("1"), "PPM", {}),
    "16 bit.pgm": (DEEP.convert("I"), "PPM", {}),
    "a.jp2": (COLOR, "JPEG2000", {}),
    "lossless.j2k": (RGBA, "JPEG2000", {"irreversible": False, "no_jp2": True}),
    "a.avif": (COLOR, "AVIF", {"speed": 10} | described()),
    "rgba.avif": (RGBA, "AVIF", {"speed": 10}),
    "a.heic": (COLOR, "HEIF", described()),
    "rgba.heic": (RGBA, "HEIF", {}),
    "a.jxl": (COLOR, "JXL", {name: described()[name] for name in ("exif", "xmp")}),
    "gray.jxl": (GRAY, "JXL", {"lossless": True}),
}


def whole(kind: str) -> bytes:
    image, name, options = KINDS[kind]
    if name == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    if extra := {"HEIF": HEIF_IMAGES, "JXL": JPEG_XL}.get(name):
        pytest.importorskip(extra.module)
        register(extra)
    Image.init()  # MPO is among the formats that Pillow loads late
    if "append_images" in options:  # saving leaves traces in a picture
        options = options | {"append_images": [more.copy() for more in options["append_images"]]}
    file = io.BytesIO()
    image.copy().save(file, name, **options)
    return file.getvalue()


# Written by hand, since Pillow writes no such files, or reads none.
PLAIN = {
    "text.ppm": b"P3 # Oma\n4 3\n255\n" + b"0 128 255\n" * 12,
    "a.dng": dng(np.asarray(GRAY).astype(np.uint16) * 257, Orientation=6, Make="Agfa"),
    "pages.pdf": pages("PDF", GRAY, COLOR, resolution=150),
    "text.pbm": b"P1\n4 3\n" + b"0 1 1 0\n" * 3,
    "float.pfm.ppm": b"Pf\n4 3\n-1.0\n" + np.linspace(0, 1, 12, dtype="<f4").tobytes(),
    "runs.bmp": (
        b"BM" + (14 + 40 + 1024 + 20).to_bytes(4, "little") + bytes(4) + (14 + 40 + 1024).to_bytes(4, "little")
        + b"".join(n.to_bytes(4, "little") for n in (40, 8, 2)) + b"\1\0\x08\0" + b"\1\0\0\0" + bytes(20)
        + bytes(range(256)) * 4 + b"\x08\x10\0\0\x03\x20\0\x05abcde\0\0\1"
    ),
}  # fmt: skip


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    "The file with one to four wounds, half of them near its beginning, where the sizes are."
    data = bytearray(data)
    for _ in range(random.integers(1, 5)):
        end = min(len(data), 256) if random.random() < 0.5 else len(data)
        at = int(random.integers(0, max(1, end)))
        size = int(2 ** random.uniform(0, 9))
        wound = random.integers(0, 7)
        if wound == 0:
            del data[at:]  # cut off
        elif wound == 1:
            del data[at : at + size]
        elif wound == 2:
            data[at:at] = data[at : at + size]
        elif wound == 3:
            data[at : at + size] = random.bytes(min(size, len(data) - at))
        elif wound == 4:
            number = random.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
            length = int(random.choice([2, 4]))
            order = str(random.choice(["little", "big"]))
            data[at : at + length] = (int(number) & (256**length - 1)).to_bytes(length, order)
        elif data:
            for offset in random.integers(at, min(len(data), at + size), random.integers(1, 9)):
                data[offset] ^= 1 << random.integers(0, 8)
    return bytes(data)
