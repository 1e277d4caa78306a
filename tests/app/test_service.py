"""What the page does with a photo, without the page."""

import errno
import logging
import math
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.app.service import PREVIEW, Colorized, Refused, Service, Settings
from deoldify_lite.colorize.folder import find_jobs
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.errors import UsageError
from deoldify_lite.modeling.weights import BadWeights
from deoldify_lite.samples import sample_photos
from helpers.scans import pages, steps, stored_pages


@pytest.fixture(scope="module")
def service(weights, tmp_path_factory) -> Service:
    return Service([str(weights)], tmp_path_factory.mktemp("service"), 2_000_000, "cpu", "float32")


@pytest.fixture
def photos(tmp_path) -> Path:
    "Photos with everything that may get lost: EXIF, resolution, transparency, 16 bit, an orientation."
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(sample_photos()["grace_hopper.jpg"]) as image:
        gray = image.convert("L").resize((90, 120))
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "my grandmother", 6
    gray.save(folder / "grandmother.jpg", exif=exif, dpi=(300, 300), quality=95)
    gray.convert("LA").save(folder / "with alpha.png")
    gray.save(folder / "a.webp", lossless=True)
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(folder / "deep.tif")
    gray.convert("P").save(folder / "b.gif")
    return folder


def test_results_are_those_of_the_folder_command(service, photos, weights, tmp_path):
    colorizer = Colorizer(weights, "cpu", "float32")
    jobs = find_jobs(photos, tmp_path / "out")
    assert len(jobs) == 5
    for job in jobs:
        (wanted,) = colorize_all([job], colorizer)  # alone: together they are equal but for rounding in the network
        made = service.colorize(job.input, Settings(service.models[0]))
        assert made.result.name == job.output.name
        assert made.result.read_bytes() == job.output.read_bytes()
        assert made.notes == tuple(wanted.notes)
        assert made.settings.render_factor == colorizer.engine.render_factor_for(made.size)


def test_the_example_of_a_result(service, photos):
    made = service.colorize(photos / "grandmother.jpg", Settings(service.models[0]))
    with Image.open(made.result) as image:
        assert image.getexif()[0x010E] == "my grandmother" and image.info["dpi"] == (300, 300)
        assert image.size == made.size == (120, 90), "turned upright"
    with Image.open(made.before) as before, Image.open(made.after) as after:
        assert before.size == after.size == (120, 90)
        assert np.ptp(np.asarray(before.convert("RGB")).astype(int), axis=-1).max() == 0
        assert np.ptp(np.asarray(after).astype(int), axis=-1).mean() > 2


def test_previews_fit_a_screen_and_show_transparent_as_white(service, tmp_path):
    image = Image.new("LA", (PREVIEW + 100, 50), (0, 0))
    image.paste((0, 255), (0, 0, 100, 50))
    image.save(tmp_path / "a.png")
    made = service.colorize(tmp_path / "a.png", Settings(service.models[0]))
    with Image.open(made.before) as before:
        assert before.width == PREVIEW
        assert before.getpixel((before.width - 5, 20)) == (255, 255, 255) and max(before.getpixel((5, 20))) < 5


def test_every_request_has_its_own_render_factor(service, weights, photos):
    def made(factor: int | None) -> Colorized:
        return service.colorize(photos / "a.webp", Settings(service.models[0], 1.0, factor))

    wanted = {factor: made(factor).result.read_bytes() for factor in (2, 4, None)}
    assert len(set(wanted.values())) == 3
    with ThreadPoolExecutor(4) as pool:
        for factor, item in zip([2, 4, None] * 4, pool.map(made, [2, 4, None] * 4)):
            assert item.result.read_bytes() == wanted[factor]
            assert item.settings.render_factor == (factor or 6), "6 is what the weights record"


def test_models_have_names_without_folders(service, weights, tmp_path):
    assert service.models == [weights.stem]
    with pytest.raises(BadWeights):
        Service([str(tmp_path / "none.safetensors")], tmp_path, 1000)


def test_what_a_visitor_chose_stays_while_more_photos_are_done(service, photos, tmp_path, monkeypatch):
    """A rating is for the photo that is shown, and an archive that cannot be made costs no result."""
    import gradio as gr

    from deoldify_lite.app.photo_tab import _Handlers

    def full(_results):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(service, "make_archive", full)
    files = [str(path) for path in sorted(photos.iterdir()) if path.suffix == ".png"][:1] * 3
    handlers = _Handlers(service, tmp_path, [], max_photos=9)
    steps = list(handlers.colorize_photos(files, 1.0, 1, service.models[0], False, lambda *_, **__: None))
    assert len(steps) == len(steps[-1][0]) == 3
    assert [step[1] for step in steps] == [0, gr.skip(), gr.skip()]
    assert "please download the photos one by one" in steps[-1][6].value


