"""The formats of phones, cameras and scanners: HEIC, JPEG XL, camera raw, PDF, and TIFF with several pages."""

import io
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from deoldify_lite.photo import (
    BadPhoto,
    MissingExtra,
    Photo,
    count_pixels,
    open_pages,
    open_photo,
    output_name,
    readable_suffixes,
    save_pages,
    save_photo,
)
from deoldify_lite.photo.extras import EXTRAS, jpeg_xl_size
from deoldify_lite.photo.formats import EXTENSIONS, PHOTO_SUFFIXES, RAW, UNREADABLE
from helpers.photo_files import Tag, encoded, noise, orientation, tiff
from helpers.scans import dng, heic, jxl, pages, steps, stored_pages

GRAY = steps(64, 48)
COLOR = GRAY.convert("RGB")
LEVELS = np.rint(np.linspace(0.01, 0.5, 64 * 48).reshape(48, 64) * 65535).astype(np.uint16)


def written(path, data: bytes):
    path.write_bytes(data)
    return path


def difference(photo: Photo, image: Image.Image) -> float:
    "The mean difference of the luma to an image's, in levels of 8 bit."
    return np.abs(np.asarray(photo.gray(), float) - np.asarray(image.convert("L"))).mean()


# Names.


def test_each_extension_is_read_somewhere_or_named_as_unreadable():
    every = readable_suffixes() if all(extra.is_installed for extra in EXTRAS) else PHOTO_SUFFIXES - set(UNREADABLE)
    assert every | set(UNREADABLE) == PHOTO_SUFFIXES
    assert EXTENSIONS < PHOTO_SUFFIXES and RAW.isdisjoint(EXTENSIONS)
    for extra in EXTRAS:
        assert extra.suffixes <= PHOTO_SUFFIXES


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("a.HEIC", "a.HEIC.jpg"),
        ("a.dng", "a.dng.tif"),
        ("a.gif", "a.gif.png"),
        ("a.pdf", "a.pdf"),
        ("a.jxl", "a.jxl"),
        ("a.tiff", "a.tiff"),
    ],
)
def test_names_of_results(name, result):
    assert output_name(name) == result


FILES = {"a.heic": heic, "a.jxl": jxl, "a.dng": lambda image: dng(LEVELS), "a.pdf": lambda image: pages("PDF", image)}


@pytest.mark.parametrize("name", FILES)
def test_without_its_package_a_format_says_what_to_install(tmp_path, monkeypatch, name):
    path = written(tmp_path / name, FILES[name](COLOR))
    assert open_photo(path).size == (64, 48)
    (extra,) = (extra for extra in EXTRAS if path.suffix in extra.suffixes)
    monkeypatch.setitem(sys.modules, extra.module, None)
    with pytest.raises(MissingExtra) as missing:
        open_photo(path)
    assert str(missing.value) == (
        f'{extra.title} files need {extra.package}: pip install "deoldify_lite[{extra.name}]"'
    )
    assert count_pixels(path) == 0
    assert path.suffix not in readable_suffixes() and ".jpg" in readable_suffixes()
    written(path, b"Dear grandmother" * 10)
    with pytest.raises(BadPhoto):
        open_photo(path)


def test_the_content_decides_also_where_the_name_says_otherwise(tmp_path):
    assert open_photo(written(tmp_path / "phone.jpg", heic(COLOR))).size == (64, 48)
    assert open_photo(written(tmp_path / "sent.heic", encoded(GRAY, "JPEG"))).size == (64, 48)
    assert open_photo(written(tmp_path / "scan.tif", pages("PDF", GRAY))).size == (64, 48)


# HEIC.


def test_heic_is_upright_with_its_metadata(tmp_path):
    exif = orientation(6, Make="Agfa").tobytes()
    photo = open_photo(written(tmp_path / "a.heic", heic(COLOR, exif=exif)))
    assert photo.size == (48, 64)
    assert difference(photo, GRAY.transpose(Image.Transpose.ROTATE_270)) < 1
    saved = Image.Exif()
    saved.load(photo.metadata["exif"])
    assert saved[Tag.Make] == "Agfa" and saved.get(Tag.Orientation, 1) == 1


