"""A watched folder: what is there, then what comes, each when it is whole; an orderly end."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.colorize.folder import find_jobs
from deoldify_lite.colorize.watch import watch
from helpers.photo_files import encoded
from helpers.scans import pages, steps
from helpers.scripts import start_script

PNG = encoded(steps(40, 30), "PNG")
SCRIPT = "scripts/colorize_dir.py"


class Folder:
    """A folder under watch, in which nothing happens between two looks but the next of some events."""

    def __init__(self, source: Path, target: Path):
        self.source, self.target, self.told = source, target, []
        source.mkdir(exist_ok=True)

    def taken(self, *events, recursive: bool = False) -> list[list[str]]:
        "Names of what is taken in each look, `again` where it is done again: before each event, and twice after all."
        looks, coming = [], iter((*events, lambda: None, lambda: None))

        def look():
            looks.append([])
            return find_jobs(self.source, self.target, recursive, may_be_empty=True)

        class Clock(threading.Event):
            def wait(self, timeout=None):
                event = next(coming, None)
                event() if event else self.set()

        for jobs, again in watch(look, Clock(), self.told.append):
            names = [job.input.relative_to(self.source).as_posix() for job in jobs]
            looks[-1] += [f"{name} again" if again else name for name in names]
        return looks


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path / "in", tmp_path / "out")


def test_what_is_there_and_what_comes_is_taken_once(folder):
    (folder.source / "a.png").write_bytes(PNG)
    assert folder.taken(lambda: (folder.source / "b.png").write_bytes(PNG), lambda: None) == [
        [],
        ["a.png"],
        ["b.png"],
        [],
        [],
    ]


def test_a_file_that_grows_is_not_touched_until_it_is_whole(folder):
    path = folder.source / "a.png"

    def grow(size: int):
        return lambda: path.write_bytes(PNG[:size])

    taken = folder.taken(grow(0), lambda: None, lambda: None, grow(50), grow(90), grow(len(PNG)))
    assert taken == [[]] * 7 + [["a.png"], []]


def test_a_time_that_changes_alone_counts_as_being_written(folder):
    path = folder.source / "a.png"
    path.write_bytes(PNG)  # of its full size from the beginning, as some programs copy

    def touch(seconds: int):
        return lambda: os.utime(path, (seconds, seconds))

    assert folder.taken(touch(10), touch(20), touch(30)) == [[], [], [], [], ["a.png"], []]


def test_a_file_under_another_name_until_it_is_whole(folder):
    part, hidden = folder.source / "a.png.part", folder.source / ".b.png"
    part.write_bytes(PNG[:50])
    hidden.write_bytes(PNG[:50])

    def finish():
        part.write_bytes(PNG)
        part.rename(folder.source / "a.png")
        hidden.rename(folder.source / "b.png")

    assert folder.taken(lambda: None, finish) == [[], [], [], ["a.png", "b.png"], []]


def test_a_photo_that_changes_or_comes_anew_is_done_again(folder):
    path = folder.source / "a.png"
    path.write_bytes(PNG)
    other = encoded(steps(50, 30), "PNG")
    taken = folder.taken(
        lambda: None,
        lambda: path.write_bytes(other),
        lambda: None,
        path.unlink,
        lambda: path.write_bytes(PNG + b"\0"),
        lambda: None,
    )
    assert [names for names in taken if names] == [["a.png"], ["a.png again"], ["a.png again"]]


def test_gone_before_it_was_whole_and_what_is_no_file(folder):
    path = folder.source / "a.png"
    path.write_bytes(PNG)
    os.mkfifo(folder.source / "pipe.png")
    (folder.source / "broken.png").symlink_to("nowhere")
    (folder.source / "folder.png").mkdir()
    assert not any(folder.taken(path.unlink, lambda: None))


def test_results_in_the_watched_folder_are_no_photos(folder):
    folder.target = folder.source / "colour"
    (folder.source / "a.png").write_bytes(PNG)

    def finish():
        folder.target.mkdir()
        (folder.target / "a.png").write_bytes(PNG)

    assert folder.taken(lambda: None, finish, lambda: None, recursive=True) == [[], ["a.png"], [], [], [], []]


def test_a_network_that_is_down_is_told_once_and_waited_for(folder):
    (folder.source / "a.png").write_bytes(PNG)
    away = folder.source.with_name("away")
    taken = folder.taken(
        lambda: folder.source.rename(away), lambda: None, lambda: None, lambda: away.rename(folder.source), lambda: None
    )
    assert [names for names in taken if names] == [["a.png"]]
    assert folder.told == [f"{folder.source}: no such file or folder"]


def test_files_in_the_order_of_their_names_and_pages_too(folder):
    for name, data in (("b.tif", pages("TIFF", steps(9, 8), steps(9, 8))), ("a.png", PNG)):
        (folder.source / name).write_bytes(data)
    assert folder.taken() == [[], ["a.png", "b.tif"], []]


# The command.


def test_what_cannot_be_watched_is_a_mistake_in_the_command(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "in").mkdir()
    for arguments, sentence in (
        ((tmp_path / "a.png", tmp_path / "out"), "--watch takes a folder"),
        ((tmp_path / "missing", tmp_path / "out"), "--watch takes a folder"),
        ((tmp_path / "in", tmp_path, "-r"), "results could come into the watched folder"),
        ((tmp_path / "in", tmp_path / "in"), "the folder of the originals"),
    ):
        result = CliRunner().invoke(program, ["colorize", "--watch", *map(str, arguments)])
        assert result.exit_code == 2 and sentence in result.stderr, sentence


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_watching_ends_in_order_with_its_report_whole(tmp_path, weights, sent):
    source, target, report = tmp_path / "in", tmp_path / "in" / "colour", tmp_path / "report.jsonl"
    source.mkdir()
    (source / "a.png").write_bytes(PNG)
    flags = ["-r", "--watch", "--report", report, "--weights", weights, "--device=cpu", "--render-factor=2"]
    running = start_script(SCRIPT, source, target, *flags, text=True)
    try:
        assert running.stdout.readline().strip() == str(target / "a.png")
        (source / ".b.tif").write_bytes(pages("TIFF", steps(40, 30), steps(30, 20)))
        (source / ".b.tif").rename(source / "b.tif")
        assert running.stdout.readline().strip() == str(target / "b.tif")
        (source / "empty.png").touch()
        running.send_signal(sent)
        stdout, stderr = running.communicate(timeout=60)
    finally:
        running.kill()
    assert (running.returncode, stdout) == (0, "")
    assert stderr.splitlines() == ["watching for photos; Ctrl-C ends", "2 done"]
    assert [(Path(line["input"]).name, line["status"]) for line in lines_of(report)] == [
        ("a.png", "done"),
        ("b.tif", "done"),
    ]
    assert sorted(path.name for path in target.iterdir()) == ["a.png", "b.tif"]


@pytest.mark.slow
def test_what_has_begun_when_it_ends_is_finished_and_told(tmp_path, weights):
    source, target, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl"
    source.mkdir()
    for i in range(2000):
        (source / f"{i:04}.png").write_bytes(PNG)
    (source / "0001.png").write_bytes(b"Dear grandmother")
    flags = ["--watch", "--report", report, "--weights", weights, "--device=cpu", "--render-factor=2"]
    running = start_script(SCRIPT, source, target, *flags, text=True)
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 1  # one was no photo
    lines = lines_of(report)
    assert {line["input"] for line in lines if line["status"] == "failed"} == {str(source / "0001.png")}
    done = {Path(line["output"]).name for line in lines if line["status"] == "done"}
    assert done == {path.name for path in target.iterdir()} and 0 < len(done) < 1999
    assert stderr.splitlines()[-1] == f"{len(done)} done, 1 failed"
    for name in done:
        with Image.open(target / name) as image:
            assert image.size == (40, 30)
