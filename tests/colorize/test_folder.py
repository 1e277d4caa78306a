"""Folders of photos: nothing is lost, nothing collides, and one bad file never stops the rest."""

import io
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite.colorize import pipeline
from deoldify_lite.colorize.colorizer import Colorizer
from deoldify_lite.colorize.engine import Engine
from deoldify_lite.colorize.folder import BadRequest, Job, Result, find_jobs, report_line
from deoldify_lite.colorize.pipeline import QUEUED_PER_WORKER, PixelBudget, colorize_all
from deoldify_lite.photo import Photo

UNDER_WAY = QUEUED_PER_WORKER * pipeline.worker_count()


class FakeEngine(Engine):
    "In place of the network: everything becomes equally red. Remembers the sizes of its batches."

    device = torch.device("cpu")

    def __init__(self):
        self.batches = []

    def preprocess(self, photo: Photo, render_factor: int | None = None) -> Image.Image:
        return photo.gray().resize((2, 2))

    def predict(self, inputs):
        self.batches.append(len(inputs))
        return [np.array([0, 0.2])[:, None, None] for _ in inputs]


class FakeColorizer(Colorizer):
    def __init__(self, engine: Engine | None = None):
        self.engine, self.render_factor = engine or FakeEngine(), 2


def photo(path: Path, level: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("L", (8, 6), level).save(file, {".png": "PNG", ".gif": "GIF"}.get(path.suffix, "JPEG"))
    return path


def files(folder: Path) -> list[str]:
    "Everything below a folder, hidden files too."
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def colorized(source: Path, target: Path, recursive: bool = False, **options) -> dict[str, Result]:
    "Results by the name of the photo."
    results = list(colorize_all(find_jobs(source, target, recursive), FakeColorizer(), **options))
    by_name = {Path(result.input).relative_to(source).as_posix(): result for result in results}
    assert len(by_name) == len(results)
    return by_name


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "out"


# What there is to do.


def test_a_folder_in_a_fixed_order_without_what_is_no_photo(source, target):
    for name in ("b.jpg", "a.png", "c.JPG", "d.heic", ".hidden.jpg", "._b.jpg"):
        photo(source / name)
    for name in ("Thumbs.db", "notes.txt", ".DS_Store", "jpg"):
        (source / name).write_text("no photo")
    assert [job.input.name for job in find_jobs(source, target)] == ["a.png", "b.jpg", "c.JPG", "d.heic"]


def test_the_tree_is_mirrored(source, target):
    for name in ("a.jpg", "x/a.jpg", "x/y/a.jpg", "x/.trash/a.jpg"):
        photo(source / name)
    assert [job.output for job in find_jobs(source, target)] == [target / "a.jpg"]
    outputs = [job.output.relative_to(target).as_posix() for job in find_jobs(source, target, recursive=True)]
    assert outputs == ["a.jpg", "x/a.jpg", "x/y/a.jpg"]


def test_a_folder_that_is_named_like_a_photo(source, target):
    photo(source / "a.jpg" / "b.jpg")
    photo(source / "c.jpg")
    assert [job.input.name for job in find_jobs(source, target)] == ["c.jpg"]
    assert [job.input.name for job in find_jobs(source, target, recursive=True)] == ["b.jpg", "c.jpg"]


def test_results_inside_the_folder_are_not_done_again(source):
    photo(source / "a.jpg")
    target = source / "colour"
    for _ in range(2):
        assert [job.input for job in find_jobs(source, target, recursive=True)] == [source / "a.jpg"]
        photo(target / "a.jpg")


def test_loops_of_links_are_entered_once(source, target):
    photo(source / "x" / "a.jpg")
    (source / "x" / "loop").symlink_to(source)
    (source / "x" / "me").symlink_to("me")
    assert [job.input for job in find_jobs(source, target, recursive=True)] == [source / "x" / "a.jpg"]


def test_a_linked_folder_keeps_its_own_name_where_it_has_one(source, target, tmp_path):
    photo(source / "real" / "a.jpg")
    photo(tmp_path / "elsewhere" / "b.jpg")
    (source / "album").symlink_to(source / "real")
    (source / "other").symlink_to(tmp_path / "elsewhere")
    names = [job.input.relative_to(source).as_posix() for job in find_jobs(source, target, recursive=True)]
    assert names == ["other/b.jpg", "real/a.jpg"]


@pytest.mark.parametrize(
    ("name", "output"),
    [("a.jpg", "a.jpg"), ("a.gif", "a.gif.png"), ("a.PNG", "a.PNG"), ("a.pgm", "a.pgm.png"), ("a", "a.png")],
)
def test_one_photo_into_a_folder(source, target, name, output):
    photo(source / name)
    assert find_jobs(source / name, target) == [Job(source / name, target / output)]
    (target.parent / "a.dir").mkdir()
    assert find_jobs(source / name, target.parent / "a.dir") == [Job(source / name, target.parent / "a.dir" / output)]


def test_one_photo_into_a_file(source, target):
    photo(source / "a.jpg")
    assert find_jobs(source / "a.jpg", target / "b.tif") == [Job(source / "a.jpg", target / "b.tif")]


def test_requests_that_make_no_sense(source, target, tmp_path):
    photo(tmp_path / "a.jpg")
    photo(source / "x" / "a.jpg")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "empty").mkdir()
    for request, sentence in (
        ((source / "missing", target), "no such file or folder"),
        ((source / ("x" * 300), target), "too long"),
        ((tmp_path / "empty", target), "no photos in this folder"),
        ((source, target), "-r looks into subfolders"),
        ((source, source, True), "the folder of the originals"),
        ((source, tmp_path / "link", True), "the folder of the originals"),
        ((source, tmp_path / "file", True), "is a file"),
        ((tmp_path / "a.jpg", tmp_path / "a.jpg"), "is the original"),
        ((tmp_path / "a.jpg", tmp_path), "is the original"),
        ((tmp_path / "a.jpg", target / "a.gif"), "cannot write this format"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            find_jobs(*request)


def test_a_result_never_lands_on_an_original(source, tmp_path, target):
    "Not by its own name only: here the results of one photo would replace another."
    photo(source / "a.jpg", level=1)
    photo(source / "in" / "a.jpg", level=2)
    with pytest.raises(BadRequest, match="is one of the originals"):
        find_jobs(source, tmp_path, recursive=True)

    target.mkdir()
    (target / "in").symlink_to(source / "in")
    with pytest.raises(BadRequest, match="is one of the originals"):
        find_jobs(source, target, recursive=True)


def test_a_loop_of_links_in_the_results_is_reported(source, target):
    photo(source / "x" / "a.jpg")
    target.mkdir()
    (target / "x").symlink_to("x")
    try:
        jobs = find_jobs(source, target, recursive=True)
    except BadRequest:
        return  # Python before 3.13 cannot say where such a path leads
    assert [result.status for result in colorize_all(jobs, FakeColorizer())] == ["failed"]


def test_a_subfolder_that_cannot_be_listed_is_not_forgotten(source, target, monkeypatch):
    photo(source / "a.jpg")
    photo(source / "locked" / "b.jpg")
    iterdir = Path.iterdir

    def refuse(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)  # tests may run as root, who may list everything
    results = colorized(source, target, recursive=True)
    assert {name: result.status for name, result in results.items()} == {"a.jpg": "done", "locked": "failed"}
    assert results["locked"].error == "a folder that cannot be listed"
    with pytest.raises(BadRequest, match="Permission denied"):
        find_jobs(source / "locked", target)


# Doing it.


def test_results_are_in_color_and_in_order(source, target):
    names = [f"{i:02}.jpg" for i in range(3 * UNDER_WAY)]
    for i, name in enumerate(names):
        photo(source / name, level=5 * i % 250)
    results = colorized(source, target)
    assert list(results) == names
    assert {result.status for result in results.values()} == {"done"}
    assert files(target) == names
    for i, name in enumerate(names):
        with Image.open(target / name) as image:
            assert image.size == (results[name].width, results[name].height) == (8, 6)
            assert abs(image.convert("L").getpixel((4, 4)) - 5 * i % 250) <= 2
    with Image.open(target / "05.jpg") as image:
        red, green, _ = image.getpixel((4, 4))
        assert red > green + 20


def test_one_bad_file_never_stops_the_rest(source, target):
    photo(source / "a.jpg")
    (source / "b.jpg").write_text("Dear grandmother")
    (source / "c.jpg").write_bytes(b"")
    (source / "d.jpg").write_bytes((source / "a.jpg").read_bytes()[:200])
    (source / "e.svg").write_text("<svg/>")
    (source / "f.jpg").symlink_to("nowhere.jpg")
    (source / "g.jpg").symlink_to("g.jpg")
    os.mkfifo(source / "h.jpg")
    photo(source / "z.jpg")
    results = colorized(source, target)
    assert [name for name, result in results.items() if result.status == "done"] == ["a.jpg", "z.jpg"]
    failed = {name: result.error for name, result in results.items() if result.status == "failed"}
    assert list(failed) == ["b.jpg", "c.jpg", "d.jpg", "e.svg", "f.jpg", "g.jpg", "h.jpg"]
    assert all(failed.values()) and "\n" not in "".join(failed.values())
    assert files(target) == ["a.jpg", "z.jpg"]


def test_names_that_differ_in_the_extension_only_do_not_collide(source, target):
    for i, name in enumerate(("a.jpg", "a.png", "a.gif", "x/a.jpg", "y/a.jpg")):
        photo(source / name, level=20 + 40 * i)
    results = colorized(source, target, recursive=True)
    assert {result.status for result in results.values()} == {"done"}
    assert files(target) == ["a.gif.png", "a.jpg", "a.png", "x/a.jpg", "y/a.jpg"]
    with Image.open(target / "y" / "a.jpg") as image:
        assert abs(image.convert("L").getpixel((4, 4)) - 180) <= 2


def test_the_second_of_two_photos_with_one_result_is_reported(source, target):
    photo(source / "a.gif", level=40)
    photo(source / "a.gif.png", level=200)
    for status in ("done", "skipped"):
        results = colorized(source, target)
        assert results["a.gif"].status == status
        assert results["a.gif.png"].status == "failed"
        assert "would replace that of" in results["a.gif.png"].error and "a.gif" in results["a.gif.png"].error
        with Image.open(target / "a.gif.png") as image:
            assert image.convert("L").getpixel((4, 4)) == 40


def test_what_is_done_is_skipped_and_costs_no_network(source, target):
    photo(source / "a.jpg")
    photo(target / "a.jpg", level=7)
    before = (target / "a.jpg").read_bytes()
    colorizer = FakeColorizer()
    (result,) = colorize_all(find_jobs(source, target), colorizer)
    assert result.status == "skipped" and sum(colorizer.engine.batches) == 0
    assert (target / "a.jpg").read_bytes() == before

    (result,) = colorize_all(find_jobs(source, target), colorizer, overwrite=True)
    assert result.status == "done" and sum(colorizer.engine.batches) == 1
    assert (target / "a.jpg").read_bytes() != before
    assert files(target) == ["a.jpg"]


def test_a_folder_in_the_way_of_a_result_is_reported(source, target):
    photo(source / "a.jpg")
    (target / "a.jpg").mkdir(parents=True)
    for overwrite in (False, True):
        result = colorized(source, target, overwrite=overwrite)["a.jpg"]
        assert result.status == "failed" and "could not be written" in result.error
    assert files(target) == []


def test_a_file_that_goes_away_is_reported(source, target):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(source / name)
    jobs = find_jobs(source, target)
    (source / "b.jpg").unlink()
    results = list(colorize_all(jobs, FakeColorizer()))
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert results[1].error == "No such file or directory"


def test_a_failure_to_write_is_reported_and_leaves_nothing(source, target, monkeypatch):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(source / name)
    replace = Path.replace

    def full(path, destination):
        if destination.name == "b.jpg":
            raise OSError(28, "No space left on device")
        return replace(path, destination)

    monkeypatch.setattr(Path, "replace", full)
    results = colorized(source, target)
    assert [result.status for result in results.values()] == ["done", "failed", "done"]
    assert results["b.jpg"].error == "could not be written: No space left on device"
    assert files(target) == ["a.jpg", "c.jpg"]


def test_a_target_that_is_no_folder_is_reported(source, tmp_path):
    photo(source / "a.jpg")
    (tmp_path / "file").write_text("")
    result = colorized(source, tmp_path / "file" / "out")["a.jpg"]
    assert result.status == "failed" and "could not be written" in result.error


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), MemoryError()])
def test_a_failure_of_the_network_is_reported(source, target, error):
    class Failing(FakeEngine):
        def predict(self, inputs):
            if any(each.getpixel((0, 0)) == 50 for each in inputs):
                raise error
            return super().predict(inputs)

    for name, level in (("a.jpg", 100), ("b.jpg", 50), ("c.jpg", 150)):
        photo(source / name, level)
    results = list(colorize_all(find_jobs(source, target), FakeColorizer(Failing())))
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert results[1].error in ("RuntimeError: out of luck", "too large for this machine's memory")


