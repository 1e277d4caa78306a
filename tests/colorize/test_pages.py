"""Files of several pages: every page in colour, one page's damage costs no other, and the folder command does them."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite import Colorizer
from deoldify_lite.cli import program
from deoldify_lite.colorize import pages as page_by_page
from deoldify_lite.colorize.folder import find_jobs
from deoldify_lite.colorize.hints import BadHints
from deoldify_lite.colorize.pages import colorize_pages, has_pages
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.photo import BadPhoto, open_photo
from helpers.photo_files import encoded
from helpers.scans import dng, heic, jxl, pages, steps, stored_pages

pytestmark = pytest.mark.usefixtures("pillow_limit_restored")
GRAY = steps(64, 48)


@pytest.fixture(scope="module")
def colorizer(weights) -> Colorizer:
    return Colorizer(weights, "cpu", "float32", 2)


def damaged_tiff() -> bytes:
    "Three pages; the pixels of the second are no longer there."
    data = pages("TIFF", GRAY, steps(50, 40), GRAY, compression="tiff_adobe_deflate")
    streams = [i for i in range(len(data)) if data.startswith(b"\x78\x9c", i)]
    assert len(streams) == 3
    return data[: streams[1]] + bytes(60) + data[streams[1] + 60 :]


def damaged_pdf() -> bytes:
    data = pages("PDF", GRAY, GRAY, resolution=150)
    start = data.rindex(b"\xff\xd8")
    return data[:start] + bytes(400) + data[start + 400 :]


def is_colored(image: Image.Image) -> bool:
    return np.ptp(np.asarray(image.convert("RGB"), int), axis=2).mean() > 2


FILES = {
    "a.tif": pages("TIFF", GRAY, GRAY.rotate(90, expand=True), dpi=(300, 300)),
    "b.pdf": pages("PDF", GRAY, GRAY.rotate(90, expand=True), resolution=150),
    "one page.pdf": pages("PDF", GRAY, resolution=150),
    "one page.tif": encoded(GRAY, "TIFF"),
}


def test_every_page_of_a_folders_files_is_in_color(tmp_path, colorizer):
    pytest.importorskip("pypdfium2")
    (tmp_path / "in").mkdir()
    for name, data in FILES.items():
        (tmp_path / "in" / name).write_bytes(data)
    results = {Path(r.input).name: r for r in colorize_all(find_jobs(tmp_path / "in", tmp_path / "out"), colorizer)}
    assert {name: (r.status, r.error, r.pages) for name, r in results.items()} == {
        "a.tif": ("done", None, 2),
        "b.pdf": ("done", None, 2),
        "one page.pdf": ("done", None, 1),
        "one page.tif": ("done", None, None),
    }
    for name in FILES:
        before, after = stored_pages(tmp_path / "in" / name), stored_pages(tmp_path / "out" / name)
        assert [page.size for page in after] == [page.size for page in before]
        assert all(is_colored(page) for page in after)
    again = list(colorize_all(find_jobs(tmp_path / "in", tmp_path / "out"), colorizer))
    assert {result.status for result in again} == {"skipped"}


def test_a_file_by_the_library_is_the_same_as_by_the_folder_command(tmp_path, colorizer):
    pytest.importorskip("pypdfium2")
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.pdf"):
        (tmp_path / "in" / name).write_bytes(FILES[name])
        result = colorizer.colorize_file(tmp_path / "in" / name, tmp_path / "one")
        assert (result.pages, result.width, result.height) == (2, 64, 48)
    list(colorize_all(find_jobs(tmp_path / "in", tmp_path / "all"), colorizer))
    assert (tmp_path / "one/a.tif").read_bytes() == (tmp_path / "all/a.tif").read_bytes()
    for one, other in zip(stored_pages(tmp_path / "one/b.pdf"), stored_pages(tmp_path / "all/b.pdf"), strict=True):
        assert one.tobytes() == other.tobytes()


def test_pages_into_a_format_that_holds_one_are_only_the_first(tmp_path, colorizer):
    (tmp_path / "a.tif").write_bytes(FILES["a.tif"])
    result = colorizer.colorize_file(tmp_path / "a.tif", tmp_path / "a.png")
    assert result.pages is None and result.notes == ["only the first of the 2 pages in the file"]


def test_phones_and_cameras_files_become_what_others_can_open(tmp_path, colorizer):
    for module in ("pillow_heif", "pillow_jxl", "rawpy"):
        pytest.importorskip(module)
    (tmp_path / "in").mkdir()
    levels = np.linspace(500, 40_000, 64 * 48).reshape(48, 64).astype(np.uint16)
    files = {"a.heic": heic(GRAY.convert("RGB")), "b.dng": dng(levels, Orientation=6), "c.jxl": jxl(GRAY)}
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    results = list(colorize_all(find_jobs(tmp_path / "in", tmp_path / "out"), colorizer))
    assert [(r.error, Path(r.output).name) for r in results] == [
        (None, "a.heic.jpg"),
        (None, "b.dng.tif"),
        (None, "c.jxl"),
    ]
    with Image.open(results[0].output) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48)) and is_colored(image)
    photo = open_photo(Path(results[1].output))
    assert photo.luma.dtype == np.uint16 and photo.size == (48, 64)
    assert open_photo(Path(results[2].output)).size == (64, 48)


@pytest.fixture
def command(weights):
    def run(*arguments):
        flags = ["--device=cpu", "--precision=float32", "--render-factor=2", f"--weights={weights}"]
        return CliRunner().invoke(program, ["colorize", *flags, *map(str, arguments)])

    return run


@pytest.mark.parametrize(("name", "data"), [("a.tif", damaged_tiff), ("a.pdf", damaged_pdf)])
def test_a_damaged_page_costs_that_page_alone_and_is_told(tmp_path, command, name, data):
    if name == "a.pdf":
        pytest.importorskip("pypdfium2")
    (tmp_path / name).write_bytes(data())
    before, report = data(), tmp_path / "report.jsonl"
    result = command(tmp_path / name, tmp_path / "out", "--report", report)
    assert result.exit_code == 1
    assert result.stdout == f"{tmp_path / 'out' / name}\n"
    told, summary = result.stderr.splitlines()
    count = 3 if name == "a.tif" else 2
    assert told.startswith(f"{tmp_path / name}: page 2 of {count} could not be colorized: ") and "damaged" in told
    assert summary == "1 done"
    (line,) = map(json.loads, report.read_text().splitlines())
    assert (line["status"], line["pages"]) == ("done", count) and "page 2" in line["error"]
    kept = stored_pages(tmp_path / "out" / name)
    assert len(kept) == 2 and is_colored(kept[0])
    assert is_colored(kept[1]) == (name == "a.tif")  # of the three, the third; a PDF keeps the page as it was
    assert (tmp_path / name).read_bytes() == before


def test_where_no_page_can_be_read_the_file_fails(tmp_path, colorizer):
    (tmp_path / "a.tif").write_bytes(pages("TIFF", GRAY, GRAY))
    with pytest.raises(BadPhoto, match=r"a.tif: page 1 of 2 could not be colorized: too large: 64 x 48"):
        colorizer.colorize_file(tmp_path / "a.tif", tmp_path / "out", max_pixels=100)
    assert not list((tmp_path / "out").iterdir())


def test_hints_and_variants_are_not_for_pages_but_a_reference_photo_is(tmp_path, colorizer):
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.tif"):
        (tmp_path / "in" / name).write_bytes(FILES["a.tif"])
    with pytest.raises(BadHints, match="not for pages"):
        colorizer.colorize_file(tmp_path / "in" / "a.tif", tmp_path / "out", hints=[(1, 1, "red")])
    jobs = find_jobs(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "b.tif.hints.json").write_text("[]")
    (tmp_path / "in" / "b.hints.json").write_text("[]")
    first, second = colorize_all(jobs, colorizer)
    assert first.status == "done" and "not for pages" in second.error
    assert all("not for pages" in result.error for result in colorize_all(jobs, colorizer, variants=2))
    shutil.rmtree(tmp_path / "out")
    reference = Image.merge("RGB", [GRAY, GRAY.point(lambda v: v // 2), GRAY.point(lambda v: v // 3)])
    (liked,) = colorize_all(jobs[:1], colorizer, like=colorizer.reference(reference))
    assert (liked.status, liked.pages) == ("done", 2)


def test_limits_are_of_each_page(tmp_path, colorizer):
    (tmp_path / "a.tif").write_bytes(pages("TIFF", *[GRAY] * 5))
    result = colorizer.colorize_file(tmp_path / "a.tif", tmp_path / "out", max_pixels=64 * 48)
    assert (result.pages, result.error) == (5, None)


def test_one_page_is_in_memory_at_a_time(tmp_path, colorizer, monkeypatch):
    import gc
    import weakref

    (tmp_path / "a.tif").write_bytes(pages("TIFF", *[GRAY] * 6))
    seen, most = [], 0

    def colorize(photo, for_jpeg):
        nonlocal most
        seen.append(weakref.ref(photo))
        gc.collect()
        most = max(most, sum(ref() is not None for ref in seen))
        return colorizer.colorize_photo(photo)

    (job,) = find_jobs(tmp_path / "a.tif", tmp_path / "out")
    assert has_pages(job) and colorize_pages(job, colorize, 10_000).pages == 6
    assert most <= 3  # the first, whose size is reported, the one before, and the one at hand


def test_ended_in_the_middle_nothing_is_written(tmp_path, colorizer):
    (tmp_path / "a.tif").write_bytes(pages("TIFF", *[GRAY] * 6))
    stopped, seen = threading.Event(), []

    def colorize(photo, for_jpeg):
        seen.append(photo)
        stopped.set()
        return colorizer.colorize_photo(photo)

    (job,) = find_jobs(tmp_path / "a.tif", tmp_path / "out")
    with pytest.raises(BadPhoto, match="interrupted"):
        colorize_pages(job, colorize, 10_000, stopped=stopped)
    assert len(seen) == 1 and not list((tmp_path / "out").iterdir())


def test_a_folder_that_is_left_in_the_middle_ends_its_files_of_pages(tmp_path, colorizer, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(encoded(GRAY, "PNG"))
    (tmp_path / "in" / "b.tif").write_bytes(pages("TIFF", *[GRAY] * 50))
    begun, ended = threading.Event(), []
    done = page_by_page.Result.done
    monkeypatch.setattr(page_by_page.Result, "done", classmethod(lambda cls, *a: (ended.append(a), done(*a))[1]))
    read = page_by_page.open_pages

    def opened(*arguments):
        begun.set()
        return read(*arguments)

    monkeypatch.setattr(page_by_page, "open_pages", opened)
    results = colorize_all(find_jobs(tmp_path / "in", tmp_path / "out"), colorizer)
    assert next(results).status == "done"
    begun.wait()
    results.close()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a.png"} or (names == {"a.png", "b.tif"} and len(ended) == 2)
