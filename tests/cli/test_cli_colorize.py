"""The commands `colorize` and `samples`: what they print where, and with which exit code they end."""

import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.samples import sample_photos
from helpers.scripts import start_script

pytestmark = pytest.mark.usefixtures("pillow_limit_restored")
SCRIPT = "scripts/colorize_dir.py"


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of two small photos and a file that only looks like one."""
    folder = tmp_path / "photos"
    (folder / "x").mkdir(parents=True)
    for name, path in (("a.png", sample_photos()["china.jpg"]), ("x/b.jpg", sample_photos()["flower.jpg"])):
        with Image.open(path) as image:
            image.convert("L").resize((64, 48)).save(folder / name)
    return folder


@pytest.fixture
def colorize(weights):
    """Run the command in this process, with the small network unless other weights are named."""

    def run(*arguments, **options):
        small = {"weights": weights, "device": "cpu", "render_factor": 4} | options
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in small.items() if value is not None]
        return CliRunner().invoke(program, ["colorize", *map(str, arguments), *flags])

    return run


def test_results_on_stdout_all_else_on_stderr(colorize, photos, tmp_path):
    result = colorize(photos, tmp_path / "out", "-r")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(tmp_path / "out" / "a.png"), str(tmp_path / "out" / "x" / "b.jpg")]
    assert result.stderr == "2 done\n"
    for line in result.stdout.splitlines():
        with Image.open(line) as image:
            assert image.mode == "RGB" and image.size == (64, 48)


def test_hints_a_reference_and_variants(colorize, photos, tmp_path):
    hints, out = tmp_path / "my.json", tmp_path / "out"
    hints.write_text('{"version": 1, "width": 64, "height": 48, "hints": [{"x": 30, "y": 20, "color": "red"}]}')
    results = {
        "plain": colorize(photos / "a.png", out / "plain.png"),
        "hints": colorize(photos / "a.png", out / "hints.png", hints=hints),
        "like": colorize(photos / "a.png", out / "like.png", like=sample_photos()["flower.jpg"]),
        "several": colorize(photos / "a.png", out / "several.png", variants=2),
    }
    assert all(result.exit_code == 0 for result in results.values())
    assert results["several"].stdout.splitlines() == [str(out / f"several_{i}.png") for i in (1, 2)]
    made = {path.stem: path.read_bytes() for path in out.iterdir()}
    assert made["several_1"] == made["plain"]
    assert len(set(made.values())) == 4


def test_variants_replace_nothing_unless_asked_to(colorize, photos, tmp_path):
    """A scanner's `scan_1.jpg` may be another photo."""
    (tmp_path / "a_1.png").write_bytes(b"mine")
    result = colorize(photos / "a.png", tmp_path / "a.png", variants=2)
    assert result.exit_code == 0 and result.stdout.split() == [str(tmp_path / "a_2.png")]
    assert (tmp_path / "a_1.png").read_bytes() == b"mine"
    assert colorize(photos / "a.png", tmp_path / "a.png", "--overwrite", variants=2).exit_code == 0
    assert (tmp_path / "a_1.png").read_bytes() != b"mine"


def test_hints_that_cannot_be_used(colorize, photos, tmp_path):
    (photos / "a.hints.json").write_text("Dear grandmother")
    result = colorize(photos, tmp_path / "out", "-r")
    assert result.exit_code == 1
    assert f"{photos / 'a.png'}: {photos / 'a.hints.json'}: not JSON" in result.stderr.splitlines()
    assert result.stdout.splitlines() == [str(tmp_path / "out" / "x" / "b.jpg")]
    result = colorize(photos, tmp_path / "squash", "--squash", "--verbose")
    assert result.exit_code == 0
    assert f"{photos / 'a.png'}: a.hints.json was not used: DeOldify's way has no hints" in result.stderr.splitlines()


def test_what_is_done_is_skipped(colorize, photos, tmp_path):
    assert colorize(photos, tmp_path / "out").exit_code == 0
    result = colorize(photos, tmp_path / "out", "-r")
    assert (result.exit_code, result.stderr) == (0, "1 done, 1 skipped\n")
    assert result.stdout.splitlines() == [str(tmp_path / "out" / "x" / "b.jpg")]
    result = colorize(photos, tmp_path / "out", "-r", "--overwrite")
    assert (result.exit_code, result.stderr) == (0, "2 done\n")