def test_strength_and_the_limit_of_pixels_are_passed_on(source, target):
    photo(source / "a.jpg")
    assert colorized(source, target, strength=0)["a.jpg"].status == "done"
    with Image.open(target / "a.jpg") as image:
        red, green, _ = image.getpixel((4, 4))
        assert abs(red - green) <= 2
    result = colorized(source, target, overwrite=True, max_pixels=47)["a.jpg"]
    assert result.status == "failed" and "too large: 8 x 6" in result.error


def test_names_that_are_long_or_no_text(source, target):
    longest, too_long = "x" * 251 + ".jpg", "x" * 250 + ".gif"  # the second becomes longer by .png
    not_utf8 = os.fsdecode(b"\xff\xfe.jpg")
    for name in (longest, too_long, not_utf8):
        photo(source / name)
    results = colorized(source, target)
    assert {name: result.status for name, result in results.items()} == {
        longest: "done",
        too_long: "failed",
        not_utf8: "done",
    }
    assert "too long" in results[too_long].error
    assert files(target) == sorted([longest, not_utf8])
    assert json.loads(results[not_utf8].to_json())["output"] == str(target / not_utf8)

    with pytest.raises(BadRequest, match="too long"):
        find_jobs(source / too_long, target)


def test_a_16_bit_photo_with_such_a_name(source, target):
    name = os.fsdecode(b"\xff\xfe.png")
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(source / name)
    for _ in range(2):  # grayscale at first, then in colour
        assert colorized(source, target)[name].status == "done"
        source, target = target, target.parent / "again"


