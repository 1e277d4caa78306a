"Reads a file as a `Photo`. Whatever is wrong with the file is raised as `BadPhoto`."

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ..limits import MAX_PIXELS
from .extras import HEIF_IMAGES, JPEG_XL, PDFS, RAWS, Extra, extra_for, jpeg_xl_size, register
from .formats import FORMATS, RAW, UNREADABLE
from .metadata import DAMAGED, Tag, read_metadata
from .pdf import open_pdf, pdf_sizes, render_page
from .raw import raw_size, read_raw
from .types import MAX_PAGES, BadPhoto, Photo, check_size, luma_16bit

TINTED = 12  # mean distance of Cb and Cr from 0, in levels, above which a photo counts as in colour or sepia
READ_AT_ONCE = 8 << 20  # bytes; after each block the decoder gives way to other threads
THUMBNAIL_OR_MASK = 0b101  # bits of NewSubfileType in a TIFF
TINTED_NOTE = "had colours or a tint of its own, which are replaced"


@contextmanager
def _told_as_bad_photo() -> Iterator[None]:
    "Every failure inside is a `BadPhoto`."
    try:
        yield
    except BadPhoto:
        raise
    except UnidentifiedImageError as error:
        raise BadPhoto("not a photo, or in a format that is not supported") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPhoto(f"too large: more pixels than Pillow decodes ({error})") from error
    except MemoryError as error:
        raise BadPhoto("too large for this machine's memory") from error
    except OSError as error:
        if error.errno:  # from the file system: no such file, permission, is a directory
            raise BadPhoto(error.strerror) from error
        raise BadPhoto(f"damaged or truncated ({error})") from error
    except Exception as error:  # decoders raise many types of exceptions on broken files
        raise BadPhoto(f"damaged ({type(error).__name__}: {' '.join(str(error).split())})") from error


def _open_stream(file: Path | BinaryIO) -> BinaryIO:
    if not isinstance(file, Path):
        return file
    if file.exists() and not file.is_file():  # opening a pipe would block
        raise BadPhoto("not a file")
    if file.stat().st_size == 0:
        raise BadPhoto("the file is empty")
    # A stream: given a path, Pillow maps a TIFF into memory, and garbles it if it has to be rotated.
    return file.open("rb")


@contextmanager
def _opened(file: Path | BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    "A Pillow image of one of our formats, its size checked before it is decoded; every failure is a `BadPhoto`."
    with _told_as_bad_photo(), _open_stream(file) as stream, _open_image(stream, file, max_pixels) as image:
        check_size(*image.size, max_pixels)
        yield image


def _open_image(stream: BinaryIO, file: Path | BinaryIO, max_pixels: int) -> Image.Image:
    "A Pillow image, not yet decoded, by what the stream holds; the name of the file only explains a failure."
    try:
        return Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError:
        stream.seek(0)
        extra = extra_for(stream.read(16))
        if extra in (HEIF_IMAGES, JPEG_XL):
            return _open_with_plugin(stream, extra, max_pixels)
        suffix = file.suffix.lower() if isinstance(file, Path) else ""
        if kind := extra.title if extra else UNREADABLE.get(suffix):
            raise BadPhoto(f"{kind} files are not supported; convert it to JPEG, PNG or TIFF first") from None
        raise


def _open_with_plugin(stream: BinaryIO, extra: Extra, max_pixels: int) -> Image.Image:
    name = register(extra)
    stream.seek(0)
    if extra is JPEG_XL:
        check_size(*jpeg_xl_size(stream.read()), max_pixels)
        stream.seek(0)
    try:
        return Image.open(stream, formats=(name,))
    except (UnidentifiedImageError, RuntimeError) as error:
        raise BadPhoto(f"damaged, or not a whole {extra.title} file") from error


def read_rgb(file: Path | bytes, short_side: int) -> Image.Image:
    """A photo for training: RGB, upright, its short side `short_side` pixels; cropped to the middle if the long side is
    more than three times that.

    Raises:
        BadPhoto: not a photo, truncated, or too large.
    """
    with _opened(io.BytesIO(file) if isinstance(file, bytes) else file, MAX_PIXELS) as image:
        image.draft("RGB", (2 * short_side, 2 * short_side))  # a JPEG is decoded at a reduced size, which is faster
        image.load()
        if image.mode.startswith(("I", "F")):
            image = photo_from_image(image).gray()  # Pillow would clip what is above 255
        image = _upright(image, []).convert("RGB")
        shortest = min(image.size)
        width, height = (min(side, 3 * shortest) for side in image.size)  # a panorama is cropped
        left, top = (image.width - width) / 2, (image.height - height) / 2
        size = tuple(max(short_side, round(side * short_side / shortest)) for side in (width, height))
        box = (left, top, left + width, top + height)
        return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3)


