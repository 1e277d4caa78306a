"""Photos of every kind go in, come out upright and in full, and what is broken ends in one clear sentence."""

import os
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps

from deoldify_lite.bt601 import LUMA_WEIGHTS
from deoldify_lite.photo import BadPhoto, Photo, merging, open_photo, photo_from_image, read_rgb, save_photo
from deoldify_lite.samples import sample_photos
from helpers.photo_files import (
    ALPHA,
    BROKEN,
    COLOR,
    LOSSLESS,
    SAMPLE,
    STORED,
    UPRIGHT,
    Tag,
    chunk,
    encoded,
    flipped,
    noise,
    orientation,
    oriented,
    png,
    tiff,
)

try:
    import resource
except ImportError:  # Windows
    resource = None

BOUNDED = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float64) @ np.array(LUMA_WEIGHTS)


def no_color(photo: Photo) -> np.ndarray:
    return photo.merge(np.zeros((2, 4, 4)))


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_end_in_one_sentence(tmp_path, name):
    data, sentence = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadPhoto, match=sentence) as error:
        open_photo(tmp_path / name)
    assert "\n" not in str(error.value)


def test_what_is_no_file_ends_in_one_sentence(tmp_path):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, sentence in (
        ("missing.jpg", "No such file"),
        (".", "not a file"),
        ("pipe.jpg", "not a file"),
        ("loop.jpg", "symbolic links"),
        ("x" * 300 + ".jpg", "too long"),
    ):
        with pytest.raises(BadPhoto, match=sentence):
            open_photo(tmp_path / name)


@pytest.mark.parametrize("pillow_limit", [Image.MAX_IMAGE_PIXELS, None])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch, pillow_limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    with pytest.raises(BadPhoto, match="too large"):
        open_photo(tmp_path / "a.png")