def test_heic_of_another_color_space_is_brought_to_srgb(tmp_path):
    red = Image.new("RGB", (32, 32), (200, 30, 30))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"rXYZ", b"TMPX")
    profile = profile.replace(b"gXYZ", b"rXYZ").replace(b"TMPX", b"gXYZ")  # red and green change places
    plain = open_photo(written(tmp_path / "a.heic", heic(red)))
    other = open_photo(written(tmp_path / "b.heic", heic(red, icc_profile=profile)))
    assert other.luma.mean() > plain.luma.mean() + 20


def test_heic_has_transparency_and_is_limited_in_size(tmp_path):
    image = COLOR.copy()
    image.putalpha(GRAY)
    path = written(tmp_path / "a.heic", heic(image))
    assert np.abs(open_photo(path).alpha.astype(int) - np.asarray(GRAY)).mean() < 3
    with pytest.raises(BadPhoto, match="too large: 64 x 48"):
        open_photo(path, max_pixels=1000)


# JPEG XL.


@pytest.mark.parametrize("size", [(64, 48), (1, 1), (300, 7), (1920, 1080), (256, 256), (8, 2000), (1200, 1000)])
@pytest.mark.parametrize("boxed", [False, True])
def test_the_size_of_a_jpeg_xl_by_its_header(size, boxed):
    assert jpeg_xl_size(jxl(Image.new("L", size), use_container=boxed)) == size


def test_pixels_of_a_jpeg_xl_are_counted_without_decoding_it(tmp_path, monkeypatch):
    path = written(tmp_path / "a.jxl", jxl(Image.new("L", (64, 48))))
    monkeypatch.setattr("deoldify_lite.photo.reading._open_image", None)
    assert count_pixels(path) == 64 * 48


def test_a_jpeg_xl_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = written(tmp_path / "a.jxl", jxl(COLOR))
    import pillow_jxl.JpegXLImagePlugin as plugin

    monkeypatch.setattr(plugin, "Decoder", lambda **_: pytest.fail("decoded"))
    with pytest.raises(BadPhoto, match="too large: 64 x 48 is more than 3,071 pixels"):
        open_photo(path, max_pixels=64 * 48 - 1)


def test_jpeg_xl_there_and_back(tmp_path):
    exif = orientation(6, Make="Agfa").tobytes()  # which a JPEG XL does not follow: its decoder turns the picture
    photo = open_photo(written(tmp_path / "a.jxl", jxl(COLOR, exif=exif, quality=95)))
    assert photo.size == (64, 48) and difference(photo, GRAY) < 2
    save_photo(photo.merge(np.zeros((2, 2, 2))), photo, tmp_path / "b.jxl")
    again = open_photo(tmp_path / "b.jxl")
    assert difference(again, GRAY) < 2 and b"Agfa" in again.metadata["exif"]


def test_jpeg_xl_of_16_bit_and_with_transparency(tmp_path):
    deep = noise(20, 30, dtype=np.uint16)
    photo = open_photo(written(tmp_path / "a.jxl", jxl(Image.fromarray(deep), lossless=True)))
    assert photo.luma.dtype == np.uint16
    light = deep / 65535  # the plugin declares 16 bit to be linear
    shown = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(photo.luma / 65535 - shown).max() < 1 / 255
    image = COLOR.copy()
    image.putalpha(GRAY)
    photo = open_photo(written(tmp_path / "b.jxl", jxl(image, lossless=True)))
    assert (photo.alpha == np.asarray(GRAY)).all()


