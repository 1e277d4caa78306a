"""The site as people meet it, in a real browser: photos of all kinds in, files out, with and without a connection.

Most tests have a tiny network; the one that ships is compared with the engine.
"""

import io
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from deoldify_lite import Colorizer
from deoldify_lite.bt601 import LUMA_WEIGHTS
from deoldify_lite.models import MODELS
from deoldify_lite.samples import sample_photos
from helpers.browser import DESKTOP, PHONE, expect
from helpers.photo_files import BROKEN, UPRIGHT, encoded, noise, oriented, png
from helpers.served import serve

pytestmark = pytest.mark.slow


def colorize(page, *paths: Path) -> None:
    "Give the page photos, and wait until all are done or failed."
    before = page.locator("#photos li").count()
    page.set_input_files("#files", paths)
    expect(page.locator("#photos li")).to_have_count(before + len(paths))
    wait(page)


def wait(page) -> None:
    expect(page.locator("#photos .state", has_text="…")).to_have_count(0)


def choose(page, **settings: str) -> None:
    "Set strength, factor or format, as a visitor does."
    for name, value in settings.items():
        field = page.locator(f"#{name}")
        field.select_option(value) if name == "format" else field.fill(value)
    wait(page)


def download(page, folder: Path, button: str = "#download") -> Path:
    with page.expect_download() as arriving:
        page.click(button)
    path = folder / arriving.value.suggested_filename
    arriving.value.save_as(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.float64)


def chroma(values: np.ndarray) -> float:
    return float(np.ptp(values, axis=-1).mean())


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def grandmother(tmp_path) -> Path:
    "A photo in black and white, with a name and a description, stored lying on its side."
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "my grandmother"
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "my grandmother.JPG"
    with Image.open(sample_photos()["grace_hopper.jpg"]) as image:
        lying = image.convert("L").resize((256, 300)).transpose(Image.Transpose.ROTATE_90)
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
        lying.save(path, "JPEG", quality=95, exif=exif, dpi=(200, 300), xmp=xmp)
    return path


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_the_same_pictures_as_the_engine(visit, shipped_sites, tmp_path, out, storage):
    "At most two levels apart on 99 % of the values, of the three samples as PNG."
    colorizer = Colorizer("lite", "cpu", "float32", MODELS["lite"].render_factor)
    with serve(shipped_sites[storage]) as served:
        page = visit(served)
        for name, path in sample_photos().items():
            with Image.open(path) as image:
                gray = image.convert("L")
            gray.save(tmp_path / f"{name}.png")
            colorize(page, tmp_path / f"{name}.png")
            page.locator("#photos button").last.click()
            theirs = pixels(download(page, out))
            ours = np.asarray(colorizer.colorize(gray), np.float64)
            difference = np.abs(theirs - ours)
            assert theirs.shape == ours.shape and chroma(ours) > 4
            assert (difference <= 2).mean() > 0.99, name
            assert np.abs((theirs - ours) @ np.array(LUMA_WEIGHTS)).max() <= 2, "luma stays"


def test_what_a_visitor_downloads_is_small(shipped_sites, package):
    "At most 15 MB for the network, and 12 for all else."
    files = {path.name: path.stat().st_size for path in shipped_sites["int8"].iterdir()}
    network = sum(size for name, size in files.items() if ".onnx" in name)
    on_a_gpu = sum(size for name, size in files.items() if "asyncify" in name or "webgpu" in name)
    assert network < 15e6
    assert sum(files.values()) - network < 12e6 and on_a_gpu > 1e6


def test_a_photo_comes_back_with_name_size_and_metadata(page, grandmother, out):
    colorize(page, grandmother)
    result = download(page, out)
    assert result.name == grandmother.name
    with Image.open(result) as made, Image.open(grandmother) as original:
        assert made.format == "JPEG" and made.size == (256, 300)
        exif = made.getexif()
        assert exif[ExifTags.Base.ImageDescription] == "my grandmother"
        assert exif[ExifTags.Base.Orientation] == 1
        assert made.info["dpi"] == (300, 200)
        assert b'tiff:Orientation="1"' in made.info["xmp"]
        upright = np.asarray(original.rotate(-90, expand=True), np.float64)
    after = pixels(result)
    assert chroma(after) > 2
    assert np.abs(after @ np.array(LUMA_WEIGHTS) - upright).mean() < 2
    expect(page.locator("#message")).to_contain_text(re.compile("256 . 300 pixels"))