def test_one_photo(colorize, photos, tmp_path):
    assert colorize(photos / "a.png", tmp_path / "b.tif").stdout == f"{tmp_path / 'b.tif'}\n"
    assert colorize(photos / "a.png", tmp_path / "out").stdout == f"{tmp_path / 'out' / 'a.png'}\n"


def test_a_broken_photo_ends_in_a_line_and_in_exit_code_1(colorize, photos, tmp_path):
    (photos / "bad.jpg").write_text("Dear grandmother")
    report = tmp_path / "report.jsonl"
    report.write_text('{"input": "of the day before"}\n')
    result = colorize(photos, tmp_path / "out", "-r", report=report)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.splitlines() == [
        f"{photos / 'bad.jpg'}: not a photo, or in a format that is not supported",
        "2 done, 1 failed",
    ]
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [Path(line["input"]).name for line in lines] == ["of the day before", "a.png", "bad.jpg", "b.jpg"]
    assert [line.get("status") for line in lines[1:]] == ["done", "failed", "done"]


def test_verbose_says_what_is_used_and_what_was_noticed(colorize, photos, tmp_path):
    Image.new("RGB", (8, 8), (200, 30, 30)).save(photos / "c.png")
    stderr = colorize(photos, tmp_path / "out", "--verbose", precision="float32").stderr
    assert "on cpu, render factor 4" in stderr and "torch.float32: as asked for" in stderr
    assert f"{photos / 'c.png'}: had colours" in stderr


def test_strength_0_is_grey(colorize, photos, tmp_path):
    assert colorize(photos, tmp_path / "out", strength=0).exit_code == 0
    with Image.open(tmp_path / "out" / "a.png") as image, Image.open(photos / "a.png") as original:
        assert image.tobytes() == original.convert("RGB").tobytes()


def test_max_pixels(colorize, photos, tmp_path):
    result = colorize(photos, tmp_path / "out", max_pixels=64 * 48 - 1)
    assert result.exit_code == 1 and "too large: 64 x 48" in result.stderr
    assert colorize(photos, tmp_path / "out", max_pixels=64 * 48).exit_code == 0


def test_wrong_usage_is_exit_code_2_and_one_sentence(colorize, photos, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for arguments, options, sentence in (
        ((tmp_path / "missing", out), {}, "no such file or folder"),
        ((tmp_path / "empty", out), {}, "no photos in this folder"),
        ((photos, photos), {}, "the folder of the originals"),
        ((photos, tmp_path / "file"), {}, "is a file"),
        ((photos / "a.png", tmp_path / "a.gif"), {}, "cannot write this format"),
        ((photos, out), {"precision": "float8"}, "precision 'float8' is unknown"),
        ((photos, out), {"hints": tmp_path / "file"}, "--hints is for one photo"),
        ((photos / "a.png", out), {"hints": tmp_path / "missing"}, "no such file"),
        ((photos, out), {"like": photos / "a.png"}, "it has no colours to take"),
        ((photos, out), {"like": tmp_path / "file"}, "the file is empty"),
        ((photos, out, "--squash"), {"like": photos / "a.png"}, "need the usual way of colorizing"),
        ((photos, out, "--squash"), {"variants": 2}, "need the usual way of colorizing"),
        ((photos, out), {"report": tmp_path / "empty"}, "the report cannot be written: Is a directory"),
        ((photos, out), {"report": tmp_path / "nowhere" / "report"}, "the report cannot be written: No such file"),
    ):
        result = colorize(*arguments, **options)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ") and sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to be had")