def test_pillows_warning_of_a_bomb_counts_as_too_large_where_warnings_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    (tmp_path / "a.png").write_bytes(png(noise(10, 10, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadPhoto, match="too large"):
            open_photo(tmp_path / "a.png")


def test_max_pixels_is_the_largest_size_that_is_taken(tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(10, 10, 1)))
    assert open_photo(tmp_path / "a.png", max_pixels=100).size == (10, 10)
    with pytest.raises(BadPhoto, match="10 x 10 is more than 99 pixels"):
        open_photo(tmp_path / "a.png", max_pixels=99)


def test_an_image_without_pixels():
    with pytest.raises(BadPhoto, match="no pixels"):
        photo_from_image(Image.new("L", (0, 5)))


WHOLE = {
    "JPEG": encoded(Image.fromarray(SAMPLE), "JPEG", exif=orientation(6)),
    "PNG": encoded(Image.fromarray(SAMPLE), "PNG", exif=orientation(6)),
    "PNG16": png(noise(24, 18, 3, dtype=np.uint16)),
    "TIFF": encoded(Image.fromarray(SAMPLE), "TIFF"),
    "TIFF LZW": encoded(Image.fromarray(SAMPLE), "TIFF", compression="tiff_lzw"),
    "WEBP": encoded(Image.fromarray(SAMPLE), "WEBP", exif=orientation(6)),
    "GIF": encoded(Image.fromarray(SAMPLE), "GIF", save_all=True, append_images=[Image.fromarray(SAMPLE[::-1])]),
    "BMP": encoded(Image.fromarray(SAMPLE), "BMP"),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@BOUNDED
@given(permille=st.integers(0, 999))
def test_cut_off_anywhere_it_is_a_photo_or_a_bad_one(tmp_path_factory, kind, permille):
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(WHOLE[kind][: len(WHOLE[kind]) * permille // 1000])
    opened_or_bad(path)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@BOUNDED
@given(permille=st.integers(0, 999))
def test_damaged_anywhere_it_is_a_photo_or_a_bad_one(tmp_path_factory, kind, permille):
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(flipped(WHOLE[kind], len(WHOLE[kind]) * permille // 1000))
    opened_or_bad(path)


def opened_or_bad(path: Path) -> None:
    "A file with a wrong size in it may ask for much memory: no more than this."
    try:
        photo = open_photo(path, max_pixels=1_000_000)
    except BadPhoto as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert photo.luma.ndim == 2 and photo.luma.dtype in (np.uint8, np.uint16)
        assert no_color(photo).shape == (*photo.luma.shape, 3)


def test_the_damage_behind_the_first_picture_does_not_matter(tmp_path):
    (tmp_path / "a.gif").write_bytes(WHOLE["GIF"][:-200])
    assert open_photo(tmp_path / "a.gif").size == (18, 24)


# Sizes, modes and formats.


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3), (1, 20_000), (20_000, 1)])
def test_any_size(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png(noise(*size[::-1], 1)))
    photo = open_photo(tmp_path / "a.png")
    assert photo.size == size
    color = photo.merge(np.full((2, 7, 5), 0.1))
    assert color.shape == (size[1], size[0], 3)
    assert np.abs(luma(color) - photo.luma).max() <= 1


def test_the_content_decides_what_is_read_and_the_name_what_is_written(tmp_path):
    data = encoded(Image.fromarray(SAMPLE), "JPEG")
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "a.jpg").write_bytes(data)
    photo = open_photo(tmp_path / "a.png")
    assert (photo.luma == open_photo(tmp_path / "a.jpg").luma).all()
    save_photo(no_color(photo), photo, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert image.format == "PNG"


def test_a_jpeg_that_is_stored_as_red_green_and_blue(tmp_path):
    """... has no luma to be taken as it is."""
    smooth = Image.fromarray(SAMPLE).convert("L").resize((163, 121))
    smooth.convert("RGB").save(tmp_path / "a.jpg", keep_rgb=True, quality=95)
    photo = open_photo(tmp_path / "a.jpg")
    assert np.abs(photo.luma.astype(int) - np.asarray(smooth)).mean() < 1 and photo.notes == []


def test_a_jpeg_with_the_profile_of_srgb_is_read_like_one_without(tmp_path):
    picture = Image.fromarray(SAMPLE).convert("RGB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, options in (("a.jpg", {"icc_profile": srgb}), ("b.jpg", {})):
        picture.save(tmp_path / name, quality=95, **options)
    assert (open_photo(tmp_path / "a.jpg").luma == open_photo(tmp_path / "b.jpg").luma).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_is_read_no_further_than_needed(tmp_path, mode, orientation):
    """Its luma without a trip through RGB is the same."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = Image.fromarray(SAMPLE).resize((163, 121))
    smooth.convert(mode).save(tmp_path / "a.jpg", exif=exif, quality=95)
    quick, whole = open_photo(tmp_path / "a.jpg"), open_photo(tmp_path / "a.jpg", keep_source=True)
    with Image.open(tmp_path / "a.jpg") as stored:
        stored.draft("YCbCr", stored.size)
        exact = np.asarray(ImageOps.exif_transpose(stored).getchannel(0))
    assert (quick.luma == exact).all(), "as the file has it"
    assert np.abs(quick.luma.astype(int) - whole.luma).mean() < 0.5
    assert np.abs(quick.luma.astype(int) - whole.luma).max() <= (1 if mode == "L" else 8)
    assert quick.notes == whole.notes
    assert whole.source.size == quick.size and quick.source is None


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(ALPHA)
    return image


MODES = {
    "1": (COLOR.convert("1"), None),
    "L": (COLOR.convert("L"), None),
    "LA": (with_alpha(COLOR.convert("L")), ALPHA),
    "La": (with_alpha(COLOR.convert("L")).convert("La"), ALPHA),
    "P": (COLOR.quantize(16), None),
    "PA": (with_alpha(COLOR.quantize(16)), ALPHA),
    "RGB": (COLOR, None),
    "RGBA": (with_alpha(COLOR), ALPHA),
    "RGBa": (with_alpha(COLOR).convert("RGBa"), ALPHA),
    "RGBX": (COLOR.convert("RGBX"), None),
    "CMYK": (COLOR.convert("CMYK"), None),
    "YCbCr": (COLOR.convert("YCbCr"), None),
    "HSV": (COLOR.convert("HSV"), None),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_pillow(mode):
    image, alpha = MODES[mode]
    assert image.mode == mode
    photo = photo_from_image(image)
    plain = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)  # Pillow goes nowhere else from these
    expected = np.asarray(image.convert(plain).convert("RGB").convert("L"))
    assert (photo.luma == expected).all()
    assert (photo.alpha is None) == (alpha is None)
    assert alpha is None or (photo.alpha == np.asarray(alpha)).all()


def test_lab_is_brought_to_srgb():
    lab = ImageCms.profileToProfile(
        COLOR, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    photo = photo_from_image(lab)
    assert photo.alpha is None
    assert np.abs(photo.luma - luma(np.asarray(COLOR))).mean() < 2


@pytest.mark.filterwarnings("error")
def test_a_palette_with_transparency(tmp_path):
    image = COLOR.quantize(16)
    opaque = np.asarray(image) != 3
    for kind in ("PNG", "GIF"):
        (tmp_path / "a").write_bytes(encoded(image, kind, transparency=3))
        photo = open_photo(tmp_path / "a")
        assert (photo.alpha == np.where(opaque, 255, 0)).all(), kind
        assert (photo.luma == np.asarray(image.convert("L")))[opaque].all(), kind
    translucent = with_alpha(COLOR).convert("P")  # several levels of it
    (tmp_path / "a").write_bytes(encoded(translucent, "PNG"))
    assert (open_photo(tmp_path / "a").alpha == np.asarray(translucent.convert("RGBA").getchannel("A"))).all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_one_transparent_color_in_a_png(tmp_path, mode):
    image = COLOR.convert(mode)
    first = image.getpixel((0, 0))
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG", transparency=first))
    pixels = np.asarray(image).astype(np.uint8) * (255 if mode == "1" else 1)
    expected = np.where((pixels.reshape(12, 10, -1) == np.array(first)).all(-1), 0, 255)
    assert (open_photo(tmp_path / "a.png").alpha == expected).all()


def test_a_cmyk_jpeg(tmp_path):
    smooth = Image.linear_gradient("L").resize((64, 64))
    cmyk = Image.merge("RGB", [smooth] * 3).convert("CMYK")
    (tmp_path / "a.jpg").write_bytes(encoded(cmyk, "JPEG", quality=100))
    photo = open_photo(tmp_path / "a.jpg")
    assert np.abs(photo.luma.astype(int) - np.asarray(smooth)).max() < 4


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "MPO"])
def test_only_the_first_picture_of_many(tmp_path, kind):
    pictures = [Image.new("L", (9, 8), 80), Image.new("L", (9, 8), 160), Image.new("L", (9, 8), 240)]
    (tmp_path / "a").write_bytes(encoded(pictures[0], kind, save_all=True, append_images=pictures[1:]))
    photo = open_photo(tmp_path / "a")
    assert np.abs(photo.luma.astype(int) - 80).max() <= 1
    assert [note for note in photo.notes if "first" in note]


def test_a_gif_with_an_absurd_number_of_pictures(tmp_path, monkeypatch):
    data = encoded(Image.new("L", (4, 4)), "GIF", save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    start = data.rindex(b"\x21\xf9\x04")  # of the second picture
    (tmp_path / "a.gif").write_bytes(data[:start] + data[start:-1] * 50_000 + data[-1:])
    sought = []
    from PIL.GifImagePlugin import GifImageFile

    seek = GifImageFile._seek
    monkeypatch.setattr(GifImageFile, "_seek", lambda *args, **options: (sought.append(args), seek(*args, **options)))
    assert open_photo(tmp_path / "a.gif").size == (4, 4)
    assert len(sought) < 10


@pytest.mark.parametrize("level", [0, 255])
def test_all_black_and_all_white_stay_so(level):
    photo = photo_from_image(Image.new("L", (6, 5), level))
    assert (photo.merge(np.full((2, 3, 3), 0.4)) == level).all()
    assert photo.notes == []


@pytest.mark.parametrize("tint", [0, 20])
def test_a_note_says_where_a_jpeg_is_not_gray(tmp_path, tint):
    """A large one, with grain in its chroma, too, which is no colour; the network sees what it would without."""
    grain = [noise(600, 900, seed=i).astype(int) % 21 - 10 for i in range(3)]
    bands = [Image.fromarray((level + band).astype(np.uint8)) for level, band in zip((90, 128 - tint, 128), grain)]
    Image.merge("YCbCr", bands).save(tmp_path / "a.jpg", quality=95)
    photo = open_photo(tmp_path / "a.jpg")
    assert [note for note in photo.notes if "colours or a tint" in note] == photo.notes
    assert len(photo.notes) == (tint > 0)
    assert np.abs(photo.luma - np.asarray(bands[0], int)).mean() < 2


def test_a_note_says_where_there_was_color():
    gray = Image.fromarray(noise(20, 20))
    sepia = Image.merge("RGB", [gray.point(lambda v, k=k: min(255, int(v * k))) for k in (1.0, 0.85, 0.6)])
    for image, colored in ((sepia, True), (gray, False), (gray.convert("RGB"), False), (gray.convert("CMYK"), False)):
        assert any("colours or a tint" in note for note in photo_from_image(image).notes) == colored
    for path in sample_photos().values():
        assert any("colours or a tint" in note for note in open_photo(path).notes)


# Sixteen bit.

DEEP = noise(20, 30, dtype=np.uint16)
DEEP_RGB = noise(20, 30, 3, dtype=np.uint16)
DEEP_RGBA = noise(20, 30, 4, dtype=np.uint16)


def lzw(pixels: np.ndarray, order: str = "<") -> bytes:
    "A 16-bit LZW TIFF, which Pillow does not write: an 8-bit one of twice the width, told that it is something else."
    height, width, channels = pixels.shape
    as_bytes = pixels.astype(f"{order}u2").view(np.uint8).reshape(height, 2 * width, channels)
    data = bytearray(encoded(Image.fromarray(as_bytes), "TIFF", compression="tiff_lzw"))
    (start,) = struct.unpack_from("<I", data, 4)
    for entry in range(start + 2, start + 2 + 12 * data[start], 12):
        tag, _, _, value = struct.unpack_from("<HHII", data, entry)
        if tag == Tag.ImageWidth:
            struct.pack_into("<H", data, entry + 8, width)
        elif tag == Tag.BitsPerSample:
            struct.pack_into(f"<{channels}H", data, value, *(16,) * channels)
    return bytes(data)


def packed_12bit(pixels: np.ndarray) -> bytes:
    a, b = pixels[:, ::2], pixels[:, 1::2]
    data = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], -1).astype(np.uint8).tobytes()
    return tiff(pixels, data=data, BitsPerSample=12)


DIM = (DEEP % 200).astype(np.uint16)  # 16 bit is what the file says, not what its largest value suggests
DEEP_GRAY = {
    "PNG": (png(DEEP[..., None]), DEEP),
    "TIFF": (tiff(DEEP), DEEP),
    "TIFF, big-endian": (tiff(DEEP, order=">"), DEEP),
    "TIFF, LZW": (encoded(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"), DEEP),
    "TIFF, 0 is white": (tiff(DEEP, PhotometricInterpretation=0), 65535 - DEEP),
    "TIFF, 12 bit": (packed_12bit(DEEP >> 4), DEEP >> 4 << 4 | DEEP >> 12),
    "PGM": (b"P5 30 20 65535\n" + DEEP.astype(">u2").tobytes(), DEEP),
    "dim PNG": (png(DIM[..., None]), DIM),
    "dim TIFF": (tiff(DIM), DIM),
    "dim PGM": (b"P5 30 20 65535\n" + DIM.astype(">u2").tobytes(), DIM),
}


@pytest.mark.parametrize("kind", DEEP_GRAY)
def test_16_bit_gray_stays_16_bit(tmp_path, kind):
    data, expected = DEEP_GRAY[kind]
    (tmp_path / "a").write_bytes(data)
    photo = open_photo(tmp_path / "a")
    assert photo.luma.dtype == np.uint16
    assert (photo.luma == expected).all()
    assert photo.alpha is None and photo.notes == []


def premultiplied(rgba: np.ndarray) -> np.ndarray:
    colors = rgba[..., :3].astype(np.float64) * rgba[..., 3:] / 65535
    return np.dstack([colors.round().astype(np.uint16), rgba[..., 3]])


DEEP_COLOR = {
    "PNG": (png(DEEP_RGB), DEEP_RGB, None),
    "PNG, RGBA": (png(DEEP_RGBA), DEEP_RGBA[..., :3], DEEP_RGBA[..., 3]),
    "PNG, LA": (png(DEEP_RGBA[..., :2]), DEEP_RGBA[..., [0, 0, 0]], DEEP_RGBA[..., 1]),
    "TIFF": (tiff(DEEP_RGB), DEEP_RGB, None),
    "TIFF, big-endian": (tiff(DEEP_RGB, order=">"), DEEP_RGB, None),
    "TIFF, planes": (tiff(DEEP_RGB, planes=True), DEEP_RGB, None),
    "TIFF, big-endian planes": (tiff(DEEP_RGB, order=">", planes=True), DEEP_RGB, None),
    "TIFF, LZW": (lzw(DEEP_RGB), DEEP_RGB, None),
    "TIFF, LZW, RGBA": (lzw(DEEP_RGBA), DEEP_RGBA[..., :3], DEEP_RGBA[..., 3]),
    "TIFF, RGBA": (tiff(DEEP_RGBA, ExtraSamples=2), DEEP_RGBA[..., :3], DEEP_RGBA[..., 3]),
    "TIFF, RGBA planes": (tiff(DEEP_RGBA, planes=True, ExtraSamples=2), DEEP_RGBA[..., :3], DEEP_RGBA[..., 3]),
    "TIFF, unspecified sample": (tiff(DEEP_RGBA, ExtraSamples=0), DEEP_RGBA[..., :3], None),
}


@pytest.mark.parametrize("kind", DEEP_COLOR)
def test_16_bit_color_stays_16_bit(tmp_path, kind):
    data, colors, alpha = DEEP_COLOR[kind]
    (tmp_path / "a").write_bytes(data)
    photo = open_photo(tmp_path / "a")
    assert photo.luma.dtype == np.uint16
    assert np.abs(photo.luma - luma(colors)).max() <= 0.51
    assert (photo.alpha is None) == (alpha is None)
    assert alpha is None or (photo.alpha.dtype == np.uint16 and (photo.alpha == alpha).all())


def test_colors_multiplied_by_alpha_are_divided_again(tmp_path):
    data = tiff(premultiplied(DEEP_RGBA), ExtraSamples=1)
    (tmp_path / "a.tif").write_bytes(data)
    photo = open_photo(tmp_path / "a.tif")
    opaque = DEEP_RGBA[..., 3] > 6000  # where there is enough left of the colours
    assert (photo.alpha == DEEP_RGBA[..., 3]).all()
    assert np.abs(photo.luma - luma(DEEP_RGBA[..., :3]))[opaque].max() < 12


@pytest.mark.parametrize("channels", [1, 3])
def test_one_transparent_color_in_a_16_bit_png(tmp_path, channels):
    pixels = DEEP_RGB[..., :channels]
    transparent = chunk(b"tRNS", pixels[4, 5].astype(">u2").tobytes())
    (tmp_path / "a.png").write_bytes(png(pixels, transparent))
    alpha = open_photo(tmp_path / "a.png").alpha
    assert alpha.dtype == np.uint16
    assert (alpha == np.where((pixels == pixels[4, 5]).all(-1), 0, 65535)).all()
    assert alpha[4, 5] == 0


def chunks(data: bytes, name: bytes) -> list[bytes]:
    """What the chunks of this name in a PNG hold."""
    found, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == name:
            found.append(data[place + 8 : place + 8 + length])
        place += 12 + length
    return found


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [None, DEEP_RGBA[..., 3]])
def test_16_bit_is_written_in_full(tmp_path, monkeypatch, extension, alpha):
    monkeypatch.setattr(merging, "STRIP", 100)
    path = tmp_path / f"a{extension}"
    save_photo(DEEP_RGB, Photo(DEEP, alpha), path)
    expected = DEEP_RGB if alpha is None else np.dstack([DEEP_RGB, alpha])
    if extension == ".tif":
        with Image.open(path) as image:
            tags = dict(image.tag_v2)
        assert (tags[Tag.Compression], tags[Tag.Predictor], tags[Tag.RowsPerStrip]) == (8, 2, 3)
        data = path.read_bytes()
        rows = b"".join(zlib.decompress(data[offset:]) for offset in tags[Tag.StripOffsets])
        samples = np.frombuffer(rows, "<u2").reshape(expected.shape).cumsum(1, np.uint16)  # from pixel to pixel
        assert (samples == expected).all()
    else:
        rows = np.frombuffer(zlib.decompress(b"".join(chunks(path.read_bytes(), b"IDAT"))), np.uint8).reshape(20, -1)
        assert (rows[:, 0] == 2).all()  # each row is its difference to the one above
        samples = rows[:, 1:].cumsum(0, np.uint8).view(">u2").reshape(expected.shape)
        assert (samples == expected).all()
    with Image.open(path) as image:  # what all else will open it with
        assert (np.asarray(image) == expected >> 8).all()
    photo = open_photo(path)
    assert photo.luma.dtype == np.uint16
    assert np.abs(photo.luma - luma(DEEP_RGB)).max() <= 0.51


def test_16_bit_becomes_8_where_the_format_holds_no_more(tmp_path):
    for name in ("a.webp", "a.jpg", "a.bmp", "a.jp2", "a.avif"):
        save_photo(DEEP_RGB, Photo(DEEP), tmp_path / name)
        assert open_photo(tmp_path / name).luma.dtype == np.uint8


def test_floats_from_0_to_1_are_black_to_white(tmp_path):
    values = np.linspace(0, 0.5, 600, dtype=np.float32).reshape(20, 30)
    (tmp_path / "a.tif").write_bytes(tiff(values))
    photo = open_photo(tmp_path / "a.tif")
    assert np.abs(photo.luma - values * 65535.0).max() <= 0.51
    assert photo.notes == []


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16"])
def test_other_numbers_are_stretched_with_a_note(tmp_path, dtype):
    values = np.linspace(-1000, 9000, 600).reshape(20, 30).astype(dtype)
    (tmp_path / "a.tif").write_bytes(tiff(values))
    photo = open_photo(tmp_path / "a.tif")
    assert (photo.luma.min(), photo.luma.max()) == (0, 65535)
    assert np.abs(photo.luma / 6.5535 - 1000 - values).max() < 1
    assert any("stretched" in note for note in photo.notes)


def test_floats_that_are_no_numbers(tmp_path):
    values = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    values[0, :3] = np.inf, -np.inf, np.nan
    (tmp_path / "a.tif").write_bytes(tiff(values))
    assert open_photo(tmp_path / "a.tif").luma[0, :3].tolist() == [65535, 0, 0]
    (tmp_path / "a.tif").write_bytes(tiff(np.full((4, 4), np.nan, np.float32)))
    assert open_photo(tmp_path / "a.tif").luma.max() == 0


def test_floats_in_color_are_refused_with_one_sentence(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.zeros((4, 4, 3), np.float32)))
    with pytest.raises(BadPhoto, match="not supported"):
        open_photo(tmp_path / "a.tif")


# What decoders say by themselves.

NOISY = {
    "libtiff": flipped(encoded(Image.fromarray(noise(64, 64, 3)), "TIFF", compression="tiff_lzw"), 1500),
    "logging": tiff(SAMPLE, SamplesPerPixel=131),
    "warnings": encoded(Image.fromarray(SAMPLE), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="libtiff cannot be reached there")
def test_decoders_are_quiet_in_a_program_that_wants_it(tmp_path):
    """In a process of its own: what is set is for all of it, and libtiff writes past Python's streams."""
    for name, data in NOISY.items():
        (tmp_path / name).write_bytes(data)
    program = """
import sys
from pathlib import Path
from deoldify_lite.photo import BadPhoto, open_photo
from deoldify_lite.photo.decoders import configure_decoders
if sys.argv[2] == "quiet":
    configure_decoders()
try:
    open_photo(Path(sys.argv[1]))
except BadPhoto:
    pass
print("our own", file=sys.stderr)
"""
    for name in NOISY:
        loud, quiet = (
            subprocess.run([sys.executable, "-c", program, tmp_path / name, how], capture_output=True, text=True).stderr
            for how in ("loud", "quiet")
        )
        assert loud != "our own\n" == quiet, name


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "gray TIFF", "WEBP", "PNG16", "TIFF16", "gray TIFF16"])
def test_turned_upright_once(tmp_path, kind, value):
    (tmp_path / "a").write_bytes(oriented(kind, value))
    photo = open_photo(tmp_path / "a")
    expected = UPRIGHT.astype(int) * (257 if "16" in kind else 1)
    assert photo.luma.shape == UPRIGHT.shape
    assert np.abs(photo.luma - expected).max() <= (2 if kind == "JPEG" else 0)

    extension = {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png", "PNG16": ".png"}.get(kind, ".tif")
    save_photo(no_color(photo), photo, tmp_path / f"b{extension}")
    again = open_photo(tmp_path / f"b{extension}")
    assert again.luma.dtype == photo.luma.dtype
    assert np.abs(again.luma.astype(int) - photo.luma).max() <= (4 if kind in ("JPEG", "WEBP") else 0)
    with Image.open(tmp_path / f"b{extension}") as image:
        exif = image.getexif()
        assert Tag.Orientation not in exif
        assert exif[Tag.Make] == "Agfa"


@pytest.mark.parametrize(
    "form", ['tiff:Orientation="6"', "<tiff:Orientation>6</tiff:Orientation>", 'tiff:Orientation="6 and more damage']
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_orientation_that_only_xmp_tells(tmp_path, kind, form):
    xmp = f"<x:xmpmeta {form}>Oma</x:xmpmeta>".encode()
    path = tmp_path / f"a.{kind.lower()}"
    stored = Image.fromarray(np.rot90(UPRIGHT).copy()).convert("RGB")
    photo = Photo(np.asarray(stored.convert("L")), metadata={"xmp": xmp})
    save_photo(np.asarray(stored), photo, path)
    photo = open_photo(path)
    assert photo.luma.shape == UPRIGHT.shape and np.abs(photo.luma.astype(int) - UPRIGHT).max() <= 4
    save_photo(no_color(photo), photo, path)
    again = open_photo(path)
    assert again.luma.shape == UPRIGHT.shape
    assert b"Oma" in again.metadata["xmp"]


def test_a_pillow_image_is_turned_upright_and_left_as_it_was():
    image = Image.fromarray(np.rot90(UPRIGHT).copy())
    image.info["exif"] = orientation(6).tobytes()
    before = dict(image.info)
    assert (photo_from_image(image).luma == UPRIGHT).all()
    assert image.size == (32, 48) and image.info == before


XMP = "<x:xmpmeta>Großmutter</x:xmpmeta>".encode()
EXTENSIONS = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP", ".avif": "AVIF"}


def rich_exif() -> Image.Exif:
    exif = orientation(1, Make="Agfa", Artist="Oma", ImageDescription="Am See")
    exif[Tag.ExifOffset] = {Tag.ExposureTime: 0.25, Tag.DateTimeOriginal: "1931:07:01 12:00:00"}
    exif[Tag.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("target", EXTENSIONS)
@pytest.mark.parametrize("source", EXTENSIONS)
def test_metadata_goes_from_any_format_to_any_other(tmp_path, source, target, depth):
    photo = Photo(noise(6, 5, dtype=depth), metadata={"exif": rich_exif().tobytes(), "xmp": XMP, "dpi": (300.0, 200.0)})
    save_photo(no_color(photo), photo, tmp_path / f"a{source}")
    photo = open_photo(tmp_path / f"a{source}")
    assert photo.notes == []
    save_photo(no_color(photo), photo, tmp_path / f"b{target}")

    with Image.open(tmp_path / f"b{target}") as image:
        assert image.format == EXTENSIONS[target]
        exif = image.getexif()
        assert (exif[Tag.Make], exif[Tag.Artist], exif[Tag.ImageDescription]) == ("Agfa", "Oma", "Am See")
        assert Tag.Orientation not in exif
        assert exif.get_ifd(ExifTags.IFD.Exif)[Tag.ExposureTime] == 0.25
        assert exif.get_ifd(ExifTags.IFD.Exif)[Tag.DateTimeOriginal] == "1931:07:01 12:00:00"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    again = open_photo(tmp_path / f"b{target}")
    assert again.metadata["xmp"] == XMP
    if source in (".jpg", ".png", ".tif") and target in (".jpg", ".png", ".tif"):  # the others have no place for it
        assert again.metadata["dpi"] == pytest.approx((300, 200), abs=0.1)
    assert again.notes == []


def test_the_resolution_of_a_bmp(tmp_path):
    photo = Photo(noise(6, 5), metadata={"dpi": (300.0, 200.0)})
    save_photo(no_color(photo), photo, tmp_path / "a.bmp")
    assert open_photo(tmp_path / "a.bmp").metadata["dpi"] == pytest.approx((300, 200), abs=0.1)


def test_exif_that_describes_another_files_layout_does_no_harm(tmp_path):
    exif = orientation(1, Make="Agfa")
    for tag, value in ((Tag.ImageWidth, 7), (Tag.StripOffsets, 99), (Tag.TileWidth, 16), (Tag.Compression, 7)):
        exif[tag] = value
    photo = Photo(noise(6, 5), metadata={"exif": exif.tobytes()})
    save_photo(no_color(photo), photo, tmp_path / "a.tif")
    assert (open_photo(tmp_path / "a.tif").luma == photo.luma).all()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\1\x12\0\3\0\0"]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
def test_damaged_exif_is_dropped_and_the_photo_kept(tmp_path, exif):
    for name, data in (
        ("a.jpg", encoded(Image.fromarray(UPRIGHT), "JPEG", exif=exif)),
        ("a.png", png(UPRIGHT[..., None], chunk(b"eXIf", exif[6:]))),
        ("b.png", png(np.dstack([UPRIGHT.astype(np.uint16)] * 3), chunk(b"eXIf", exif[6:]))),
    ):
        (tmp_path / name).write_bytes(data)
        photo = open_photo(tmp_path / name)
        assert photo.luma.shape == UPRIGHT.shape
        assert "exif" not in photo.metadata
        assert len([note for note in photo.notes if "EXIF" in note]) <= 1
        save_photo(no_color(photo), photo, tmp_path / name)
        assert open_photo(tmp_path / name).notes == []
    if b"nonsense" in exif:
        assert photo.notes == ["its EXIF data is damaged and was dropped"]


def test_metadata_that_is_too_long_for_a_jpeg_is_left_out_with_a_note(tmp_path):
    exif = orientation(1, ImageDescription="x" * 70_000)
    photo = Photo(noise(6, 5), metadata={"exif": exif.tobytes(), "xmp": b"x" * 70_000, "dpi": (300.0, 300.0)})
    save_photo(no_color(photo), photo, tmp_path / "a.jpg")
    assert open_photo(tmp_path / "a.jpg").metadata.keys() == {"dpi"}
    assert [re.search("EXIF|XMP", note)[0] for note in photo.notes] == ["EXIF", "XMP"]


def gray_profile(gamma: float = 1.8) -> bytes:
    """An ICC profile of a gray picture: a header, and the one tag that says how light values are."""
    curve = b"curv" + struct.pack(">4xIH2x", 1, round(gamma * 256))
    tags = struct.pack(">I4sII", 1, b"kTRC", 144, len(curve))
    head = struct.pack(">I4xI4s4s4s12x4s28x", 144 + len(curve), 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    d50 = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return (head + d50).ljust(128, b"\0") + tags + curve


def swapped_profile() -> bytes:
    "sRGB with the places of red and blue exchanged: a valid profile that does something to be seen."
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")


def test_a_color_profile_is_converted_to_srgb(tmp_path):
    image = Image.new("RGB", (6, 5), (200, 20, 40))
    for kind in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        (tmp_path / "a").write_bytes(encoded(image, kind, icc_profile=swapped_profile(), **options))
        photo = open_photo(tmp_path / "a")
        assert np.abs(photo.luma - luma(np.array([40, 20, 200]))).max() <= 2
        save_photo(no_color(photo), photo, tmp_path / "b.png")
        with Image.open(tmp_path / "b.png") as result:
            assert "icc_profile" not in result.info


def test_srgb_changes_nothing_and_may_belong_to_a_gray_picture():
    gray = Image.fromarray(noise(20, 20))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode in ("L", "RGB", "LA", "P", "1"):
        image = gray.convert(mode)
        plain = photo_from_image(image)
        image.info["icc_profile"] = srgb
        photo = photo_from_image(image)
        assert np.abs(photo.luma.astype(int) - plain.luma).max() <= 1, mode
        assert photo.notes == plain.notes, mode


def test_the_profile_of_a_gray_picture_counts_with_transparency_as_without():
    gray = Image.fromarray(noise(20, 20))
    plain = photo_from_image(gray)
    gray.info["icc_profile"] = gray_profile()
    expected = photo_from_image(gray)
    transparent = gray.convert("LA")
    transparent.info["icc_profile"] = gray_profile()
    photo = photo_from_image(transparent)
    assert (photo.luma == expected.luma).all() and not photo.notes and photo.alpha is not None
    assert (photo.luma != plain.luma).any()


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200, swapped_profile()[:200]])
def test_a_damaged_profile_is_ignored_with_a_note(tmp_path, profile):
    image = Image.fromarray(noise(6, 5, 3))
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG", icc_profile=profile))
    photo = open_photo(tmp_path / "a.png")
    assert (photo.luma == np.asarray(image.convert("L"))).all()
    assert any("profile" in note for note in photo.notes)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif", ".webp"])
def test_texts_of_exif_keep_their_letters(tmp_path, extension):
    """UTF-8, as most programs write it, though EXIF once meant ASCII."""
    caption = "Großmutter, Зоя, 1931".encode()
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = caption
    exif[ExifTags.Base.Artist] = "Käthe".encode()
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(noise(8, 8)), "JPEG", exif=exif.tobytes()))
    photo = open_photo(tmp_path / "a.jpg")
    save_photo(no_color(photo), photo, tmp_path / f"b{extension}")
    again = open_photo(tmp_path / f"b{extension}")
    save_photo(no_color(again), again, tmp_path / "c.jpg")
    for name in (f"b{extension}", "c.jpg"):
        with Image.open(tmp_path / name) as result:
            found = result.getexif()
        assert found[ExifTags.Base.ImageDescription].encode("latin-1") == caption, name
        assert found[ExifTags.Base.Artist].encode("latin-1").decode() == "Käthe", name


def test_a_turned_photo_with_exif_that_cannot_be_written_again(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Agfa"
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(noise(6, 9)), "JPEG", exif=exif.tobytes()))
    monkeypatch.setattr(Image.Exif, "tobytes", lambda *_: struct.pack("2L", -1, 0))  # as for a signed -1/0
    photo = open_photo(tmp_path / "a.jpg")
    assert photo.size == (6, 9) and photo.notes == ["its EXIF data is damaged and was dropped"]


def test_the_resolution_is_turned_with_the_photo(tmp_path):
    """A fax has twice as many pixels an inch in one direction."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(noise(6, 9)), "JPEG", exif=exif.tobytes(), dpi=(204, 98)))
    assert open_photo(tmp_path / "a.jpg").metadata["dpi"] == (98, 204)


def test_exaggerated_colors_keep_their_hue_in_8_bit_as_in_16():
    luma, chroma = noise(20, 20), np.array([-0.1, 0.3], np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    deep = Photo(luma.astype(np.uint16) * 257).merge(3 * chroma) / 257
    assert np.abs(Photo(luma).merge(3 * chroma) - deep).max() < 8


def test_16_bit_gets_the_tones_that_8_bit_gets(tmp_path):
    """A profile's curve, for a gray picture and for one of three channels; sRGB itself changes nothing."""
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for profile, is_changed in ((gray_profile(), True), (swapped_profile(), False)):
        image = Image.fromarray(gray)
        image.info["icc_profile"] = profile
        expected = photo_from_image(image).luma
        assert is_changed == bool((np.abs(expected.astype(int) - gray) > 3).any())
        for pixels in (gray, gray[..., None].repeat(3, 2)):
            (tmp_path / "a.tif").write_bytes(tiff(pixels.astype(np.uint16) * 257, InterColorProfile=profile))
            photo = open_photo(tmp_path / "a.tif")
            assert photo.luma.dtype == np.uint16 and not photo.notes
            assert np.abs(photo.luma / 257 - expected).max() < 1.5
            assert (np.diff(photo.luma.ravel().astype(int)) >= 0).all()


def test_a_damaged_profile_of_16_bit_is_ignored_with_a_note(tmp_path):
    for pixels in (DEEP, DEEP_RGB):
        (tmp_path / "a.tif").write_bytes(tiff(pixels, InterColorProfile=b"nonsense"))
        assert any("profile is damaged" in note for note in open_photo(tmp_path / "a.tif").notes)


# Chroma onto luma.


@BOUNDED
@given(
    deep=st.booleans(),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    chroma_size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    strength=st.sampled_from([0.05, 0.5, 1.0, 3.0]),
    seed=st.integers(0, 1000),
)
@example(deep=False, size=(38, 38), chroma_size=(19, 19), strength=0.5, seed=571)  # a colour right at its limit
def test_luma_stays_within_one_level(deep, size, chroma_size, strength, seed):
    photo = Photo(noise(*size, dtype=np.uint16 if deep else np.uint8, seed=seed))
    chroma = np.random.default_rng(seed).uniform(-0.5, 0.5, (2, *chroma_size)) * strength
    color = photo.merge(chroma)
    assert color.dtype == photo.luma.dtype and color.shape == (*size, 3)
    assert np.abs(luma(color) - photo.luma).max() <= 1


@BOUNDED
@given(deep=st.booleans(), size=st.tuples(st.integers(1, 50), st.integers(1, 50)), seed=st.integers(0, 1000))
def test_no_chroma_is_exactly_gray(deep, size, seed):
    photo = Photo(noise(*size, dtype=np.uint16 if deep else np.uint8, seed=seed))
    assert (no_color(photo) == photo.luma[..., None]).all()


@BOUNDED
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    chroma_size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    strength=st.sampled_from([0.05, 0.5, 1.0, 3.0]),
    seed=st.integers(0, 1000),
)
def test_for_a_jpeg_luma_is_kept_and_chroma_halved(size, chroma_size, strength, seed):
    gray = noise(*size, seed=seed)
    chroma = np.random.default_rng(seed).uniform(-0.5, 0.5, (2, *chroma_size)) * strength
    image = merging.merge_for_jpeg(gray, chroma)
    assert image.mode == "YCbCr" and image.size == size[::-1]
    assert np.abs(luma(np.asarray(image.convert("RGB"))) - gray).max() <= 1
    planes = np.asarray(image)
    assert (planes[..., 0] == gray).all()
    for i, j in ((0, 1), (1, 0), (1, 1)):
        others = planes[i::2, j::2, 1:]
        assert (planes[::2, ::2, 1:][: others.shape[0], : others.shape[1]] == others).all()


