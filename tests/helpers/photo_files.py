"""Photo files of many kinds, made in memory: whole ones, turned ones, 16-bit ones, and broken ones."""

import io
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Tag = ExifTags.Base


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def mean_difference(a: Image.Image, b: Image.Image) -> float:
    "Mean over the pixels, in levels."
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b)).mean())


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(pixels: np.ndarray, *before: bytes) -> bytes:
    "A PNG of (H, W, channels) in 8 or 16 bit, with other chunks before its pixels."
    height, width, channels = pixels.shape
    depth, colors = 8 * pixels.dtype.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colors, 0, 0, 0))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *before, chunk(b"IDAT", data), chunk(b"IEND", b"")))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def orientation(value: int, **tags) -> Image.Exif:
    exif = Image.Exif()
    exif[Tag.Orientation] = value
    for name, text in tags.items():
        exif[Tag[name]] = text
    return exif


# What is no photo, or a broken one.

SAMPLE = noise(24, 18, 3)


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 0xFF]) + data[offset + 1 :]


def damaged_pixels(pixels: np.ndarray) -> bytes:
    data = png(pixels)
    return flipped(data, data.index(b"IDAT") + 40)


BROKEN = {
    "empty.jpg": (b"", "empty"),
    "text.jpg": (b"Dear grandmother,\nhow are you?\n", "not a photo"),
    "zeros.png": (bytes(1000), "not a photo"),
    "page.tif": (b"<!doctype html><html></html>", "not a photo"),
    "cut.jpg": (encoded(Image.fromarray(noise(64, 64, 3)), "JPEG")[:2000], "truncated"),
    "cut.png": (png(noise(64, 64, 3))[:2000], "truncated|damaged"),
    "cut16.png": (png(noise(64, 64, 3, dtype=np.uint16))[:2000], "damaged"),
    "crc.png": (damaged_pixels(SAMPLE), "damaged"),
    "crc16.png": (damaged_pixels(noise(24, 18, 3, dtype=np.uint16)), "damaged"),
    "text bomb.png": (png(SAMPLE, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))] * 70), "damaged.*text"),
    "a.heic": (b"\0\0\0\x18ftypheic", "not a whole HEIC file"),
    "a.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "not a whole JPEG XL file"),
    "a.pdf": (b"%PDF-1.4\n%%EOF", "not a whole PDF file|PDF files are not supported"),
    "text.pdf": (b"Dear grandmother", "not a photo"),
    "text.dng": (b"Dear grandmother,\n" * 10, "no camera raw file|not a photo"),
    "a.SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG files are not supported"),
    "a.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS files are not supported"),
    "heic.jpg": (b"\0\0\0\x18ftypheic" + bytes(100), "not a whole HEIC file"),
    "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a photo, or in a format that is not supported"),
    "eps.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo, or in a format that is not"),
}

COLOR = Image.fromarray(noise(12, 10, 3))
ALPHA = Image.fromarray(noise(12, 10, seed=1))


def tiff(pixels: np.ndarray, order: str = "<", planes: bool = False, data: bytes | None = None, **tags) -> bytes:
    "A plain TIFF of any kind of numbers, with more tags, or other ones, by name or number."
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    parts = np.moveaxis(pixels, 2, 0) if planes else [pixels]
    parts = [part.astype(pixels.dtype.newbyteorder(order)).tobytes() for part in parts] if data is None else [data]
    described = {
        "ImageWidth": pixels.shape[1],
        "ImageLength": pixels.shape[0],
        "BitsPerSample": (8 * pixels.dtype.itemsize,) * channels,
        "SampleFormat": ({"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],) * channels,
        "SamplesPerPixel": channels,
        "PhotometricInterpretation": 1 if channels == 1 else 2,
        "Compression": 1,
        "PlanarConfiguration": 2 if planes else 1,
        "RowsPerStrip": pixels.shape[0],
        "StripByteCounts": tuple(len(part) for part in parts),
        "StripOffsets": tuple(len(parts[0]) * i for i in range(len(parts))),
    }
    directory = ImageFileDirectory_v2({"<": b"II*\0\0\0\0\0", ">": b"MM\0*\0\0\0\0"}[order])
    for name, value in (described | tags).items():
        directory[int(name) if name.isdigit() else Tag[name]] = value
    file = io.BytesIO()
    directory.save(file)
    file.writelines(parts)
    return file.getvalue()


# Orientation, metadata and colour profiles.

UPRIGHT = np.kron(np.array([[0, 80, 160], [240, 120, 40]], np.uint8), np.ones((16, 16), np.uint8))
STORED = {  # how a camera that is held so stores the upright picture
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def oriented(kind: str, value: int) -> bytes:
    exif = orientation(value, Make="Agfa")
    stored = np.ascontiguousarray(STORED[value](UPRIGHT))
    deep = stored.astype(np.uint16) * 257
    if kind == "PNG16":
        return png(np.dstack([deep] * 3), chunk(b"eXIf", exif.tobytes()[6:]))
    if kind == "TIFF16":
        return tiff(np.dstack([deep] * 3), Orientation=value, Make="Agfa")
    if kind == "gray TIFF16":
        return encoded(Image.fromarray(deep), "TIFF", exif=exif)
    options = {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    if kind == "gray TIFF":
        return encoded(Image.fromarray(stored), "TIFF", exif=exif)
    return encoded(Image.fromarray(stored).convert("RGB"), kind, exif=exif, **options)


LOSSLESS = {".png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), ".tif": ("1", "L", "LA", "RGB", "RGBA", "I;16", "F")}