# Camera raw.


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
def test_camera_raw_is_developed_in_16_bit_and_upright(tmp_path, turned):
    pytest.importorskip("rawpy")
    path = written(tmp_path / "a.dng", dng(LEVELS, Orientation=turned, Make="Agfa", Artist="Oma", XMLPacket=b"<x/>"))
    photo = open_photo(path)
    assert photo.luma.dtype == np.uint16 and len(np.unique(photo.luma)) > 256
    expected = np.rot90((LEVELS / LEVELS.max()) ** (1 / 2.2) * 65535, {1: 0, 3: 2, 6: 3, 8: 1}[turned])
    assert photo.luma.shape == expected.shape
    assert np.abs(photo.luma - expected)[4:-4, 4:-4].max() < 0.04 * 65535
    saved = Image.Exif()
    saved.load(photo.metadata["exif"])
    assert (saved[Tag.Make], saved[Tag.Artist]) == ("Agfa", "Oma") and Tag.Orientation not in saved
    assert photo.metadata["xmp"] == b"<x/>" and "dpi" not in photo.metadata


def test_camera_raw_of_a_sensor_without_colors(tmp_path):
    pytest.importorskip("rawpy")
    data = dng(LEVELS, PhotometricInterpretation=34892, **{"33422": b""}, CFAPlaneColor=b"")
    assert open_photo(written(tmp_path / "a.dng", data)).luma.shape == (48, 64)


def test_camera_raw_that_is_too_large_or_none(tmp_path):
    pytest.importorskip("rawpy")
    with pytest.raises(BadPhoto, match="too large: 64 x 48"):
        open_photo(written(tmp_path / "a.dng", dng(LEVELS)), max_pixels=1000)
    with pytest.raises(BadPhoto, match="damaged or truncated"):
        open_photo(written(tmp_path / "a.dng", dng(LEVELS)[:3000]))
    for data in (b"Dear grandmother" * 10, encoded(GRAY, "TIFF")):
        with pytest.raises(BadPhoto, match="no camera raw file"):
            open_photo(written(tmp_path / "a.nef", data))


# Pages.


def gray_pages(path, target, keep=lambda number: True) -> None:
    "Write the pages of a file again, without colour."
    with open_pages(path) as found, save_pages(target, path) as write:
        for number, page in enumerate(found):
            if keep(number):
                photo = page.read()
                write(number, photo.merge(np.zeros((2, 2, 2))), photo)


def test_pages_of_a_tiff_each_with_its_own_size_depth_and_metadata(tmp_path):
    options = {"compression": "tiff_lzw"}
    first, second = GRAY.copy(), COLOR.resize((30, 20))
    data = pages("TIFF", first, second, Image.fromarray(LEVELS), dpi=(300, 300), **options)
    path = written(tmp_path / "a.tif", data)
    with open_pages(path) as found:
        assert [page.size for page in found] == [(64, 48), (30, 20), (64, 48)]
        assert count_pixels(path) == 64 * 48
    gray_pages(path, tmp_path / "b.tif")
    with open_pages(tmp_path / "b.tif") as found:
        photos = [page.read() for page in found]
    assert [photo.luma.dtype for photo in photos] == [np.uint8, np.uint8, np.uint16]
    assert (photos[0].luma == np.asarray(GRAY)).all() and (photos[2].luma == LEVELS).all()
    assert {photo.metadata["dpi"] for photo in photos} == {(300, 300)}
    assert [page.mode for page in stored_pages(tmp_path / "b.tif")] == ["RGB"] * 3


def test_pages_of_a_tiff_are_turned_each_by_itself(tmp_path):
    file = io.BytesIO()
    from PIL.TiffImagePlugin import AppendingTiffWriter

    with AppendingTiffWriter(file, new=True) as writer:
        for turned in (1, 6, 3):
            GRAY.save(writer, "TIFF", exif=orientation(turned))
            writer.newFrame()
    with open_pages(written(tmp_path / "a.tif", file.getvalue())) as found:
        photos = [page.read() for page in found]
    assert [photo.size for photo in photos] == [(64, 48), (48, 64), (64, 48)]
    assert (photos[2].luma == np.asarray(GRAY)[::-1, ::-1]).all()