def test_a_report_on_a_full_disk(colorize, photos, tmp_path):
    result = colorize(photos, tmp_path / "out", report="/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "error: the report cannot be written: No space left on device\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


@pytest.mark.parametrize("arguments", [(), ("in",), ("in", "out", "--strength=4"), ("in", "out", "--render-factor=1")])
def test_wrong_arguments_are_exit_code_2(arguments):
    result = CliRunner().invoke(program, ["colorize", *arguments])
    assert result.exit_code == 2 and result.stderr and not result.stdout


def test_no_model_or_device_is_exit_code_3_and_one_sentence(colorize, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path / "none"))
    for suffix in ("safetensors", "pth", "txt"):
        (tmp_path / f"text.{suffix}").write_text("Dear grandmother, how are you?")
    for options, sentence in (
        ({"weights": tmp_path / "missing.safetensors"}, "no such file"),
        ({"weights": "deep"}, "has to be fetched by hand"),
        ({"weights": tmp_path / "text.safetensors"}, "not a safetensors file"),
        ({"weights": tmp_path / "text.txt"}, "not a safetensors file"),
        ({"weights": tmp_path / "text.pth"}, "text.pth: not"),
        ({"device": "abacus"}, "device 'abacus' is not available here"),
    ):
        result = colorize(photos, tmp_path / "out", **options)
        assert result.exit_code == 3
        assert result.stdout == ""
        assert result.stderr.startswith("error: ") and sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_samples(tmp_path):
    result = CliRunner().invoke(program, ["samples", str(tmp_path / "samples")])
    assert result.exit_code == 0
    written = [Path(line) for line in result.stdout.splitlines()]
    assert {path.name for path in written} == set(sample_photos()) == {p.name for p in (tmp_path / "samples").iterdir()}
    for path in written:
        with Image.open(path) as image, Image.open(sample_photos()[path.name]) as original:
            assert image.mode == "L" and image.size == original.size


def test_samples_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(program, ["samples", str(tmp_path / "file")])
    assert result.exit_code == 2 and result.stderr.startswith("error: ") and result.stdout == ""

    monkeypatch.setattr("deoldify_lite.samples.sample_photos", dict)
    result = CliRunner().invoke(program, ["samples", str(tmp_path / "out")])
    assert result.exit_code == 1 and "matplotlib" in result.stderr


# As programs of their own.


@pytest.mark.slow
def test_the_script_and_a_name_that_is_no_text(photos, tmp_path, weights):
    name = b"\xff\xfe.png"
    (photos / "a.png").rename(photos / os.fsdecode(name))
    (photos / "bad \udcff.jpg").write_text("Dear grandmother")
    running = start_script(SCRIPT, photos, tmp_path / "out", "--weights", weights, "--device=cpu", "--render-factor=4")
    stdout, stderr = running.communicate()
    assert running.returncode == 1
    assert stdout == os.fsencode(tmp_path / "out") + b"/" + name + b"\n"
    assert b"Traceback" not in stderr and b"bad \\udcff.jpg: not a photo" in stderr
    assert stderr.endswith(b"1 done, 1 failed\n")


@pytest.mark.slow
def test_names_that_the_terminal_has_no_letters_for(photos, tmp_path, weights):
    """... as on Windows, where what goes into a file is not UTF-8."""
    (photos / "a.png").rename(photos / "写真.png")
    flags = ["--weights", weights, "--device=cpu", "--render-factor=4"]
    running = start_script(SCRIPT, photos, tmp_path / "out", *flags, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    stdout, stderr = running.communicate()
    assert (running.returncode, stderr) == (0, b"1 done\n")
    assert stdout.strip().endswith(rb"\u5199\u771f.png")
    assert (tmp_path / "out" / "写真.png").exists()


@pytest.mark.slow
def test_interrupted_it_ends_with_130_and_whole_photos_only(photos, tmp_path, weights):
    for i in range(2000):
        (photos / f"{i:04}.png").hardlink_to(photos / "a.png")
    running = start_script(SCRIPT, photos, tmp_path / "out", "--weights", weights, "--device=cpu", "--render-factor=4")
    first = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate()
    assert running.returncode == 130
    assert stderr == b"error: interrupted; the same command goes on from here\n"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {Path(os.fsdecode(line)).name for line in (first + stdout).splitlines()} <= names
    assert 0 < len(names) < 2001
    assert not [name for name in names if name.startswith(".")]
    for name in names:
        with Image.open(tmp_path / "out" / name) as image:
            image.load()
