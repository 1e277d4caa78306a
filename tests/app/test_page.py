"""The page as people meet it: in a real browser.

Screenshots are kept in the temporary folder of pytest.
"""

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deoldify_lite.bt601 import LUMA_WEIGHTS
from deoldify_lite.restore.restorer import Restorer
from deoldify_lite.samples import sample_photos
from helpers.browser import DESKTOP, PHONE, WAIT, expect, new_pages
from helpers.clips import decode, pan, payloads, planes, write_clip

pytestmark = pytest.mark.slow


@pytest.fixture
def visit(browser, server, tmp_path) -> Iterator:
    "Open the page at a size; afterwards, every request went to it and no script of a stranger ran."
    with new_pages(browser, tmp_path) as (new_page, surprises):

        def open_page(size=DESKTOP, **options):
            page = new_page(server.address, size, **options)
            page.on("dialog", lambda dialog: (surprises.append(dialog.message), dialog.dismiss()))
            page.goto(server.address)
            page.wait_for_selector("#go")
            page.wait_for_selector("#slider img")
            return page

        yield open_page


@pytest.fixture
def grandmother(tmp_path) -> Path:
    "A photo in black and white, with a name and a description."
    exif = Image.Exif()
    exif[0x010E] = "my grandmother"
    path = tmp_path / "grandmother.jpg"
    with Image.open(sample_photos()["grace_hopper.jpg"]) as image:
        image.convert("L").save(path, quality=95, exif=exif, dpi=(300, 300))
    return path


def colorize(page, *paths: Path) -> None:
    page.set_input_files("#photos input[type=file]", paths)
    expect(page.locator("#photos tr.file")).to_have_count(len(paths))  # not before all have arrived
    page.click("#go")


def wait_for_slider(page, name: str) -> None:
    "Until the slider shows this photo."
    expect(page.locator("#slider label")).to_have_text(name)
    page.wait_for_function("[...document.querySelectorAll('#slider img')].every(image => image.complete)")


def shown(page, which: int, name: str) -> np.ndarray:
    "The pixels of what the slider shows of a photo: 0 before, 1 after."
    wait_for_slider(page, name)
    image = page.locator("#slider img").nth(which)
    data = page.context.request.get(image.get_attribute("src")).body()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def chroma(pixels: np.ndarray) -> float:
    return float(np.ptp(pixels, axis=-1).mean())


def download(page, selector: str, folder: Path) -> Path:
    page.wait_for_selector(f"{selector}:visible")
    with page.expect_download() as arriving:
        page.click(selector)
    path = folder / arriving.value.suggested_filename
    arriving.value.save_as(path)
    return path


def test_a_photo_gets_color_and_comes_back_with_its_name_and_size(visit, grandmother, tmp_path):
    page = visit()
    colorize(page, grandmother)
    page.wait_for_selector("#download:visible")
    before, after = shown(page, 0, "grandmother.jpg"), shown(page, 1, "grandmother.jpg")
    assert chroma(before) < 1 and chroma(after) > 2, "the result has colour"
    assert before.shape == after.shape
    page.screenshot(path=tmp_path / "desktop.png", full_page=True)

    (tmp_path / "out").mkdir()
    result = download(page, "#download", tmp_path / "out")
    assert result.name == "grandmother.jpg"
    with Image.open(result) as made, Image.open(grandmother) as original:
        assert made.format == "JPEG" and made.size == original.size
        assert made.getexif()[0x010E] == "my grandmother" and made.info["dpi"] == (300, 300)
        pixels = np.asarray(made, np.float64)
        assert chroma(pixels) > 2
        assert np.abs(pixels @ np.array(LUMA_WEIGHTS) - np.asarray(original)).mean() < 2


