"""One photo in, one photo out: open anything safely, keep its luma, put chroma on it, write it atomically.

A colorizer only adds chroma. `open_photo` takes a file apart into what stays (luma in full resolution and depth,
alpha, EXIF, XMP, resolution) and what the network wants to see; `Photo.merge` puts the predicted chroma on the luma,
and `save_photo` writes the result in the format that the photo came in.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from .bt601 import CHROMA_TO_RGB, LUMA_WEIGHTS
from .files import atomic_path

# Named, so that no exotic decoder (EPS starts a program) ever sees an untrusted file.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "MPO")
EXTENSIONS = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
        ".bmp",
        ".gif",
        ".pgm",
        ".ppm",
        ".pbm",
        ".jp2",
        ".avif",
    )
)
UNREADABLE = {
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".svg": "SVG",
    ".eps": "EPS",
    ".pdf": "PDF",
    ".psd": "PSD",
    ".dng": "camera raw",
    ".cr2": "camera raw",
    ".nef": "camera raw",
    ".arw": "camera raw",
}
MAX_PIXELS = 150_000_000
STRIP = 1 << 20  # pixels that are merged at once
TINTED = 12  # mean distance of Cb and Cr from grey, in levels, above which a photo is in colour or sepia

# Extension -> Pillow's name, for what can be written back as it came; anything else becomes PNG.
WRITABLE = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".jp2": "JPEG2000",
    ".avif": "AVIF",
}
OPAQUE = ("JPEG", "BMP")  # formats without transparency


class BadPhoto(ValueError):
    "A file that cannot be used as a photo. The message says why."


@dataclass
class Photo:
    """A photo taken apart.

    luma: (H, W), uint8 or uint16, upright.
    alpha: of the same shape and type, or None.
    metadata: what `save_photo` writes beside the pixels: exif, xmp (bytes), dpi (pair).
    notes: what happened to it on the way that its owner may want to know.
    source: the upright picture in sRGB, mode L or RGB, where it had 8 bit; None where it had more.
    """

    luma: np.ndarray
    alpha: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        "Width and height, upright."
        return self.luma.shape[1], self.luma.shape[0]

    def grey(self) -> Image.Image:
        "What the network looks at: the luma in 8 bit (mode L)."
        return Image.fromarray(self.luma if self.luma.dtype == np.uint8 else (self.luma >> 8).astype(np.uint8))

    def merge(self, cbcr: np.ndarray) -> np.ndarray:
        """The photo in colour: (H, W, 3) of the luma's type, alpha left out.

        `cbcr`: (2, h, w) float in [-0.5, 0.5] of any size; stretched to the photo's. Where luma and chroma together
        leave the gamut the chroma gives way, so that luma stays within one level and hue is kept.
        """
        bands = [Image.fromarray(np.ascontiguousarray(band, np.float32)) for band in cbcr]
        colour = np.empty((*self.luma.shape, 3), self.luma.dtype)
        for top, bottom, luma in _strips(self.luma):
            # Stretching only this strip's part keeps the floats small on a huge scan.
            box = (
                0,
                top / self.luma.shape[0] * bands[0].height,
                bands[0].width,
                bottom / self.luma.shape[0] * bands[0].height,
            )
            size = (self.luma.shape[1], bottom - top)
            cb, cr = (np.asarray(band.resize(size, Image.Resampling.BILINEAR, box=box)) for band in bands)
            merge = _merge_8bit if luma.dtype == np.uint8 else _merge_16bit
            colour[top:bottom] = merge(luma, cb, cr)
        return colour


def _strips(luma: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    rows = max(1, STRIP // luma.shape[1])
    for top in range(0, luma.shape[0], rows):
        bottom = min(top + rows, luma.shape[0])
        yield top, bottom, luma[top:bottom]


def _merge_8bit(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    "By Pillow's integer YCbCr; exact arithmetic only where a channel was clipped."
    bands = [Image.fromarray(luma)]
    bands += [Image.fromarray(np.rint(band * 255 + 128).clip(0, 255).astype(np.uint8)) for band in (cb, cr)]
    rgb = np.array(Image.merge("YCbCr", bands).convert("RGB"))
    clipped = ((rgb == 0) | (rgb == 255)).any(-1)
    if clipped.any():
        rgb[clipped] = np.rint(_within_gamut(luma[clipped].astype(np.float32), cb[clipped], cr[clipped], 255))
    return rgb


def _merge_16bit(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    return np.rint(_within_gamut(luma.astype(np.float32), cb, cr, 65535)).astype(np.uint16)


def _within_gamut(y: np.ndarray, cb: np.ndarray, cr: np.ndarray, white: int) -> np.ndarray:
    "RGB (..., 3) in [0, white] of luma in [0, white] and chroma in [-0.5, 0.5], the chroma scaled down until it fits."
    offset = np.stack([(b * cb + r * cr) * white for b, r in CHROMA_TO_RGB], -1)
    y = y[..., None]
    room = np.where(offset > 0, white - y, y)
    scale = (room / np.maximum(np.abs(offset), 1e-6)).min(-1, keepdims=True).clip(0, 1)
    return (y + offset * scale).clip(0, white)


@contextmanager
def _opened(file: Path | BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    "A Pillow image of the known formats, its size checked before anything is decoded; every failure is a `BadPhoto`."
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise BadPhoto(
                    f"too large: {image.width} x {image.height} is more than {max_pixels:,} pixels "
                    "(--max-pixels raises the limit)"
                )
            yield image
    except BadPhoto:
        raise
    except UnidentifiedImageError as error:
        raise BadPhoto("not a photo, or in a format that is not supported") from error
    except Image.DecompressionBombError as error:
        raise BadPhoto(f"too large: more pixels than Pillow decodes ({error})") from error
    except MemoryError as error:
        raise BadPhoto("too large for this machine's memory") from error
    except OSError as error:
        if error.errno:  # from the file system: no such file, permission, is a directory
            raise BadPhoto(error.strerror) from error
        raise BadPhoto(f"damaged or truncated ({error})") from error
    except Exception as error:  # decoders meet broken files with whatever exception comes first
        raise BadPhoto(f"damaged ({type(error).__name__}: {error})") from error


def read_rgb(file: Path | bytes, short_side: int) -> Image.Image:
    """A photo for training: upright, RGB, its short side `short_side` pixels, the long one at most three times that.

    Raises:
        BadPhoto: not a photo, truncated, or too large.
    """
    with _opened(io.BytesIO(file) if isinstance(file, bytes) else file, MAX_PIXELS) as image:
        image.draft("RGB", (2 * short_side, 2 * short_side))  # JPEG decodes at a fraction of its size for less
        image = ImageOps.exif_transpose(image).convert("RGB")
        scale = short_side / min(image.size)
        width, height = (min(max(short_side, round(side * scale)), 3 * short_side) for side in image.size)
        return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)


def open_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read and take apart a photo file of any kind that Pillow knows, from any colour mode, in 8 or 16 bit.

    Raises:
        BadPhoto: not a photo, damaged, too large, or unreadable.
    """
    path = Path(path)
    if kind := UNREADABLE.get(path.suffix.lower()):
        raise BadPhoto(f"{kind} files are not supported; convert it to JPEG, PNG or TIFF first")
    with _opened(path, max_pixels) as image:
        deep = _deep_rgb(path, image)
        if deep is not None:
            photo = _from_deep(_TURNS.get(image.getexif().get(ExifTags.Base.Orientation), np.asarray)(deep))
            if "icc_profile" in image.info:
                photo.notes.append("its colour profile was ignored, as always in 16 bit a channel")
        else:
            image.load()
            photo = take_apart(image)
        if getattr(image, "n_frames", 1) > 1:
            photo.notes.append(f"only the first of {image.n_frames} pictures in the file")
        return _with_metadata(photo, image)