@pytest.mark.parametrize("cell", [25, 12, 6])
def test_magnified_chroma_is_as_if_each_pixel_had_its_own(monkeypatch, cell):
    """Colours that change only a little from pixel to pixel may be shared by a few of them."""
    gray = np.full((8 * cell, 12 * cell), 128, np.uint8)
    chroma = np.random.default_rng(0).uniform(-0.15, 0.15, (2, 8, 12))
    middle = (merging._block(gray.shape, (8, 12)) - 1) / 2
    quick = merging.merge(gray, chroma).astype(int)
    monkeypatch.setattr(merging, "_block", lambda *_: 1)
    # A pixel is off by so much at most from the middle of its block, either way.
    assert np.abs(quick - merging.merge(gray, chroma)).max() <= 0.3 * 1.772 * 255 * 2 * middle / cell + 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colors_that_do_not_fit_keep_their_hue(dtype):
    white = np.iinfo(dtype).max
    photo = Photo(np.linspace(0, white, 256).astype(dtype)[None])
    chroma = np.array([-0.1, 0.4])[:, None, None]
    color = photo.merge(chroma).astype(np.float64)
    cb, cr = (color[..., 2] - photo.luma) / 1.772, (color[..., 0] - photo.luma) / 1.402
    seen = cr > white / 16
    assert seen.sum() > 150
    assert np.abs(cb[seen] / cr[seen] + 0.25).max() < 0.1