def test_the_handle_uncovers_the_colors(visit, grandmother):
    page = visit()
    colorize(page, grandmother)
    wait_for_slider(page, "grandmother.jpg")

    def colorful() -> tuple[float, float]:
        "Chroma of the left and the right third of what is on the screen, the handle and its label left out."
        picture = np.asarray(Image.open(io.BytesIO(page.locator("#slider img").nth(0).screenshot())).convert("RGB"))
        picture = picture[picture.shape[0] * 3 // 4 :].astype(float)
        third = picture.shape[1] // 3
        return chroma(picture[:, :third]), chroma(picture[:, -third:])

    handle = page.locator("#slider [data-testid=slider]")
    colored = page.locator("#slider img").nth(1)  # covered up to a fraction of the width
    expect(colored).to_have_attribute("style", re.compile(r"\b50%\)"))
    left, right = colorful()
    assert left < 1 < right
    box, picture = handle.bounding_box(), page.locator("#slider img").nth(0).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(picture["x"] + 2, middle, steps=8)
    page.mouse.up()
    expect(colored).to_have_attribute("style", re.compile(r" 1?\d(\.\d+)?%\)"))
    left, right = colorful()
    assert left > 1 and right > 1, "now all of it is in colour"


def test_many_photos_give_a_gallery_and_a_zip_and_a_bad_one_a_sentence(visit, grandmother, tmp_path):
    letter, second = tmp_path / "letter.jpg", tmp_path / "großmutter (2).png"
    letter.write_text("Dear grandmother")
    Image.new("L", (60, 40), 90).save(second)
    page = visit()
    colorize(page, grandmother, letter, second)
    page.wait_for_selector("#download-all:visible")
    expect(page.locator("#message")).to_have_text("letter.jpg: not a photo, or in a format that is not supported")
    expect(page.locator("#gallery .thumbnail-item")).to_have_count(2)

    (tmp_path / "out").mkdir()
    archive = download(page, "#download-all", tmp_path / "out")
    assert archive.name == "colorized.zip"
    with zipfile.ZipFile(archive) as content:
        assert content.namelist() == ["grandmother.jpg", "großmutter (2).png"]

    page.locator("#gallery .thumbnail-item").nth(1).click()
    page.wait_for_selector("#download:has-text('großmutter')")
    assert shown(page, 1, second.name).shape == (40, 60, 3)
    expect(page.locator("#feedback")).to_contain_text(second.name)
    with Image.open(download(page, "#download", tmp_path / "out")) as made:
        assert made.size == (60, 40)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"colorized.zip", "großmutter (2).png"}