def test_resolution_and_profile_of_one_page_are_not_those_of_the_next(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    from PIL.TiffImagePlugin import AppendingTiffWriter

    with AppendingTiffWriter(file, new=True) as writer:
        for options in ({"dpi": (300, 200), "icc_profile": profile[:200]}, {}, {"dpi": (100, 100)}):
            COLOR.save(writer, "TIFF", **options)
            writer.newFrame()
    with open_pages(written(tmp_path / "a.tif", file.getvalue())) as found:
        photos = [found[number].read() for number in (2, 1, 0)]
    assert [photo.metadata.get("dpi") for photo in photos] == [(100, 100), None, (300, 200)]
    assert [any("profile" in note for note in photo.notes) for photo in photos] == [False, False, True]


def test_thumbnails_and_masks_in_a_tiff_are_no_pages(tmp_path):
    file = io.BytesIO()
    from PIL.TiffImagePlugin import AppendingTiffWriter, ImageFileDirectory_v2

    with AppendingTiffWriter(file, new=True) as writer:
        for kind, image in ((0, GRAY), (1, GRAY.resize((8, 6))), (2, GRAY.rotate(180)), (4, GRAY)):
            tags = ImageFileDirectory_v2()
            tags[Tag.NewSubfileType] = kind
            image.save(writer, "TIFF", tiffinfo=tags)
            writer.newFrame()
    with open_pages(written(tmp_path / "a.tif", file.getvalue())) as found:
        assert [page.size for page in found] == [(64, 48), (64, 48)]


def test_16_bit_colors_of_a_later_page(tmp_path):
    pixels = noise(20, 30, 3, dtype=np.uint16)
    first, second = encoded(GRAY, "TIFF"), tiff(pixels)
    entries = int.from_bytes(first[8:10], "little")
    pointer = 10 + 12 * entries
    whole = bytearray(first + bytes(len(first) % 2))
    start = len(whole)
    moved = shifted(second, start)
    whole[pointer : pointer + 4] = (start + 8).to_bytes(4, "little")
    with open_pages(written(tmp_path / "a.tif", bytes(whole) + moved)) as found:
        photo = found[1].read()
    assert photo.luma.dtype == np.uint16
    assert np.abs(photo.luma - pixels @ np.array([0.299, 0.587, 0.114])).max() <= 1


def shifted(data: bytes, by: int) -> bytes:
    "A plain TIFF's bytes for another place in a file: what its directory points to is moved."
    moved = bytearray(data)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}
    for i in range(int.from_bytes(data[8:10], "little")):
        entry = 10 + 12 * i
        tag, kind = (int.from_bytes(data[entry + k : entry + k + 2], "little") for k in (0, 2))
        count = int.from_bytes(data[entry + 4 : entry + 8], "little")
        if sizes[kind] * count > 4 or tag == ExifTags.Base.StripOffsets:
            value = int.from_bytes(data[entry + 8 : entry + 12], "little") + by
            moved[entry + 8 : entry + 12] = value.to_bytes(4, "little")
    return bytes(moved)


def test_a_page_may_be_too_large_and_the_others_not(tmp_path):
    path = written(tmp_path / "a.tif", pages("TIFF", GRAY, GRAY.resize((200, 100)), GRAY))
    with open_pages(path, max_pixels=64 * 48) as found:
        assert found[0].read().size == found[2].read().size == (64, 48)
        with pytest.raises(BadPhoto, match="too large: 200 x 100"):
            found[1].read()


def test_a_tiff_whose_pages_never_end(tmp_path, monkeypatch):
    monkeypatch.setattr("deoldify_lite.photo.reading.MAX_PAGES", 3)
    assert open_photo(written(tmp_path / "a.tif", pages("TIFF", *[GRAY] * 2))).size == (64, 48)
    with pytest.raises(BadPhoto, match="more than 3 pages"):
        open_photo(written(tmp_path / "a.tif", pages("TIFF", *[GRAY] * 3)))
    data = bytearray(encoded(GRAY, "TIFF"))
    pointer = 10 + 12 * int.from_bytes(data[8:10], "little")
    data[pointer : pointer + 4] = (8).to_bytes(4, "little")  # its second page is its first
    with open_pages(written(tmp_path / "a.tif", bytes(data))) as found:
        assert len(found) == 1


# PDF.