def take_apart(image: Image.Image) -> Photo:
    "A Pillow image of any mode, turned upright and brought to sRGB, as a `Photo` without metadata."
    notes = []
    image = _upright(image, notes)
    if image.mode.startswith("I;16"):
        return Photo(np.asarray(image).astype(np.uint16), notes=notes)
    if image.mode in ("I", "F"):
        return Photo(_numbers_to_16bit(image, notes), notes=notes)
    alpha = None
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"))
        image = _keep_info(rgba.convert("RGB"), image) if image.mode in ("P", "LA", "PA") else image
    image = _to_srgb(image, notes)
    if image.mode == "L":
        luma = np.asarray(image)
    else:
        luma = np.asarray(image.convert("L"))  # rounds, where the YCbCr conversion cuts off
        _, cb, cr = image.convert("YCbCr").split()
        small = [np.asarray(band.resize((32, 32), Image.Resampling.BOX), np.float32) for band in (cb, cr)]
        if sum(np.abs(band - 128).mean() for band in small) > TINTED:
            notes.append("had colours or a tint of its own, which are replaced")
    return Photo(luma, alpha, notes=notes, source=image)


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is written by cameras and phones of all qualities
        notes.append("its EXIF data is damaged and was dropped")
        image.info.pop("exif", None)
        return image