@pytest.mark.parametrize("seen", [1, 3])
def test_closed_early_it_leaves_whole_photos_only(source, target, seen):
    many = 2 * UNDER_WAY
    for i in range(many):
        photo(source / f"{i:02}.jpg")
    before = threading.active_count()
    running = colorize_all(find_jobs(source, target), FakeColorizer())
    done = [Path(next(running).output).name for _ in range(seen)]
    running.close()
    assert threading.active_count() == before
    assert set(done) <= set(files(target)) and len(files(target)) <= seen + UNDER_WAY
    for name in files(target):
        with Image.open(target / name) as image:
            image.load()
    again = colorized(source, target)
    assert len(again) == len(files(target)) == many


def test_an_interrupt_in_the_network_goes_up_and_leaves_whole_photos_only(source, target):
    class Interrupted(FakeEngine):
        def predict(self, inputs):
            if sum(self.batches) >= 4:
                raise KeyboardInterrupt
            return super().predict(inputs)

    for i in range(40):
        photo(source / f"{i:02}.jpg")
    engine = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        list(colorize_all(find_jobs(source, target), FakeColorizer(engine)))
    assert len(files(target)) == sum(engine.batches) < 40
    for name in files(target):
        with Image.open(target / name) as image:
            image.load()


def test_photos_of_like_shape_go_through_the_network_together(source, target, monkeypatch):
    class ByShape(FakeEngine):
        device = torch.device("cuda")  # a CPU takes them one by one

        def preprocess(self, photo, render_factor=None):
            return photo.gray().resize((64, 32) if photo.size[0] > photo.size[1] else (32, 64))

        def predict(self, inputs):
            assert len({each.size for each in inputs}) == 1
            return super().predict(inputs)

    monkeypatch.setattr(pipeline, "BATCH_PIXELS", 3 * 64 * 32)
    for i in range(30):
        Image.new("L", (8, 6) if i % 3 else (6, 8)).save(source / f"{i:02}.png")
    engine = ByShape()
    results = list(colorize_all(find_jobs(source, target), FakeColorizer(engine)))
    assert [Path(result.output).name for result in results] == [f"{i:02}.png" for i in range(30)]
    for i, result in enumerate(results):
        with Image.open(result.output) as image:
            assert image.size == ((8, 6) if i % 3 else (6, 8))
    assert sum(engine.batches) == 30 and 1 < max(engine.batches) <= 3