@pytest.fixture
def scan(tmp_path):
    "A PDF of two scans: upright, and lying on its side with a page that is turned."
    pdfium = pytest.importorskip("pypdfium2")
    path = tmp_path / "scan.pdf"
    photo, lying = steps(300, 200), steps(300, 200).transpose(Image.Transpose.ROTATE_90)
    path.write_bytes(pages("PDF", photo, lying, resolution=150, title="Album", author="Oma"))
    with pdfium.PdfDocument(path) as document:
        document[1].set_rotation(90)
        document.save(tmp_path / "turned.pdf")
    return (tmp_path / "turned.pdf").replace(path)


def test_a_page_that_is_one_scan_has_the_pixels_of_the_scan(scan):
    assert count_pixels(scan) == 300 * 200
    with open_pages(scan) as found:
        assert [page.size for page in found] == [(300, 200), (300, 200)]
        for page in found:
            photo = page.read()
            assert photo.metadata["dpi"] == pytest.approx((150, 150), abs=0.1)
            assert difference(photo, steps(300, 200)) < 1


def test_a_pdf_keeps_page_sizes_and_turns_and_all_that_is_no_picture(scan, tmp_path):
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    with pdfium.PdfDocument(scan) as document:
        document.new_attachment("letter.txt")
        page = document[0]
        raw.FPDFPage_CloseAnnot(raw.FPDFPage_CreateAnnot(page, raw.FPDF_ANNOT_HIGHLIGHT))
        page.close()
        document.save(tmp_path / "more.pdf")
    (tmp_path / "more.pdf").replace(scan)
    target = tmp_path / "out.pdf"
    gray_pages(scan, target)
    with pdfium.PdfDocument(scan) as before, pdfium.PdfDocument(target) as after:
        assert after.get_metadata_dict() == before.get_metadata_dict() and before.get_metadata_value("Title") == "Album"
        assert after.count_attachments() == 1
        assert [raw.FPDFPage_GetAnnotCount(page) for page in after] == [1, 0]
        for old, new in zip(before, after, strict=True):
            assert new.get_size() == old.get_size() and new.get_rotation() == old.get_rotation()
    for old, new in zip(stored_pages(scan), stored_pages(target), strict=True):
        assert np.abs(np.asarray(old.convert("L"), int) - np.asarray(new.convert("L"))).max() < 6
    assert target.stat().st_size < 2 * scan.stat().st_size + 20_000


def test_a_page_with_more_than_one_picture_has_at_least_300_pixels_an_inch(tmp_path):
    """An album page: a coarse background under photos, and a coarse scan on which something is written."""
    pdfium = pytest.importorskip("pypdfium2")
    with pdfium.PdfDocument.new() as document:
        page = document.new_page(72, 36)
        for size, place in (((72, 36), (72, 0, 0, 36, 0, 0)), ((50, 50), (12, 0, 0, 12, 6, 6))):
            picture = pdfium.PdfImage.new(document)
            picture.load_jpeg(io.BytesIO(encoded(steps(*size), "JPEG")))
            picture.set_matrix(pdfium.PdfMatrix(*place))
            page.insert_obj(picture)
        page.gen_content()
        document.save(tmp_path / "album.pdf")
    assert open_photo(tmp_path / "album.pdf").size == (300, 150)


def test_a_line_of_text_on_a_large_photo_of_few_pixels_an_inch_does_not_blow_it_up(tmp_path):
    """As a camera's photo that says 72 pixels an inch, and a caption."""
    pytest.importorskip("pypdfium2")
    path = written(tmp_path / "a.pdf", pages("PDF", steps(300, 200), resolution=72))
    with_text(path, "12 May 1936", False)
    assert open_photo(path).size == (417, 278), "100 pixels an inch"