def test_a_text_file_named_jpg_gets_a_sentence(visit, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    page = visit()
    colorize(page, tmp_path / "letter.jpg")
    expect(page.locator("#message")).to_have_text("letter.jpg: not a photo, or in a format that is not supported")
    assert not page.is_visible("#download") and not page.is_visible("#feedback")


def test_a_photo_of_one_pixel(visit, tmp_path):
    Image.new("L", (1, 1), 90).save(tmp_path / "one.png")
    (tmp_path / "out").mkdir()
    page = visit()
    colorize(page, tmp_path / "one.png")
    with Image.open(download(page, "#download", tmp_path / "out")) as made:
        assert made.size == (1, 1) and made.format == "PNG"


def test_files_that_are_too_large_or_of_another_kind_or_none(visit, tmp_path):
    page = visit()
    page.click("#go")
    expect(page.locator("#message")).to_have_text("Choose a photo first, or try one of the samples.")
    expect(page.locator("#slider label")).to_have_text("Example: drag the handle")  # which nothing covers
    (tmp_path / "large.jpg").write_bytes(bytes(3 << 20))
    page.set_input_files("#photos input[type=file]", tmp_path / "large.jpg")
    page.wait_for_selector("text=exceed the maximum allowed size")
    page = visit()
    (tmp_path / "letter.txt").write_text("Dear grandmother")
    page.set_input_files("#photos input[type=file]", tmp_path / "letter.txt")
    page.wait_for_selector("text=Invalid file type")


def test_too_many_photos(visit, grandmother, tmp_path):
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for path in paths:
        path.write_bytes(grandmother.read_bytes())
    page = visit()
    colorize(page, *paths)
    expect(page.locator("#message")).to_have_text("These are 5 photos; please send at most 4 at once.")
    assert not page.is_visible("#download")


def test_a_name_with_code_in_it_is_only_a_name(visit, tmp_path):
    path = tmp_path / "&lt;img src=x onerror=alert(1)&gt;<img src=x onerror=alert(2)>.jpg"
    path.write_text("Dear grandmother")
    page = visit()
    page.set_input_files("#photos input[type=file]", path)
    page.wait_for_function("document.querySelector('#photos').innerText.includes('onerror')")
    page.click("#go")
    expect(page.locator("#message")).to_contain_text("onerror=alert(1)")
    assert not page.locator("img[src=x]").count()


def test_a_sample_needs_one_click(visit):
    page = visit()
    page.locator("#samples .thumbnail-item").nth(1).click()
    name = list(sample_photos())[1]
    page.wait_for_selector(f"#download:has-text('{name}')")
    assert chroma(shown(page, 0, name)) < 1 and chroma(shown(page, 1, name)) > 2


def test_options(visit, grandmother):
    page = visit()
    assert not page.is_visible("#options input[type=range]")
    page.click("#options button")
    strength = page.locator("#options input[type=number]").nth(0)
    strength.wait_for()
    assert page.locator("#options input[type=number]").nth(1).input_value() == "0", "chosen by size"
    for _ in range(20):  # the options that have just opened may still be given their first values
        strength.fill("0")
        strength.press("Enter")
        page.wait_for_timeout(500)
        if strength.input_value() == "0":
            break
    colorize(page, grandmother)
    page.wait_for_selector("#download:visible")
    assert chroma(shown(page, 1, "grandmother.jpg")) == 0, "strength 0 is grayscale"


def test_what_people_think_is_kept_and_the_photo_only_if_ticked(visit, server, grandmother):
    page = visit()
    colorize(page, grandmother)
    page.wait_for_selector("#feedback:visible")
    page.click("#feedback button:has-text('Send')")
    page.wait_for_selector("text=Choose thumbs up or thumbs down first.")
    assert not server.feedback.exists()

    page.click("#feedback label:has-text('Poor')")
    page.fill("#feedback textarea", "the hat is blue")
    page.click("#feedback button:has-text('Send')")
    page.wait_for_selector("text=Thank you")
    page.wait_for_function("document.querySelector('#feedback textarea').value == ''")
    (line,) = map(json.loads, (server.feedback / "feedback.jsonl").read_text().splitlines())
    assert (line["verdict"], line["remark"], line["photo"]) == ("poor", "the hat is blue", None)
    assert (line["model"], line["strength"], line["render_factor"]) == ("tiny", 1, 8), "the photo is large"
    assert re.fullmatch("[0-9a-f]{12}", line["sha256"]) and line["size"] == [512, 600]
    assert [path.name for path in server.feedback.iterdir()] == ["feedback.jsonl"]

    page.click("#feedback label:has-text('Good')")
    page.check("#feedback input[type=checkbox]")
    page.click("#feedback button:has-text('Send')")
    page.wait_for_function("!document.querySelector('#feedback input[type=checkbox]').checked")
    again = json.loads((server.feedback / "feedback.jsonl").read_text().splitlines()[1])
    assert again["result"] == line["result"] and again["verdict"] == "good"
    assert (server.feedback / "photos" / again["photo"]).read_bytes() == grandmother.read_bytes()


def open_correction(page, sample: str) -> None:
    "Colorize a sample with the small model that ships, and open the result to be corrected."
    page.click("#options button")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="lite", exact=True).click()
    page.locator("#samples .thumbnail-item").nth(list(sample_photos()).index(sample)).click()
    page.wait_for_selector(f"#download:has-text('{sample}')")
    page.click("#correct")
    expect(page.locator("#hints-picture label")).to_have_text("Click on what has the wrong colour")
    page.wait_for_selector("#hints-picture img")


def picture(page) -> str:
    return page.locator("#hints-picture img").get_attribute("src")


@contextlib.contextmanager
def new_picture(page) -> Iterator[None]:
    "Do something, and wait until there is another picture, and it has arrived."
    old = picture(page)
    yield
    expect(page.locator("#hints-picture img")).not_to_have_attribute("src", old)
    page.wait_for_function("document.querySelector('#hints-picture img').complete")


def picture_pixels(page) -> np.ndarray:
    data = page.context.request.get(picture(page)).body()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def click_picture(page, x: float, y: float) -> None:
    "Click on a place of the picture: fractions of width and height."
    box = page.locator("#hints-picture img").bounding_box()
    page.locator("#hints-picture img").click(position={"x": x * box["width"], "y": y * box["height"]})


def hue(pixels: np.ndarray) -> np.ndarray:
    "The mean colour without its brightness."
    mean = pixels.reshape(-1, 3).mean(0)
    return (mean - mean.mean()) / 255