def test_strips_leave_no_seams(monkeypatch):
    photo, chroma = Photo(noise(90, 40, dtype=np.uint16)), np.random.default_rng(0).uniform(-0.2, 0.2, (2, 17, 23))
    whole = photo.merge(chroma).astype(int)
    monkeypatch.setattr(merging, "STRIP", 280)
    assert np.abs(photo.merge(chroma) - whole).max() <= 1


@BOUNDED
@given(data=st.data(), size=st.tuples(st.integers(1, 40), st.integers(1, 40)), value=st.integers(1, 8))
def test_from_file_to_file(tmp_path_factory, data, size, value):
    extension = data.draw(st.sampled_from(sorted(LOSSLESS)))
    mode = data.draw(st.sampled_from(LOSSLESS[extension]))
    seed = data.draw(st.integers(0, 1000))
    source, target = (tmp_path_factory.getbasetemp() / f"{name}{extension}" for name in ("from", "to"))
    if mode == "F":
        image = Image.fromarray(np.random.default_rng(seed).random(size, np.float32))
    elif mode == "I;16":
        image = Image.fromarray(noise(*size, dtype=np.uint16, seed=seed))
    else:
        image = Image.fromarray(noise(*size, 4, seed=seed)).convert(mode)
    image.save(source, exif=orientation(value))

    photo = open_photo(source)
    assert photo.size == (size if value > 4 else size[::-1])
    color = photo.merge(np.random.default_rng(seed).uniform(-0.5, 0.5, (2, 5, 6)))
    save_photo(color, photo, target)
    again = open_photo(target)
    assert again.luma.dtype == photo.luma.dtype
    assert np.abs(again.luma.astype(int) - photo.luma).max() <= 1
    assert (photo.alpha is None) == (not image.has_transparency_data)
    assert (again.alpha is None) == (photo.alpha is None)
    assert photo.alpha is None or (again.alpha == photo.alpha).all()