def test_a_scan_in_a_form_has_the_pixels_of_the_scan(scan, tmp_path):
    """As programs write it that put pages on paper of another size."""
    import pypdfium2 as pdfium

    with pdfium.PdfDocument(scan) as source, pdfium.PdfDocument.new() as document:
        form = source.page_as_xobject(0, document)
        content = form.as_pageobject()
        content.set_matrix(pdfium.PdfMatrix(0.5, 0, 0, 0.5, 0, 0))
        page = document.new_page(72, 48)
        page.insert_obj(content)
        page.gen_content()
        form.close()
        document.save(tmp_path / "smaller.pdf")
    assert open_photo(tmp_path / "smaller.pdf").size == (300, 200)


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_page_with_a_crop_box_that_is_turned_looks_the_same(scan, tmp_path, turned):
    import pypdfium2 as pdfium

    with pdfium.PdfDocument(scan) as document:
        document[0].set_cropbox(20, 10, 120, 70)
        document[0].set_rotation(turned)
        document.save(tmp_path / "in.pdf")
    gray_pages(tmp_path / "in.pdf", tmp_path / "out.pdf")
    old, new = (stored_pages(tmp_path / name)[0].convert("L") for name in ("in.pdf", "out.pdf"))
    assert old.size == new.size == ((100, 60) if turned in (0, 180) else (60, 100))
    assert np.abs(np.asarray(old, int) - np.asarray(new))[2:-2, 2:-2].max() < 8