def test_a_light_network_works_on_several_photos_at_once_on_a_core_each(source, target):
    class Meeting(FakeEngine):
        inside, lock, met = 0, threading.Lock(), threading.Event()

        def predict(self, inputs):
            if threading.current_thread() is not threading.main_thread():  # whose first call is measured
                assert torch.get_num_threads() == 1
                with self.lock:
                    self.inside += 1
                    if self.inside > 1:
                        self.met.set()
                self.met.wait(timeout=20)
                with self.lock:
                    self.inside -= 1
            return super().predict(inputs)

    before = torch.get_num_threads()
    for i in range(40):
        photo(source / f"{i}.jpg")
    results = list(colorize_all(find_jobs(source, target), FakeColorizer(Meeting())))
    assert [result.status for result in results] == ["done"] * 40
    assert Meeting.met.is_set() and torch.get_num_threads() == before


@pytest.mark.parametrize("pixels", [1, 100, 10_000])
def test_only_so_many_pixels_are_in_memory_at_once(source, target, monkeypatch, pixels):
    held, most, lock = 0, 0, threading.Lock()

    class Watched(PixelBudget):
        def acquire(self, count):
            nonlocal held, most
            super().acquire(count)
            with lock:
                held += count
                most = max(most, held)

        def release(self, count):
            nonlocal held
            with lock:
                held -= count
            super().release(count)

    monkeypatch.setattr(pipeline, "PixelBudget", Watched)
    monkeypatch.setattr(pipeline, "PIXELS_AT_ONCE", pixels)
    for i in range(4 * UNDER_WAY):
        photo(source / f"{i:02}.jpg")
    (source / "broken.jpg").write_bytes(photo(source / "whole.jpg").read_bytes()[:200])
    results = list(colorize_all(find_jobs(source, target), FakeColorizer()))
    assert len(results) == 4 * UNDER_WAY + 2 and sum(r.status == "failed" for r in results) == 1
    assert held == 0 and most <= max(pixels, 48)