def test_two_models_of_one_name_are_refused(weights, tmp_path):
    """Every training's result is `generator.safetensors`, and a visitor could not tell them apart."""
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / Path(weights).name
    other.write_bytes(Path(weights).read_bytes())
    with pytest.raises(UsageError, match=f"{other} and {weights} are both called"):
        Service([str(weights), str(other)], tmp_path, 2_000_000, "cpu", "float32")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strength": -0.1}, "the strength goes from 0 to 3"),
        ({"strength": math.nan}, "the strength goes from 0 to 3"),
        ({"strength": math.inf}, "the strength goes from 0 to 3"),
        ({"render_factor": 1}, "the render factor goes from 2 to 64"),
        ({"render_factor": 10_000}, "the render factor goes from 2 to 64"),
        ({"model": "../../etc/passwd"}, "there is no such model here"),
    ],
)
def test_settings_that_make_no_sense(service, photos, settings, sentence):
    with pytest.raises(Refused, match=sentence):
        service.colorize(photos / "a.webp", Settings(**{"model": service.models[0], **settings}))


def test_files_that_are_no_photos(service, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    (tmp_path / "empty.png").touch()
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    Image.new("L", (2000, 1001)).save(tmp_path / "large.png")
    (tmp_path / "cut.jpg").write_bytes(sample_photos()["china.jpg"].read_bytes()[:20_000])
    for name, sentence in (
        ("letter.jpg", "not a photo, or in a format that is not supported"),
        ("empty.png", "the file is empty"),
        ("large.png", "too large: 2000 x 1001 is more than 2,000,000 pixels"),
        ("cut.jpg", "damaged or truncated"),
        ("none.jpg", "not here any more; please send it again"),
        ("photo.heic", "damaged, or not a whole HEIC file"),
    ):
        with pytest.raises(Refused) as refusal:
            service.colorize(tmp_path / name, Settings(service.models[0]))
        message = str(refusal.value)
        assert message.startswith(sentence)
        assert "--" not in message and str(tmp_path) not in message and "\n" not in message


@pytest.mark.parametrize(("kind", "name"), [("TIFF", "scan.tif"), ("PDF", "scan.pdf")])
def test_all_pages_are_in_the_download_and_the_first_is_shown(service, tmp_path, kind, name):
    if kind == "PDF":
        pytest.importorskip("pypdfium2")
    first, second = steps(64, 48), steps(40, 60)
    (tmp_path / name).write_bytes(pages(kind, first, second))
    done = service.colorize(tmp_path / name, Settings(service.models[0]))
    assert [page.size for page in stored_pages(done.result)] == [(64, 48), (40, 60)]
    assert done.size == (64, 48) and done.notes[0] == "2 pages, of which the first is shown"
    with Image.open(done.before) as before, Image.open(done.after) as after:
        assert before.size == after.size == (64, 48)


def test_a_file_with_too_many_pages_is_refused(service, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "max_pages", 2)
    (tmp_path / "scan.tif").write_bytes(pages("TIFF", *[steps(9, 8)] * 3))
    with pytest.raises(Refused, match="it has 3 pages, more than 2"):
        service.colorize(tmp_path / "scan.tif", Settings(service.models[0]))


def test_a_visitor_is_not_told_what_to_install(service, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(Refused) as refusal:
        service.colorize(tmp_path / "photo.heic", Settings(service.models[0]))
    assert str(refusal.value) == "HEIC files are not supported here; convert it to JPEG, PNG or TIFF first"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/secret"), "disk is full"),
        (MemoryError(), "too large for the memory"),
        (RuntimeError("/home/secret/engine.py"), "our fault"),
    ],
)
def test_our_own_failures_tell_nothing_but_leave_a_trace_in_the_log(
    service, photos, monkeypatch, caplog, error, sentence
):
    def fail(*_):
        raise error

    monkeypatch.setattr("deoldify_lite.app.service.save_photo", fail)
    with caplog.at_level(logging.ERROR), pytest.raises(Refused, match=sentence) as refusal:
        service.colorize(photos / "a.webp", Settings(service.models[0]))
    assert "secret" not in str(refusal.value)
    assert ("secret" in caplog.text) == isinstance(error, RuntimeError)


def test_a_zip_keeps_names_and_loses_none(service, photos, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "A.webp").write_bytes((photos / "a.webp").read_bytes())
    files = [photos / "a.webp", photos / "a.webp", tmp_path / "other" / "A.webp", photos / "b.gif"]
    made = [service.colorize(path, Settings(service.models[0])) for path in files]
    with zipfile.ZipFile(service.make_archive(made)) as archive:
        assert archive.namelist() == ["a.webp", "a (2).webp", "A (3).webp", "b.gif.png"]
        assert archive.testzip() is None
        assert archive.read("a (2).webp") == made[1].result.read_bytes()