def test_a_click_on_the_flower_gives_it_a_color_and_not_the_leaves(visit, tmp_path):
    page = visit()
    open_correction(page, "flower.jpg")
    first = page.context.request.get(picture(page)).body()
    before = picture_pixels(page)
    height, width = before.shape[:2]
    petals = slice(int(0.3 * height), int(0.4 * height)), slice(int(0.42 * width), int(0.55 * width))
    leaves = slice(int(0.1 * height), int(0.4 * height)), slice(int(0.05 * width), int(0.2 * width))

    with new_picture(page):
        click_picture(page, 0.42, 0.42)  # a petal
    expect(page.locator("#hints-picture label")).to_have_text("Now choose its colour")
    with new_picture(page):
        page.locator("#swatches label", has_text="Blue").click()
    after = picture_pixels(page)
    red, _, blue = hue(after[petals])
    assert blue > 0.03 and red < 0 and hue(before[petals])[2] < 0, "the petals have become blue"
    changes = [np.abs(hue(after[place]) - hue(before[place])).max() for place in (petals, leaves)]
    assert hue(after[leaves])[2] < 0.03 and changes[1] < changes[0] / 3, "the leaves have not"
    page.screenshot(path=tmp_path / "desktop.png", full_page=True)

    (tmp_path / "out").mkdir()
    with (
        Image.open(download(page, "#hints-download", tmp_path / "out")) as made,
        Image.open(sample_photos()["flower.jpg"]) as original,
    ):
        assert made.format == "JPEG" and made.size == original.size
        full = np.asarray(made, np.float64)
    assert np.abs(full - after).mean() < 3, "at its size this photo fits the screen"

    page.click("#hints-file button")
    saved = download(page, "#hints-save", tmp_path / "out")
    assert saved.name == "flower.jpg.hints.json" and len(json.loads(saved.read_text())["hints"]) == 1
    with new_picture(page):
        page.click("#hints-undo")
    assert page.context.request.get(picture(page)).body() == first, "undo gives the first picture back"
    page.click("#hints-undo")
    page.wait_for_selector("text=There is nothing to undo.")

    with new_picture(page):
        page.set_input_files("#hints-file input[type=file]", saved)
    loaded = picture_pixels(page)
    assert np.abs(hue(loaded[petals]) - hue(after[petals])).max() < 0.01
    bad = tmp_path / "bad.json"
    bad.write_text("Dear grandmother")
    page.set_input_files("#hints-file input[type=file]", bad)
    page.wait_for_selector("text=bad.json: not JSON")


def test_colors_by_keyboard_and_answers_to_choose_from(visit, grandmother):
    page = visit()
    page.get_by_role("tab", name="Correct colours").click()
    page.set_input_files("#hints-photo input[type=file]", grandmother)
    page.wait_for_selector("#hints-picture img")
    first = page.context.request.get(picture(page)).body()
    page.locator("#hints-numbers > button").press("Enter")
    page.locator("#hints-x input").fill("250")
    with new_picture(page):
        page.locator("#hints-y input").fill("500")
    with new_picture(page):
        page.locator("#hints-y input").press("ArrowDown")
    with new_picture(page):
        page.locator("#swatches input").first.press("Space")
    expect(page.locator("#hints-list label")).to_have_text("#e3b49a at 250, 499")
    with new_picture(page):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    expect(page.locator("#hints-list label")).to_have_text("#c68e63 at 250, 499")

    page.locator("#hints-answers > button").press("Enter")
    page.locator("#variants-go").press("Enter")
    expect(page.locator("#variants .thumbnail-item")).to_have_count(4)
    with new_picture(page):
        page.locator("#variants .thumbnail-item").nth(1).press("Enter")
    assert page.locator("#hints-list label").count() > 1
    for _ in range(3):
        with new_picture(page):
            page.locator("#hints-undo").press("Enter")
    expect(page.locator("#hints-list label")).to_have_count(0)
    assert page.context.request.get(picture(page)).body() == first