# The report.


def test_the_report_has_a_line_of_json_for_each_photo(source, target):
    photo(source / "a.jpg")
    (source / "b.jpg").write_text("Dear\ngrandmother")
    Image.new("RGB", (8, 6), (200, 0, 0)).save(source / "c.png")
    report = io.StringIO()
    for result in colorize_all(find_jobs(source, target), FakeColorizer()):
        report_line(report, result)
        assert report.getvalue().endswith("}\n")
    first, second, third = map(json.loads, report.getvalue().splitlines())
    assert first.pop("seconds") >= 0
    assert first == {
        "input": str(source / "a.jpg"),
        "output": str(target / "a.jpg"),
        "status": "done",
        "width": 8,
        "height": 6,
    }
    assert second.keys() == {"input", "output", "status", "error"} and second["status"] == "failed"
    assert third["notes"] == ["had colours or a tint of its own, which are replaced"]


def test_photos_are_read_while_others_are_written(source, target, monkeypatch):
    """One after the other, the first would wait for the third for ever."""
    for name in ("a.png", "b.png", "c.png"):
        photo(source / name)
    third_is_read = threading.Event()
    read, write = pipeline._read, pipeline._write

    def reading(job, **options):
        outcome = read(job, **options)
        if job.input.name == "c.png":
            third_is_read.set()
        return outcome

    def writing(job, *prediction, **options):
        if job.input.name == "a.png":
            assert third_is_read.wait(60)
        return write(job, *prediction, **options)

    monkeypatch.setattr(pipeline, "_read", reading)
    monkeypatch.setattr(pipeline, "_write", writing)
    monkeypatch.setattr(pipeline, "_next_batch", lambda items: items[:1])  # each goes through the network alone
    assert {result.status for result in colorized(source, target).values()} == {"done"}


def test_without_a_report_nothing_happens():
    report_line(None, Result("a", "b", "done"))


def test_a_light_network_leaves_cores_to_the_other_photos(monkeypatch):
    """A quick one gets one thread while there are others under way; a slow one, or a photo alone, gets all."""
    clock = iter([0.0, 10.0, 10.0, 10.1, 10.1, 20.0, 20.0, 30.0, 30.0, 30.1])
    monkeypatch.setattr(pipeline.time, "monotonic", lambda: next(clock))
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        threads, counts = pipeline.NetworkThreads(), []
        for alone in (False, False, False, True):
            with threads.limited(1, alone):
                counts.append(torch.get_num_threads())
            assert torch.get_num_threads() == 4, "others find it as it was"
        assert counts == [4, 4, 1, 4]
    finally:
        torch.set_num_threads(before)