def with_text(path, text: str, invisible: bool) -> None:
    import ctypes

    import pypdfium2 as pdfium
    from pypdfium2 import raw

    with pdfium.PdfDocument(path) as document:
        page = document[0]
        letters = raw.FPDFPageObj_NewTextObj(document, b"Helvetica", 12)
        encoded_text = ctypes.create_string_buffer(f"{text}\0".encode("utf-16-le"))
        raw.FPDFText_SetText(letters, ctypes.cast(encoded_text, raw.FPDF_WIDESTRING))
        if invisible:
            raw.FPDFTextObj_SetTextRenderMode(letters, raw.FPDF_TEXTRENDERMODE_INVISIBLE)
        written = pdfium.PdfObject(letters, pdf=document)
        written.set_matrix(pdfium.PdfMatrix().translate(20, 20))
        page.insert_obj(written)
        page.gen_content()
        page.close()
        document.save(path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("invisible", [True, False])
def test_recognized_text_stays_and_printed_text_becomes_picture_with_a_note(scan, tmp_path, invisible):
    import pypdfium2 as pdfium

    with_text(scan, "Oma am See", invisible)
    assert any("text" in note for note in open_photo(scan).notes) != invisible
    gray_pages(scan, tmp_path / "out.pdf")
    with pdfium.PdfDocument(tmp_path / "out.pdf") as document:
        found = document[0].get_textpage().get_text_range()
    assert found == ("Oma am See" if invisible else "")


def test_recognized_text_in_a_form_stays_as_well(scan, tmp_path):
    """As OCRmyPDF writes it."""
    import pypdfium2 as pdfium

    layer = tmp_path / "layer.pdf"
    with pdfium.PdfDocument.new() as document:
        document.new_page(200, 100).close()
        document.save(layer)
    with_text(layer, "Oma am See", True)
    with pdfium.PdfDocument(scan) as document, pdfium.PdfDocument(layer) as text:
        form = text.page_as_xobject(0, document)
        page = document[0]
        page.insert_obj(form.as_pageobject())
        page.gen_content()
        form.close()
        page.close()
        document.save(tmp_path / "with form.pdf")
    assert not any("text" in note for note in open_photo(tmp_path / "with form.pdf").notes)
    gray_pages(tmp_path / "with form.pdf", tmp_path / "out.pdf")
    with pdfium.PdfDocument(tmp_path / "out.pdf") as document:
        assert document[0].get_textpage().get_text_range() == "Oma am See"


def test_a_page_that_is_left_out_stays_as_it_was(scan, tmp_path):
    gray_pages(scan, tmp_path / "out.pdf", keep=lambda number: number == 1)
    old, new = stored_pages(scan)[0], stored_pages(tmp_path / "out.pdf")[0]
    assert old.tobytes() == new.tobytes()


def test_a_page_without_pictures_and_one_with_a_small_one(tmp_path):
    pdfium = pytest.importorskip("pypdfium2")
    with pdfium.PdfDocument.new() as document:
        document.new_page(72, 36)
        document.save(tmp_path / "a.pdf")
    assert open_photo(tmp_path / "a.pdf").size == (300, 150)
    with pytest.raises(BadPhoto, match="too large: 300 x 150"):
        open_photo(tmp_path / "a.pdf", max_pixels=1000)


def test_a_damaged_picture_is_told_and_no_white_page(tmp_path):
    pytest.importorskip("pypdfium2")
    data = pages("PDF", GRAY, GRAY, resolution=150)
    start = data.index(b"\xff\xd8")
    data = data[:start] + bytes(400) + data[start + 400 :]
    with open_pages(written(tmp_path / "a.pdf", data)) as found:
        with pytest.raises(BadPhoto, match="its picture is damaged"):
            found[0].read()
        assert difference(found[1].read(), GRAY) < 2


def test_a_pdf_with_a_password_and_a_broken_one(tmp_path):
    pytest.importorskip("pypdfium2")
    whole = pages("PDF", GRAY)
    for data in (whole[:300], b"%PDF-1.4\n"):
        with pytest.raises(BadPhoto, match="damaged, or not a whole PDF"):
            open_photo(written(tmp_path / "a.pdf", data))
    with pytest.raises(BadPhoto, match="protected by a password"):
        open_photo(written(tmp_path / "a.pdf", locked(whole)))


def locked(data: bytes) -> bytes:
    "A PDF that says it is encrypted (RC4 of 40 bit) under a password that nobody knows."
    nobody = b"<00112233445566778899aabbccddeeff> "
    keys = b"/O <" + b"00" * 32 + b"> /U <" + b"11" * 32 + b"> >> "
    key = b" /Encrypt << /Filter /Standard /V 1 /R 2 /P -44 " + keys + b"/ID [" + 2 * nobody + b"] "
    cut = data.index(b"<<", data.rindex(b"trailer")) + 2
    return data[:cut] + key + data[cut:]


def test_pages_of_a_tiff_become_a_pdf_in_the_size_of_the_paper(tmp_path):
    pdfium = pytest.importorskip("pypdfium2")
    path = written(tmp_path / "a.tif", pages("TIFF", GRAY, GRAY.resize((120, 240)), dpi=(100, 100)))
    gray_pages(path, tmp_path / "b.pdf")
    with pdfium.PdfDocument(tmp_path / "b.pdf") as document:
        assert [page.get_size() for page in document] == [pytest.approx((46.08, 34.56)), pytest.approx((86.4, 172.8))]
    gray_pages(tmp_path / "b.pdf", tmp_path / "c.tif")
    assert [page.size for page in stored_pages(tmp_path / "c.tif")] == [(64, 48), (120, 240)]


def test_one_photo_as_a_pdf(tmp_path):
    pytest.importorskip("pypdfium2")
    photo = open_photo(written(tmp_path / "a.png", encoded(GRAY, "PNG")))
    save_photo(photo.merge(np.zeros((2, 2, 2))), photo, tmp_path / "a.pdf")
    assert difference(open_photo(tmp_path / "a.pdf"), GRAY) < 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_while_a_pdf_is_saved_is_told(tmp_path, scan, monkeypatch):
    from deoldify_lite.photo import pdf

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    class OnFullDisk(pdf._Output):
        def __init__(self, file):
            super().__init__(Full())

    monkeypatch.setattr(pdf, "_Output", OnFullDisk)
    with pytest.raises(OSError, match="No space left"):
        gray_pages(scan, tmp_path / "out.pdf")
    assert not (tmp_path / "out.pdf").exists()


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_an_empty_page_is_not_taken_for_a_damaged_one(tmp_path, mode, caplog):
    pytest.importorskip("pypdfium2")
    photo = open_photo(written(tmp_path / "a.pdf", pages("PDF", Image.new(mode, (64, 48), "white"))))
    assert photo.size == (64, 48) and photo.luma.min() >= 254
    assert not caplog.records, "nothing for the user to see"