def test_corrections_on_a_phone_with_the_colors_of_another_photo(visit, server, tmp_path):
    page = visit(PHONE, is_mobile=True, has_touch=True)
    open_correction(page, "flower.jpg")
    image = page.locator("#hints-picture img")
    box = image.bounding_box()
    with new_picture(page):
        image.tap(position={"x": box["width"] * 0.47, "y": box["height"] * 0.48})  # waits until the page stands still
    page.tap("#hints-like > button")
    page.set_input_files("#like-photo input[type=file]", sample_photos()["grace_hopper.jpg"])
    page.wait_for_selector("#like-picture img")
    with new_picture(page):
        page.locator("#like-picture img").tap()
    page.tap("#hints-numbers > button")
    expect(page.locator("#hints-list label")).to_have_count(1)
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "nothing sticks out"
    for selector in ("#hints-picture", "#swatches", "#hints-download", "#hints-undo", "#like-picture"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    with new_picture(page):
        page.tap("#like-go")
    assert page.locator("#hints-list label").count() > 5


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone(visit, grandmother, tmp_path, width):
    page = visit({**PHONE, "width": width}, is_mobile=True, has_touch=True)
    assert page.locator("#go").bounding_box()["y"] < PHONE["height"], "seen without scrolling"
    copies = [tmp_path / f"{name}.jpg" for name in ("a", "b", "c")]
    for path in copies:
        path.write_bytes(grandmother.read_bytes())
    colorize(page, *copies)
    page.wait_for_selector("#download-all:visible")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    for selector in ("#slider", "#download", "#gallery", "#feedback"):
        expect(page.locator(selector)).to_be_visible()
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


# Restoring.


def open_damage(page, photo: Path) -> None:
    page.get_by_role("tab", name="Restore").click()
    page.set_input_files("#restore-photo input[type=file]", photo)
    page.wait_for_function("document.querySelector('#restore-editor canvas')?.width == 512")


def opacity(page) -> np.ndarray:
    "Of the overlay: its pixels (H, W), from 0 to 255."
    data = page.evaluate(
        """() => {
            const {width, height} = document.querySelector("#restore-editor canvas")
            const context = document.querySelector("#restore-editor canvas").getContext("2d")
            return [width, height, [...context.getImageData(0, 0, width, height).data].filter((_, i) => i % 4 == 3)]
        }"""
    )
    return np.array(data[2]).reshape(data[1], data[0])


def paint(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    "A stroke with the mouse between two places of the photo: fractions of width and height."
    canvas = page.locator("#restore-editor canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    (x, y), (to_x, to_y) = ((box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in (start, end))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to_x, to_y, steps=4)
    page.mouse.up()


def luma(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), int)


@pytest.fixture
def fine_grandmother(grandmother, tmp_path) -> Path:
    "Without losses, so that pixels can be compared; still described."
    with Image.open(grandmother) as image:
        image.save(tmp_path / "grandmother.png", exif=image.getexif())
    return tmp_path / "grandmother.png"


def test_damage_is_painted_on_and_erased_and_filled_in(visit, restorer_weights, fine_grandmother, tmp_path):
    page = visit()
    open_damage(page, fine_grandmother)
    page.wait_for_function("document.querySelector('#restore-editor img').complete")
    found = opacity(page)
    assert 0 < (found > 0).mean() < 1, "the overlay shows what was found"
    paint(page, (0.3, 0.2), (0.7, 0.2))
    page.check("#restore-editor .erase")
    paint(page, (0.3, 0.8), (0.7, 0.8))
    now = opacity(page)
    painted, erased = (now > 0) & (found == 0), (now == 0) & (found > 0)
    assert painted[110:130, 160:350].any() and not painted[200:].any()
    assert erased[475:485, 160:350].any() and not erased[:400].any()
    page.screenshot(path=tmp_path / "desktop.png", full_page=True)
    (tmp_path / "out").mkdir()
    mask = luma(download(page, "#restore-mask", tmp_path / "out"))
    assert (mask[painted & (now == 255)] == 255).all() and (mask[erased] == 0).all()

    page.uncheck("#restore-tone input")
    page.click("#restore-go")
    result = download(page, "#restore-download", tmp_path / "out")
    Restorer(restorer_weights, "cpu", tone=False).restore_file(fine_grandmother, tmp_path / "plain.png")
    made, original, plain = map(luma, (result, fine_grandmother, tmp_path / "plain.png"))
    assert result.name == "grandmother.png" and made.shape == (600, 512)
    assert (made != original)[painted & (now == 255)].mean() > 0.5, "what was painted has changed"
    assert np.array_equal(made[erased], original[erased]), "what was erased has not"
    assert np.array_equal(made[200:440], plain[200:440]), "nor anything far from both strokes"
    with Image.open(result) as image:
        assert image.getexif()[0x010E] == "my grandmother"
    page.screenshot(path=tmp_path / "filled-in.png", full_page=True)


def test_damage_by_keyboard_and_undo(visit, grandmother, tmp_path):
    page = visit()
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    page.get_by_role("tab", name="Restore").click()
    page.set_input_files("#restore-photo input[type=file]", tmp_path / "letter.jpg")
    expect(page.locator("#restore-message")).to_have_text(
        "letter.jpg: not a photo, or in a format that is not supported"
    )
    page.locator("#restore-photo button[aria-label='Clear']").click()
    open_damage(page, grandmother)
    found = opacity(page)
    page.locator("#restore-editor .paint").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#restore-editor canvas").focus()
    for key in ("Space", *["Shift+ArrowRight"] * 2, "Space", "Shift+ArrowDown"):
        page.keyboard.press(key)
    erased = (opacity(page) == 0) & (found > 0)
    assert erased[300, 260:290].any() and not erased[340:].any()
    page.keyboard.press("Control+z")
    assert np.array_equal(opacity(page), found)


def test_damage_on_a_phone(visit, grandmother, tmp_path):
    page = visit(PHONE, is_mobile=True, has_touch=True)
    open_damage(page, grandmother)
    found = opacity(page)
    page.locator("#restore-editor .erase").tap()
    page.locator("#restore-editor canvas").tap()  # in its middle
    assert (opacity(page)[295:305, 250:262] == 0).all()
    page.locator("#restore-editor .reset").tap()
    assert np.array_equal(opacity(page), found)
    page.check("#restore-colorize input")
    page.tap("#restore-go")
    page.wait_for_selector("#restore-download:visible")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "nothing sticks out"
    assert page.locator("#restore-editor").bounding_box()["width"] <= PHONE["width"]
    after = page.context.request.get(page.locator("#restore-slider img").nth(1).get_attribute("src")).body()
    assert chroma(np.asarray(Image.open(io.BytesIO(after)), float)) > 0.3


def test_photos_are_restored_before_they_get_color(visit, grandmother, tmp_path):
    page = visit()
    colorize(page, grandmother)
    plain = shown(page, 1, "grandmother.jpg")
    page.check("#restore-first input")
    page.click("#go")
    expect(page.locator("#message")).to_contain_text("of its pixels were filled in")
    restored = shown(page, 1, "grandmother.jpg")
    assert chroma(restored) > 0.3 and np.abs(restored - plain).mean() > 5


@pytest.mark.parametrize("restores", [True, False])
def test_without_a_restorer_there_is_no_sign_of_it(weights, tmp_path, restores):
    from deoldify_lite.app.hints import HintService
    from deoldify_lite.app.page import build_page
    from deoldify_lite.app.service import Service
    from deoldify_lite.app.videos import Limits, VideoService

    service = Service([str(weights)], tmp_path, 2_000_000, "cpu", "float32")
    service.restores = restores
    videos = VideoService(service, tmp_path / "videos", Limits(1, 1))
    page = build_page(service, HintService(service), videos, tmp_path, [], 4).get_config_file()
    videos.close()
    parts = {part["props"].get("elem_id"): part["props"] for part in page["components"]}
    assert ("restore-tab" in parts) == restores and parts["restore-first"]["visible"] == restores
    assert "hints-tab" in parts


# Videos.


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("film") / "our film.mp4", pan(100), codec="libx264", sound=True)


def colorize_video(page, path: Path) -> None:
    page.get_by_role("tab", name="Video").click()
    page.set_input_files("#video input[type=file]", path)
    expect(page.locator("#video tr.file")).to_have_count(1)
    page.click("#video-go")


def jobs(server) -> list[Path]:
    "What videos under way have on the disk."
    return [path for path in (server.temporary / "videos").rglob("*") if path.is_file()]


def wait_until(page, condition) -> None:
    for _ in range(WAIT // 200):
        if condition():
            return
        page.wait_for_timeout(200)
    raise AssertionError("in vain")


def test_a_video_gets_color_plays_and_comes_back(visit, server, film, tmp_path):
    page = visit()
    colorize_video(page, film)
    progress = page.locator("#video-status")
    expect(progress).to_contain_text(re.compile(r"[\d,]+ of 100 frames, [\d.]+ a second, \d+:\d\d left"))
    assert page.locator("#video-status progress").get_attribute("max") == "100"
    page.screenshot(path=tmp_path / "video-progress.png", full_page=True)
    page.wait_for_selector("#video-download:visible")
    assert page.locator("#video-status").is_hidden() and page.locator("#video-go").is_visible()
    page.wait_for_function("document.querySelector('#video-preview video')?.readyState >= 2")
    state = page.evaluate(
        """async () => {
            const video = document.querySelector('#video-preview video')
            video.muted = true
            await video.play()
            video.pause()
            return [video.videoWidth, video.videoHeight, video.duration]
        }"""
    )
    assert state[:2] == [2 * 96, 64] and abs(state[2] - 4) < 0.1
    page.screenshot(path=tmp_path / "video.png", full_page=True)
    (tmp_path / "out").mkdir()
    result = download(page, "#video-download", tmp_path / "out")
    assert result.name == "our film.mp4" and len(decode(result)) == 100
    assert payloads(result, "audio") == payloads(film, "audio")
    assert any(np.ptp(plane) > 4 for plane in planes(decode(result)[50])[1:])
    assert not jobs(server)


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_a_video_that_nobody_waits_for_leaves_nothing(visit, server, tmp_path, how):
    page = visit()
    long = write_clip(tmp_path / "long.mkv", pan(280, width=320, height=240), codec="libx264")
    before = set((server.temporary / "cache").rglob("*.mkv"))
    colorize_video(page, long)
    expect(page.locator("#video-status")).to_contain_text("of 280 frames")
    assert jobs(server)
    if how == "cancelled":
        page.click("#video-stop")
        expect(page.locator("#video-message")).to_contain_text("Cancelled.")
        assert page.locator("#video-go").is_visible() and page.locator("#video-stop").is_hidden()
    else:
        page.close()
        page = visit()
    wait_until(page, lambda: not jobs(server))
    assert len(set((server.temporary / "cache").rglob("*.mkv")) - before) == 1, "the upload alone"


def test_what_is_no_video_or_too_long_gives_a_sentence_and_the_page_goes_on(visit, film, tmp_path):
    (tmp_path / "letter.mp4").write_text("Dear grandmother")
    (tmp_path / "large.mp4").write_bytes(bytes(3 << 20))
    slow = write_clip(tmp_path / "slow.mkv", pan(3), times=[0, 1000, 20_000])
    page = visit()
    page.get_by_role("tab", name="Video").click()
    expect(page.locator("#video-limits")).to_contain_text("At most 0.2 minutes and 2 MB.")
    page.click("#video-go")
    expect(page.locator("#video-message")).to_contain_text("Choose a video first.")
    for path, sentence in (
        (tmp_path / "letter.mp4", "letter.mp4: not a video that FFmpeg can read"),
        (slow, "slow.mkv: too long: it takes 0:20, and this page takes 0.2 minutes"),
    ):
        colorize_video(page, path)
        expect(page.locator("#video-message")).to_contain_text(sentence)
        page.locator("#video button[aria-label='Clear']").click()
    page.set_input_files("#video input[type=file]", tmp_path / "large.mp4")
    page.wait_for_selector("text=exceed")
    page.reload()
    page.wait_for_selector("#slider img")
    colorize_video(page, film)
    page.wait_for_selector("#video-download:visible")
    assert not page.locator("#video-message li").count()


def test_videos_on_a_phone(visit, film, tmp_path):
    page = visit(PHONE, is_mobile=True, has_touch=True)
    colorize_video(page, film)
    page.wait_for_selector("#video-download:visible")
    page.screenshot(path=tmp_path / "video-phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "nothing sticks out"


def test_without_the_extra_the_tab_says_what_to_install(start, browser):
    server = start(not_here="av")
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.goto(server.address)
    page.get_by_role("tab", name="Video").click()
    expect(page.locator("#video-missing")).to_contain_text('pip install "deoldify_lite[video]"')
    assert not page.locator("#video-go").count()
    page.close()


def test_in_the_dark(visit):
    page = visit(color_scheme="dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60


def test_in_the_end_no_other_host_was_called(server):
    assert server.calls_outside() == ""