def _keep_info(image: Image.Image, source: Image.Image) -> Image.Image:
    image.info = dict(source.info)
    return image


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    "The image as L or RGB, in sRGB."
    if profile := image.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            base = image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")
            return ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.append("its colour profile is damaged or does not fit and was ignored")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode in ("1", "LA") else "RGB")


def _numbers_to_16bit(image: Image.Image, notes: list[str]) -> np.ndarray:
    "32-bit integers or floats as 16-bit luma. What is black and what white, such files do not say."
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0, posinf=0, neginf=0)
    if image.mode == "I" and image.format in ("PPM", "PNG") and values.max() <= 65535:
        return values.clip(0).astype(np.uint16)  # these formats hold 16 bit at most
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        notes.append(f"its values, {low:g} to {high:g}, were stretched from black to white")
    return np.rint((values - low) / max(high - low, 1e-12) * 65535).astype(np.uint16)


def _deep_rgb(path: Path, image: Image.Image) -> np.ndarray | None:
    "The pixels (H, W, channels), uint16, of a PNG or TIFF whose 16 bit a channel Pillow would cut to 8; else None."
    if image.format == "PNG" and image.mode in ("RGB", "RGBA", "LA"):
        with path.open("rb") as file:
            if file.read(26)[24:25] != b"\x10":
                return None
        import torchvision

        return torchvision.io.decode_image(str(path), torchvision.io.ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA") and max(image.tag_v2.get(258, (8,))) == 16:
        import tifffile

        pixels = tifffile.imread(path, key=0)
        return pixels if pixels.ndim == 3 and pixels.dtype == np.uint16 and pixels.shape[2] in (3, 4) else None
    return None


# What EXIF orientation asks for, on arrays (H, W, C).
_TURNS = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


def _from_deep(pixels: np.ndarray) -> Photo:
    has_alpha = pixels.shape[2] in (2, 4)
    colour = pixels[..., :-1] if has_alpha else pixels
    luma = np.empty(pixels.shape[:2], np.uint16)
    for top, bottom, strip in _strips(luma):
        rows = colour[top:bottom].astype(np.float32)
        strip[:] = rows[..., 0] if rows.shape[2] == 1 else np.rint(rows @ np.array(LUMA_WEIGHTS, np.float32))
    return Photo(luma, np.ascontiguousarray(pixels[..., -1]) if has_alpha else None)


def _with_metadata(photo: Photo, image: Image.Image) -> Photo:
    "The photo with what of the file's metadata still holds: it is upright now and in sRGB."
    metadata = {}
    try:
        exif = image.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        if image.format == "TIFF":  # its tags describe the old pixels' layout; only the true EXIF part is kept
            kept = Image.Exif()
            for tag in (
                ExifTags.Base.Make,
                ExifTags.Base.Model,
                ExifTags.Base.DateTime,
                ExifTags.Base.Artist,
                ExifTags.Base.Copyright,
                ExifTags.Base.ImageDescription,
            ):
                if tag in exif:
                    kept[tag] = exif[tag]
            exif = kept
        if len(exif):
            metadata["exif"] = exif.tobytes()
    except Exception:
        photo.notes.append("its EXIF data is damaged and was dropped")
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, (bytes, str)):
        metadata["xmp"] = xmp.encode() if isinstance(xmp, str) else xmp
    dpi = image.info.get("dpi")
    try:
        if dpi and all(0 < float(d) < 1e5 for d in dpi):
            metadata["dpi"] = tuple(float(d) for d in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        pass
    return replace(photo, metadata=metadata)


def output_name(name: str) -> str:
    "The name of a result: that of the photo where its format can be written, else with `.png` added."
    return name if Path(name).suffix.lower() in WRITABLE else name + ".png"


def save_photo(colour: np.ndarray, photo: Photo, path: Path) -> None:
    """Write `colour` (H, W, 3), uint8 or uint16, with the photo's alpha and metadata, atomically.

    The format follows the extension of `path`. 16 bit stay 16 bit in PNG and TIFF; JPEG and others get 8.

    Raises:
        OSError: the disk is full, the folder cannot be written to, ...
    """
    kind = WRITABLE[path.suffix.lower()]
    alpha = None if kind in OPAQUE else photo.alpha
    pixels = colour if alpha is None else np.dstack([colour, alpha])
    with atomic_path(path) as temporary:
        if pixels.dtype == np.uint16 and kind == "PNG":
            temporary.write_bytes(_png16(pixels, photo.metadata))
        elif pixels.dtype == np.uint16 and kind == "TIFF":
            _write_tiff16(temporary, pixels, photo.metadata)
        else:
            if pixels.dtype == np.uint16:
                pixels = (pixels >> 8).astype(np.uint8)
            _save_8bit(Image.fromarray(pixels), temporary, kind, photo.metadata)


def _save_8bit(image: Image.Image, path: Path, kind: str, metadata: dict[str, Any]) -> None:
    options = {
        "JPEG": {"quality": 95},
        "WEBP": {"quality": 95},
        "TIFF": {"compression": "tiff_deflate"},
        "JPEG2000": {"quality_mode": "dB", "quality_layers": [50]},
        "AVIF": {"quality": 90},
    }.get(kind, {})
    if kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        options |= {k: metadata[k] for k in ("exif", "dpi") if k in metadata}
    if "xmp" in metadata and kind in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = metadata["xmp"]
    if "xmp" in metadata and kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode("utf-8", "replace"))
    image.save(path, kind, **options)