def test_other_formats_and_another_format_on_request(page, grandmother, tmp_path, out):
    with Image.open(grandmother) as image:
        image.convert("RGB").save(tmp_path / "old.webp")
    colorize(page, tmp_path / "old.webp")
    assert download(page, out).name == "old.png"
    choose(page, format="jpeg")
    assert download(page, out).name == "old.jpg"
    colorize(page, grandmother)
    choose(page, format="png")
    page.locator("#photos button").last.click()
    result = download(page, out)
    assert result.name == "my grandmother.png"
    with Image.open(result) as made:
        assert made.format == "PNG" and [round(each) for each in made.info["dpi"]] == [300, 200], "turned with it"
        assert made.getexif()[ExifTags.Base.ImageDescription] == "my grandmother"
        assert b'tiff:Orientation="1"' in made.info["xmp"]


@pytest.mark.parametrize("value", [1, 3, 5, 8])
def test_photos_are_turned_upright(page, tmp_path, out, value):
    (tmp_path / "turned.jpg").write_bytes(oriented("JPEG", value))
    colorize(page, tmp_path / "turned.jpg")
    choose(page, format="png", strength="0")
    result = pixels(download(page, out))
    assert result.shape[:2] == UPRIGHT.shape
    assert np.abs(result[..., 0] - UPRIGHT).max() < 12


def test_transparency_stays_in_png_and_is_left_out_of_jpeg(page, tmp_path, out):
    photo = noise(60, 80, 4)
    photo[:30, :, 3] = 255
    (tmp_path / "cut out.png").write_bytes(png(photo))
    colorize(page, tmp_path / "cut out.png")
    with Image.open(download(page, out)) as made:
        assert made.mode == "RGBA"
        assert np.array_equal(np.asarray(made)[..., 3], photo[..., 3])
        luma = np.asarray(made.convert("RGB"), np.float64)[:30] @ np.array(LUMA_WEIGHTS)
    expected = photo[:30, :, :3].astype(np.float64) @ np.array(LUMA_WEIGHTS)
    assert np.abs(luma - expected).max() <= 2.5
    choose(page, format="jpeg")
    expect(page.locator("#notes")).to_contain_text("its transparency was left out, which JPEG cannot hold")


def test_16_bit_becomes_8_and_the_page_says_so(page, tmp_path, out):
    (tmp_path / "deep.png").write_bytes(png(noise(20, 30, 1, dtype=np.uint16)))
    colorize(page, tmp_path / "deep.png")
    expect(page.locator("#notes")).to_contain_text("its 16 bit a channel became 8")
    with Image.open(download(page, out)) as made:
        assert made.mode == "RGB" and made.size == (30, 20)


def test_a_photo_of_one_pixel(page, tmp_path, out):
    Image.new("L", (1, 1), 90).save(tmp_path / "one.png")
    colorize(page, tmp_path / "one.png")
    with Image.open(download(page, out)) as made:
        assert made.size == (1, 1) and made.format == "PNG"


def test_what_is_no_photo_gets_a_sentence_and_the_others_are_done(page, grandmother, tmp_path):
    names = ["empty.jpg", "text.jpg", "zeros.png", "cut.jpg", "cut.png", "heic.jpg", "svg.png"]
    for name in names:
        (tmp_path / name).write_bytes(BROKEN[name][0])
    colorize(page, *(tmp_path / name for name in names), grandmother)
    expect(page.locator("#count")).to_have_text("1 of 8 colorized, 7 failed")
    page.locator("#photos button").nth(1).click()
    expect(page.locator("#message")).to_have_text(
        "This photo was not colorized: not a photo, or in a format that this browser cannot open."
    )
    assert not page.is_visible("#download") and not page.is_visible("#compare")
    page.locator("#photos button").nth(3).click()
    expect(page.locator("#message")).to_have_text("This photo was not colorized: damaged or truncated.")


def test_a_bomb_is_refused_before_it_is_decoded(page, tmp_path):
    import struct
    import zlib

    bomb = bytearray(png(noise(8, 8, 1)))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    (tmp_path / "bomb.png").write_bytes(bomb)
    colorize(page, tmp_path / "bomb.png")
    expect(page.locator("#message")).to_contain_text("too large: 60000 x 60000 is more than 150,000,000 pixels")