# Writing.


def test_jpeg_has_no_transparency_and_says_so(tmp_path):
    for name in ("a.jpg", "a.bmp"):
        photo = Photo(noise(6, 5), noise(6, 5, seed=1))
        save_photo(no_color(photo), photo, tmp_path / name)
        assert open_photo(tmp_path / name).alpha is None
        assert any("transparency" in note for note in photo.notes)


@pytest.mark.parametrize("name", ["a.webp", "a.avif", "a.jp2", "a.tiff", "a.PNG"])
def test_other_formats_have(tmp_path, name):
    photo = Photo(noise(16, 16), np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((8, 8), np.uint8)))
    save_photo(no_color(photo), photo, tmp_path / name)
    assert np.abs(open_photo(tmp_path / name).alpha.astype(int) - photo.alpha).max() <= 8


def test_what_cannot_be_written_is_said_in_one_sentence(tmp_path):
    photo = Photo(noise(1, 16_384))
    for name, sentence in (
        ("a.gif", "cannot write .gif"),
        ("a", "without extension"),
        ("a.webp", "WEBP holds no picture"),
    ):
        with pytest.raises(BadPhoto, match=sentence):
            save_photo(no_color(photo), photo, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, name):
    def full(handle):
        raise OSError(28, "No space left on device")

    (tmp_path / name).write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    photo = Photo(noise(6, 5))
    with pytest.raises(OSError):
        save_photo(no_color(photo), photo, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_a_system_that_has_no_files_in_memory_writes_the_same(tmp_path, monkeypatch):
    photo = Photo(noise(20, 30))
    save_photo(no_color(photo), photo, tmp_path / "a.jpg")

    def refused(name):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", refused, raising=False)
    save_photo(no_color(photo), photo, tmp_path / "b.jpg")
    monkeypatch.delattr(os, "memfd_create")
    save_photo(no_color(photo), photo, tmp_path / "c.jpg")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.skipif(resource is None, reason="no limit to the size of files on this system")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif", "a.webp", "a.avif", "a.jp2"])
def test_what_the_disk_takes_only_in_part_is_never_taken_for_whole(tmp_path, name):
    """A nearly full disk writes the first part and says no only when asked again, which Pillow does not do."""
    photo = Photo(noise(100, 100))
    save_photo(no_color(photo), photo, tmp_path / f"whole {name}")
    size = (tmp_path / f"whole {name}").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (1, size // 2, size - 1):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            with pytest.raises(OSError, match="File too large"):
                save_photo(no_color(photo), photo, tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == [f"whole {name}"]


# Photos for training.


def test_for_training_any_photo_becomes_rgb_upright_and_small(tmp_path):
    for name, data in (
        ("a.jpg", oriented("JPEG", 6)),
        ("a.png", encoded(MODES["PA"][0].convert("RGBA").resize((90, 60)), "PNG")),
        ("b.png", encoded(COLOR.quantize(16).resize((90, 60)), "PNG", transparency=3)),
    ):
        (tmp_path / name).write_bytes(data)
        for file in (tmp_path / name, data):
            image = read_rgb(file, 20)
            assert image.mode == "RGB" and image.size == (30, 20)


def test_for_training_16_bit_is_scaled_and_not_clipped():
    dark = np.full((40, 40), 20_000, np.uint16)
    for data in (png(dark[..., None]), tiff(dark)):
        assert read_rgb(data, 20).getpixel((5, 5)) == (78, 78, 78)


def test_for_training_a_panorama_is_at_most_three_times_as_long():
    assert read_rgb(encoded(Image.new("RGB", (1000, 10)), "PNG"), 20).size == (60, 20)


@pytest.mark.parametrize("name", ["empty.jpg", "text.jpg", "cut.jpg", "crc.png"])
def test_for_training_broken_files_end_in_one_sentence(name):
    with pytest.raises(BadPhoto):
        read_rgb(BROKEN[name][0], 20)