def _png16(pixels: np.ndarray, metadata: dict[str, Any]) -> bytes:
    "A 16-bit RGB or RGBA PNG, which Pillow cannot write. Each row holds its difference to the one above (filter 2)."
    height, width, channels = pixels.shape
    big_endian = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    rows = np.full((height, big_endian.shape[1] + 1), 2, np.uint8)
    rows[0, 1:] = big_endian[0]
    rows[1:, 1:] = big_endian[1:] - big_endian[:-1]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    chunks = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)),
        chunk(b"sRGB", b"\0"),
    ]
    if "dpi" in metadata:
        chunks.append(chunk(b"pHYs", struct.pack(">IIB", *(round(d / 0.0254) for d in metadata["dpi"]), 1)))
    if "exif" in metadata:
        chunks.append(chunk(b"eXIf", metadata["exif"].removeprefix(b"Exif\0\0")))
    if "xmp" in metadata:
        chunks.append(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata["xmp"]))
    chunks += [chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _write_tiff16(path: Path, pixels: np.ndarray, metadata: dict[str, Any]) -> None:
    import tifffile

    options = {"resolution": metadata["dpi"], "resolutionunit": "INCH"} if "dpi" in metadata else {}
    if "xmp" in metadata:
        options["extratags"] = [(700, "B", len(metadata["xmp"]), metadata["xmp"], True)]
    extra = ["unassalpha"] if pixels.shape[2] == 4 else None
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", metadata=None, extrasamples=extra, **options)