def test_twelve_megapixels(page, tmp_path, out):
    with Image.open(sample_photos()["china.jpg"]) as image:
        image.convert("L").resize((4000, 3000)).save(tmp_path / "large.jpg", quality=90)
    colorize(page, tmp_path / "large.jpg")
    with Image.open(download(page, out)) as made:
        assert made.size == (4000, 3000)
        made.draft("RGB", (500, 375))
        assert chroma(np.asarray(made, np.float64)) > 2


def test_twenty_photos_at_once_and_all_in_a_zip(page, grandmother, out, tmp_path):
    names = [f"{number}.jpg" for number in range(18)] + ["großmutter.png", "großmutter.webp"]
    with Image.open(grandmother) as image:
        for name in names:
            image.save(tmp_path / name)
    colorize(page, *(tmp_path / name for name in names))
    expect(page.locator("#count")).to_have_text("20 of 20 colorized")
    archive = download(page, out, "#download-all")
    assert archive.name == "colorized.zip"
    with zipfile.ZipFile(archive) as content:
        assert content.testzip() is None
        assert content.namelist() == [*names[:18], "großmutter.png", "großmutter (2).png"]
        assert all(chroma(np.asarray(Image.open(io.BytesIO(content.read(name))), np.float64)) > 1 for name in names[:3])
    page.click("#clear")
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#files")).to_be_focused()


def test_strength_and_render_factor_count(page, grandmother, out):
    colorize(page, grandmother)
    choose(page, format="png")
    results = [pixels(download(page, out))]
    for settings in ({"strength": "0.5"}, {"strength": "0"}, {"strength": "1", "factor": "12"}):
        choose(page, **settings)
        results.append(pixels(download(page, out)))
    usual, pale, gray, finer = results
    assert chroma(gray) == 0 < chroma(pale) < chroma(usual)
    assert np.abs(finer - usual).max() > 2


def test_the_handle_uncovers_the_colors_by_keyboard_and_pointer(page, grandmother):
    colorize(page, grandmother)
    split, after = page.locator("#split"), page.locator("#after")
    box = page.locator("#compare").bounding_box()

    def covered() -> float:
        edge = after.evaluate("image => getComputedStyle(image).clipPath")
        return float(edge.removeprefix("inset(0px 0px 0px ").split("%")[0])

    assert covered() == 50
    split.press("ArrowLeft")
    assert covered() == 49.5
    split.press("Home")
    assert covered() == 0
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 20)
    assert abs(covered() - 80) < 1.5


def test_photos_can_be_dropped_and_pasted(page, grandmother):
    give = """(target, [kind, text]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], "given.jpg"));
        const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true })
            : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
        target.dispatchEvent(event);
    }"""
    import base64

    text = base64.b64encode(grandmother.read_bytes()).decode()
    body = page.locator("body")
    body.evaluate(give, ["dragenter", text])
    expect(page.locator("#over")).to_be_visible()
    for number, kind in enumerate(("drop", "paste"), start=1):
        body.evaluate(give, [kind, text])
        expect(page.locator("#over")).to_be_hidden()
        wait(page)
        expect(page.locator("#count")).to_have_text(f"{number} of {number} colorized")


def test_a_name_with_code_in_it_is_only_a_name(page, tmp_path):
    path = tmp_path / "&lt;img src=x onerror=alert(1)&gt;<img src=x onerror=alert(2)>.jpg"
    path.write_text("Dear grandmother")
    colorize(page, path)
    expect(page.locator("#name")).to_have_text(path.name)
    assert not page.locator("img[src=x]").count()


def test_without_a_connection_after_loading(visit, site, grandmother):
    with serve(site) as served:
        page = visit(served)
        expect(page.locator("#offline")).to_be_visible()
        assert page.evaluate("crossOriginIsolated"), "there may be threads"
        assert sum(".onnx" in path for path in served.asked) == 1, "the network is loaded once"
    colorize(page, grandmother)  # the server is gone
    expect(page.locator("#count")).to_have_text("1 of 1 colorized")
    page.reload()
    expect(page.locator("#backend")).not_to_be_empty()
    page.click("#sample")
    wait(page)
    expect(page.locator("#count")).to_have_text("1 of 1 colorized")