def open_in_color(path: Path, short_side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A photo with its colours, upright, RGB or L. One of 16 bit a channel is reduced to `short_side` pixels.

    Raises:
        BadPhoto: as `open_photo`; or it is camera raw, of which only luma is read.
    """
    photo = open_photo(path, max_pixels, keep_source=True)
    if photo.source is None and path.suffix.lower() in RAW:
        raise BadPhoto("camera raw is read without its colours: develop it first")
    return photo.source or read_rgb(path, short_side)


def upright_size(file: Path | bytes) -> tuple[int, int]:
    """Width and height of a photo as it is seen, by the file's header.

    Raises:
        BadPhoto: not a photo.
    """
    with _opened(io.BytesIO(file) if isinstance(file, bytes) else file, sys.maxsize) as image:
        return image.size[::-1] if _orientation(image, []) in SIDEWAYS else image.size


def count_pixels(path: Path) -> int:
    "The number of pixels according to the file's header, of its largest page; 0 if it is no photo."
    try:
        with open_pages(path) as pages:
            return max(width * height for width, height in (page.size for page in pages))
    except BadPhoto:
        return 0


def open_photo(path: Path, max_pixels: int = MAX_PIXELS, keep_source: bool = False) -> Photo:
    """Read a photo file of any format, any colour mode, 8 or 16 bit a channel. Of several pages, the first.

    `keep_source`: keep the image itself, too, as `Photo.source`.

    Raises:
        BadPhoto: not a photo, damaged, too large, or unreadable; `MissingExtra` if its format needs a package.
    """
    with open_pages(path, max_pixels, keep_source) as pages:
        photo = pages[0].read()
        if len(pages) > 1:
            photo.notes.append(f"only the first of the {len(pages)} pages in the file")
        return photo


@dataclass(frozen=True)
class Page:
    """A page of an open file.

    size: width and height before it is turned upright; 0 x 0 if it is damaged.
    read: reads it; raises `BadPhoto` if it is damaged or too large, which costs no other page.
    """

    size: tuple[int, int]
    read: Callable[[], Photo]


@contextmanager
def open_pages(path: Path, max_pixels: int = MAX_PIXELS, keep_source: bool = False) -> Iterator[list[Page]]:
    """The pages of a file: several of a TIFF or PDF, one of any other. One is in memory at a time.

    Raises:
        BadPhoto: as `open_photo`, where the file as a whole cannot be read.
    """
    path = Path(path)
    with ExitStack() as stack:
        with _told_as_bad_photo():
            stream = stack.enter_context(_open_stream(path))
            extra = extra_for(stream.read(16), path.suffix)
            stream.seek(0)
            if extra is RAWS:
                pages = [Page(raw_size(stream), partial(read_raw, stream, max_pixels))]
            elif extra is PDFS:
                document = stack.enter_context(open_pdf(stream))
                pages = [
                    Page(size, partial(_read_pdf_page, document, number, max_pixels, keep_source))
                    for number, size in enumerate(pdf_sizes(document))
                ]
            elif extra is JPEG_XL:
                register(extra)
                size = jpeg_xl_size(stream.read())
                pages = [Page(size, partial(_read_jpeg_xl, stream, path, max_pixels, keep_source))]
            else:
                image = stack.enter_context(_open_image(stream, path, max_pixels))
                pages = [
                    Page(size, partial(_read_picture, image, path, number, max_pixels, keep_source))
                    for number, size in _pictures(image)
                ]
        yield [replace(page, read=_told_as_bad_photo()(page.read)) for page in pages]


def _pictures(image: Image.Image) -> list[tuple[int, tuple[int, int]]]:
    "Number and size of each picture of a TIFF that is a page, no thumbnail or mask; of other files, the first one."
    if image.format != "TIFF":
        return [(0, image.size)]
    found = []
    try:
        for number in range(MAX_PAGES):
            _seek(image, number)
            if not image.tag_v2.get(Tag.NewSubfileType, 0) & THUMBNAIL_OR_MASK:
                found.append((number, image.size))
    except EOFError:
        return found or [(0, image.size)]
    except Exception:  # reading it fails in the same way
        return [*found, (number, (0, 0))]
    raise BadPhoto(f"more than {MAX_PAGES} pages")


def _seek(image: Image.Image, number: int) -> None:
    "Turn to a picture of a TIFF."
    image.seek(number)
    if Tag.InterColorProfile not in image.tag_v2:
        image.info.pop("icc_profile", None)  # of the picture before


def _read_picture(image: Image.Image, path: Path, number: int, max_pixels: int, keep_source: bool) -> Photo:
    "One of the pictures in a file that Pillow has opened."
    if image.format == "TIFF":
        _seek(image, number)
    check_size(*image.size, max_pixels)
    image.decodermaxblock = READ_AT_ONCE
    if _is_16bit_color(image):
        notes = []
        photo = _from_16bit(_16bit_pixels(path, image, notes), image, notes)
    elif not keep_source and image.format in ("JPEG", "MPO") and _holds_luma(image):
        photo = _from_jpeg(image)
    else:
        photo = photo_from_image(image)
        photo.source = photo.source if keep_source else None
    photo.metadata = read_metadata(image, photo.notes)
    if "dpi" in photo.metadata and _orientation(image, []) in SIDEWAYS:
        photo.metadata["dpi"] = photo.metadata["dpi"][::-1]
    if image.format != "TIFF" and _has_more(image):
        photo.notes.append("only the first of the pictures in the file")
    return photo


def _read_jpeg_xl(stream: BinaryIO, path: Path, max_pixels: int, keep_source: bool) -> Photo:
    "The picture of a JPEG XL, opened only now: Pillow's plugin decodes it by that."
    stream.seek(0)
    with _open_image(stream, path, max_pixels) as image:
        return _read_picture(image, path, 0, max_pixels, keep_source)


def _read_pdf_page(document: Any, number: int, max_pixels: int, keep_source: bool) -> Photo:
    image, dpi, notes = render_page(document, number, max_pixels)
    photo = photo_from_image(image)
    photo.source = photo.source if keep_source else None
    photo.metadata["dpi"] = dpi
    photo.notes += notes
    return photo


def _holds_luma(image: Image.Image) -> bool:
    "Whether a JPEG's first channel is luma in sRGB: not if it has another profile, or stores RGB."
    profile = image.info.get("icc_profile")
    as_rgb = image.info.get("adobe_transform") == 0 or [layer[0] for layer in image.layer] == list(b"RGB")
    if profile is not None and not (image.mode == "RGB" and _is_srgb(profile)):
        return False
    return image.mode == "L" or (image.mode == "RGB" and not as_rgb)


BAD_PROFILE = "its colour profile is damaged or does not fit and was ignored"
PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)  # of such a one


def _is_srgb(profile: bytes) -> bool:
    "Whether a profile changes no colour by more than two levels. Its name does not tell: many are wrong."
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    try:
        source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(Image.fromarray(colors), source, srgb)
    except PROFILE_ERRORS:
        return False
    return np.abs(np.asarray(shown, int) - colors).max() <= 2


def _from_jpeg(image: Image.Image) -> Photo:
    "The luma as the file stores it, without a conversion to RGB and back."
    notes = []
    image.draft("YCbCr", image.size)  # a grayscale one stays so
    image = _upright(image, notes)
    if image.mode == "YCbCr" and _is_tinted(image):
        notes.append(TINTED_NOTE)
    return Photo(np.asarray(image.getchannel(0)), notes=notes)


def _is_tinted(image: Image.Image) -> bool:
    "Whether a YCbCr image has colours, by a sample of some ten thousand of its pixels, averaged against noise."
    few = image.resize([min(side, 128) for side in image.size], Image.Resampling.NEAREST)
    cbcr = np.asarray(few.resize((32, 32), Image.Resampling.BOX), np.float32)[..., 1:] - 128
    return np.abs(cbcr).mean((0, 1)).sum() > TINTED


def _has_more(image: Image.Image) -> bool:
    try:
        return getattr(image, "is_animated", False)
    except Exception:  # damage behind the first image, which is all that is needed
        return False


def photo_from_image(image: Image.Image) -> Photo:
    "A Pillow image of any mode as a `Photo` without metadata: upright, in sRGB."
    if 0 in image.size:
        raise BadPhoto("it has no pixels")
    notes = []
    image.load()
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep_gray(image, notes)
    image = _upright(image, notes)
    alpha = None
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"))
        image = rgba.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    image = _to_srgb(image, profile, notes)
    if image.mode == "L":
        luma = np.asarray(image)
    else:
        luma = np.asarray(image.convert("L"))  # rounds; the conversion to YCbCr truncates
        if _is_tinted(image.convert("YCbCr")):
            notes.append(TINTED_NOTE)
    return Photo(luma, alpha, notes=notes, source=image)


SIDEWAYS = (5, 6, 7, 8)  # orientations with width and height exchanged
# What makes a picture of each orientation from 2 on upright.
TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
UPRIGHT = {orientation: Image.Transpose[name] for orientation, name in enumerate(TURNS, 2)}


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    "The image, or a rotated copy if its EXIF data asks for that."
    orientation = _orientation(image, notes)
    return image if orientation == 1 else image.transpose(UPRIGHT[orientation])


def _orientation(image: Image.Image, notes: list[str]) -> int:
    "As in EXIF, 1 to 8; 1 for a picture that its decoder has turned already, or whose EXIF data is damaged."
    if image.format == "JXL" and not image.jpeg:
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
        return found if found in range(1, 9) else 1
    except Exception:  # EXIF of cameras and phones is often damaged, in many ways
        notes.append(DAMAGED)
        return 1


def _to_srgb_strictly(image: Image.Image, profile: bytes) -> Image.Image:
    "The image as L or RGB in sRGB, as its profile has it. Raises whatever Pillow does."
    if image.mode == "L":
        return image.point(_gray_curve(profile).tolist())
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    base = image if image.mode == "CMYK" and source.profile.xcolor_space != "RGB " else image.convert("RGB")
    return ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")


def _gray_curve(profile: bytes) -> np.ndarray:
    "The gray in sRGB, 0 to 255, for each of the levels 0 to 255 (256,) by a profile. Raises whatever Pillow does."
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    # A grayscale image may have the profile of a colour one.
    base = levels if source.profile.xcolor_space == "GRAY" else levels.convert("RGB")
    # What LittleCMS optimises is wrong by up to ten levels where a curve is steep.
    exact = ImageCms.Flags.NOOPTIMIZE
    shown = ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB", flags=exact)
    return np.asarray(shown.convert("L"))[0]


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    "The image as L or RGB, in sRGB."
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if profile and not (image.mode in ("L", "RGB") and _is_srgb(profile)):
        try:
            return _to_srgb_strictly(image, profile)
        except PROFILE_ERRORS:
            notes.append(BAD_PROFILE)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


# 16 bit a channel: Pillow reads such grayscale images, but reduces colour ones to 8 bit. Nor does it convert either to
# sRGB, so only the tones are converted.


def _from_deep_gray(image: Image.Image, notes: list[str]) -> Photo:
    "A grayscale image of 16 bit, or of 32 bit, which get 16."
    upright, alpha = _upright(image, notes), None
    if upright.mode.startswith("I;16"):
        luma = np.asarray(upright).astype(np.uint16)
        alpha = _alpha_16bit(luma[..., None], image)
    elif image.format in ("PPM", "PNG"):  # in which mode I goes from 0 to 65535
        luma = np.asarray(upright).clip(0, 65535).astype(np.uint16)
    else:
        luma = _numbers_to_16bit(upright, notes)
    if image.format == "TIFF":
        luma = _apply_tiff_tags(luma, image)
    return Photo(_tones_in_srgb(luma, image, notes), alpha, notes=notes)


def _tones_in_srgb(luma: np.ndarray, image: Image.Image, notes: list[str]) -> np.ndarray:
    "16-bit luma with the tones that the profile of its image gives to grays."
    if not (profile := image.info.get("icc_profile")):
        return luma
    levels = np.arange(256)
    try:
        shown = _gray_curve(profile).astype(float)
    except PROFILE_ERRORS:
        notes.append(BAD_PROFILE)
        return luma
    if np.abs(shown - levels).max() <= 2:
        return luma
    from scipy.interpolate import PchipInterpolator

    knots = [0]  # 8 bit are too coarse for a smooth curve through all levels
    for level in levels[1:]:
        if level - knots[-1] >= 8 or shown[level] - shown[knots[-1]] >= 8 or level == 255:
            knots.append(level)
    curve = PchipInterpolator(np.array(knots) * 257, shown[knots] * 257)(np.arange(65536))
    return np.rint(curve).clip(0, 65535).astype(np.uint16)[luma]


def _numbers_to_16bit(image: Image.Image, notes: list[str]) -> np.ndarray:
    "32-bit integers or floats as 16-bit luma. Such files do not say which values are black and white."
    with np.errstate(invalid="ignore"):  # NaN among floats
        values = np.asarray(image, np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        notes.append(f"its values, {low:g} to {high:g}, were stretched from black to white")
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return np.rint((values - low) / max(high - low, 1e-12) * 65535).astype(np.uint16)


def _apply_tiff_tags(luma: np.ndarray, image: Image.Image) -> np.ndarray:
    "The 16-bit luma of a TIFF by its tags, which Pillow ignores: 12 bit may be used, or 0 be white."
    if image.tag_v2.get(ExifTags.Base.BitsPerSample) == (12,):
        luma = luma << 4 | luma >> 8
    if image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0:
        luma = 65535 - luma
    return luma


def _is_16bit_color(image: Image.Image) -> bool:
    "Whether this is a colour image with 16 bit a channel, before it is loaded."
    if image.format == "TIFF":
        return image.mode in ("RGB", "RGBA") and set(image.tag_v2.get(ExifTags.Base.BitsPerSample, ())) == {16}
    return image.format == "PNG" and image.mode in ("RGB", "RGBA") and ";16" in image.tile[0].args


def _16bit_pixels(path: Path, image: Image.Image, notes: list[str]) -> np.ndarray:
    """The pixels (H, W, channels), uint16, upright.

    Pillow unpacks the upper byte of each sample; with the byte order reversed, it unpacks the lower one.
    """
    if image.tile[0].args == "LA;16B":  # cannot be reversed, but has as many bytes a pixel as RGBA
        gray, gray_lower, alpha, alpha_lower = np.moveaxis(_unpacked(image, "RGBA", notes), -1, 0)
        return np.stack([_joined(gray, gray_lower), _joined(alpha, alpha_lower)], -1)
    upper = _unpacked(image, ";16B" if _is_big_endian(image) else ";16L", notes)
    with path.open("rb") as stream, Image.open(stream, formats=(image.format,)) as again:
        again.seek(image.tell())
        lower = _unpacked(again, ";16L" if _is_big_endian(again) else ";16B", [])
    pixels = _joined(upper, lower)
    if image.format == "TIFF" and image.tag_v2.get(ExifTags.Base.ExtraSamples) == (1,):
        opacity = np.maximum(pixels[..., 3:], 1) / np.float32(65535)  # premultiplied alpha
        pixels[..., :3] = np.minimum(pixels[..., :3] / opacity, 65535)
    return pixels


def _is_big_endian(image: Image.Image) -> bool:
    if image.format == "PNG":
        return True
    if image.tile[0].codec_name == "libtiff":  # decodes to this machine's order
        return sys.byteorder == "big"
    return image.tag_v2.prefix == b"MM"


def _unpacked(image: Image.Image, order: str, notes: list[str]) -> np.ndarray:
    "Upright bytes of an image, unpacked by `order`: a raw mode of Pillow, or its suffix."
    tiles = []
    for tile in image.tile:
        rawmode, *rest = (tile.args,) if isinstance(tile.args, str) else tile.args
        channels = rawmode.split(";")[0].replace("a", "A")  # premultiplied alpha: left as it is here
        tiles.append(tile._replace(args=(channels + order if order.startswith(";") else order, *rest)))
    image.tile = tiles
    image.load()
    return np.asarray(_upright(image, notes))


def _joined(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    pixels = upper.astype(np.uint16)
    pixels <<= 8
    pixels |= lower
    return pixels


def _from_16bit(pixels: np.ndarray, image: Image.Image, notes: list[str]) -> Photo:
    has_alpha = pixels.shape[2] in (2, 4)
    color = pixels[..., :-1] if has_alpha else pixels
    alpha = np.ascontiguousarray(pixels[..., -1]) if has_alpha else _alpha_16bit(color, image)
    return Photo(_tones_in_srgb(luma_16bit(color), image, notes), alpha, notes=notes)


def _alpha_16bit(pixels: np.ndarray, image: Image.Image) -> np.ndarray | None:
    "The alpha of a PNG (H, W, channels) that declares one colour transparent."
    if "transparency" not in image.info:
        return None
    return np.where((pixels == np.array(image.info["transparency"])).all(-1), 0, 65535).astype(np.uint16)