def test_without_a_service_worker_on_one_thread(visit, served, grandmother):
    page = visit(served, service_workers="block")
    assert not page.evaluate("crossOriginIsolated")
    expect(page.locator("#backend")).to_have_text("Computes on this computer, on 1 thread.")
    expect(page.locator("#offline")).to_be_hidden()
    colorize(page, grandmother)
    expect(page.locator("#count")).to_have_text("1 of 1 colorized")


def test_a_new_version_replaces_the_old_one(visit, site, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    with serve(tmp_path / "site") as served:
        page = visit(served)
        build = tmp_path / "site" / "build.js"
        build.write_text(build.read_text().replace('"version": "', '"version": "new'))
        index = tmp_path / "site" / "index.html"
        index.write_text(index.read_text().replace("Choose photos</label>", "Take photos</label>"))
        for _ in range(20):  # the first finds the new one; when it takes over depends on the machine
            page.reload()
            expect(page.locator("#backend")).not_to_be_empty()
            page.wait_for_timeout(500)
            if page.locator("label[for=files]").inner_text().strip() == "Take photos":
                break
        expect(page.locator("label[for=files]")).to_have_text("Take photos", timeout=1000)


def test_a_new_network_comes_before_the_old_one_goes(visit, site, tmp_path):
    """A visitor whose page worked without a connection keeps that, whatever was published meanwhile."""
    shutil.copytree(site, tmp_path / "site")
    (network,) = (tmp_path / "site").glob("network.*.gz")
    build = tmp_path / "site" / "build.js"
    with serve(tmp_path / "site") as served:
        page = visit(served)
        build.write_text(
            build.read_text()
            .replace(network.name, "network.01234567.onnx.gz")
            .replace('"version": "', '"version": "new')
        )
        network.rename(network.with_name("network.01234567.onnx.gz"))
        for _ in range(20):
            page.reload()
            expect(page.locator("#backend")).not_to_be_empty()
            page.wait_for_timeout(500)
            if page.evaluate("BUILD.version").startswith("new"):
                break
        assert page.evaluate("BUILD.version").startswith("new")
        assert sum("network.01234567" in path for path in served.asked) == 1
    page.reload()
    expect(page.locator("#backend")).not_to_be_empty()


def test_a_page_that_cannot_start_says_so(visit, site, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site" / "zip.js").unlink()
    with serve(tmp_path / "site") as served:
        page = visit(served, is_ready=False)
        expect(page.locator("#broken p")).to_contain_text("this browser is too old for it")
        expect(page.locator("#loading")).to_be_hidden()


def test_a_damaged_or_missing_network_gets_a_sentence(visit, site, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    (network,) = (tmp_path / "site").glob("network.*.gz")
    whole = network.read_bytes()
    with serve(tmp_path / "site") as served:
        network.unlink()
        page = visit(served, is_ready=False)
        expect(page.locator("#broken p")).to_contain_text("is missing on the server (404)")
        network.write_bytes(encoded(Image.new("L", (9, 9)), "PNG"))
        page.click("#again")
        expect(page.locator("#broken p")).to_contain_text("arrived damaged")
        expect(page.locator("#loading")).to_be_hidden()
        changed = network.stat().st_mtime
        network.write_bytes(whole)
        os.utime(network, (changed, changed))  # "not modified", says the server, and the browser's copy is damaged
        page.click("#again")
        expect(page.locator("#backend")).not_to_be_empty()


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_nothing_hinders_people_with_disabilities(visit, served, grandmother, tmp_path, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(served, size, color_scheme=scheme)

    def check():
        found = axe.run(page).response["violations"]
        assert not [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]

    check()
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    colorize(page, grandmother, tmp_path / "letter.jpg")
    check()
    page.locator("#photos button").last.click()
    page.locator("summary").click()
    check()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"


def test_everything_works_by_keyboard(page, grandmother):
    "In the order of the page: files, settings, download, the photos."
    colorize(page, grandmother)
    reached = []
    page.locator("#files").focus()
    for _ in range(8):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    assert reached == ["files", "split", "strength", "factor", "format", "download", "clear", "BUTTON"]
