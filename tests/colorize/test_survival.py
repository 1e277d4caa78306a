"""Nothing stops the command: every case that goes wrong is told, costs nothing else, and leaves no half file."""

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite import Colorizer
from deoldify_lite.cli import program
from deoldify_lite.colorize.folder import Job
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.files import TEMPORARY, remove_leftovers
from deoldify_lite.modeling.weights import read_safetensors, save_weights
from deoldify_lite.photo import open_photo
from helpers.damage import KINDS, damaged, whole
from helpers.photo_files import (
    ALPHA,
    BROKEN,
    COLOR,
    LOSSLESS,
    UPRIGHT,
    chunk,
    encoded,
    noise,
    orientation,
    oriented,
    png,
    tiff,
)
from helpers.scripts import start_script

pytestmark = pytest.mark.usefixtures("pillow_limit_restored")
ROOT = Path(__file__).parents[2]
SCRIPT = "scripts/colorize_dir.py"


@pytest.fixture
def flags(weights) -> list[str]:
    return ["--device=cpu", "--precision=float32", "--render-factor=2", f"--weights={weights}"]


@pytest.fixture
def colorize(flags):
    """Run the command in this process."""

    def run(*arguments):
        return CliRunner().invoke(program, ["colorize", *flags, *map(str, arguments)])

    return run


def report_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def files(folder: Path) -> list[str]:
    "Everything below a folder, hidden files too."
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def assert_whole(source: Path, target: Path) -> None:
    "The result can be read in full; it has the photo's size, alpha and, where its format loses nothing, luma."
    before, after = open_photo(source), open_photo(target)
    assert after.size == before.size, source
    exact = target.suffix.lower() in (".png", ".tif", ".bmp")
    tolerance = (1 if exact else 40) * (257 if before.luma.dtype == np.uint16 and not exact else 1)
    difference = np.abs(after.luma.astype(int) - before.luma)
    assert np.quantile(difference, 1 if exact else 0.9) <= tolerance, source
    if target.suffix.lower() == ".png":
        assert (before.alpha is None) == (after.alpha is None), source
        assert before.alpha is None or (before.alpha == after.alpha).all(), source


# Every case of a folder that has seen much, at once.

ALPHA_MODES = {"LA": COLOR.convert("L"), "RGBA": COLOR}
MANY = {"save_all": True, "append_images": [COLOR.rotate(90, expand=True), COLOR.rotate(180)]}
GIF = encoded(Image.new("L", (4, 4)), "GIF", save_all=True, append_images=[Image.new("L", (4, 4), 9)])
SECOND = GIF.rindex(b"\x21\xf9\x04")
BOMB = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes.fromhex("0000ea600000ea601002000000")) + chunk(b"IDAT", b"")
SEPIA = Image.merge("RGB", [COLOR.convert("L").point(lambda v, k=k: int(v * k)) for k in (1.0, 0.85, 0.6)])


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(ALPHA)
    return image


GOOD = {
    "really a jpeg.png": encoded(COLOR, "JPEG"),
    "absurd.gif": GIF[:SECOND] + GIF[SECOND:-1] * 20_000 + GIF[-1:],
    "animated.gif": encoded(COLOR.quantize(16), "GIF", **MANY),
    "pages.tif": encoded(COLOR, "TIFF", **MANY),
    "1x1.png": png(noise(1, 1, 1)),
    "1x20000.png": png(noise(20_000, 1, 1)),
    "20000x1.jpg": encoded(Image.fromarray(noise(1, 20_000)), "JPEG"),
    "16 bit.tif": tiff(noise(20, 30, dtype=np.uint16)),
    "16 bit.png": png(noise(20, 30, 3, dtype=np.uint16)),
    "float.tif": tiff(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)),
    "cmyk.jpg": encoded(COLOR.convert("CMYK"), "JPEG", quality=100),
    "palette.png": encoded(COLOR.quantize(16), "PNG", transparency=3),
    "LA.png": encoded(with_alpha(COLOR.convert("L")), "PNG"),
    "RGBA.png": encoded(with_alpha(COLOR), "PNG"),
    "1 bit.tif": encoded(COLOR.convert("1"), "TIFF"),
    "corrupt exif.jpg": encoded(Image.fromarray(UPRIGHT), "JPEG", exif=b"Exif\0\0nonsense"),
    "malformed icc.png": encoded(COLOR, "PNG", icc_profile=b"no profile"),
    "black.png": encoded(Image.new("L", (9, 8), 0), "PNG"),
    "white.png": encoded(Image.new("L", (9, 8), 255), "PNG"),
    "colour.png": encoded(COLOR, "PNG"),
    "sepia.png": encoded(SEPIA, "PNG"),
    "twin.jpg": encoded(Image.new("L", (9, 8), 50), "JPEG"),
    "twin.png": encoded(Image.new("L", (9, 8), 200), "PNG"),
    "one/same name.png": encoded(Image.new("L", (9, 8), 50), "PNG"),
    "two/same name.png": encoded(Image.new("L", (9, 8), 200), "PNG"),
    "a folder.jpg/inside.jpg": encoded(COLOR, "JPEG"),
    "x" * 251 + ".png": encoded(COLOR, "PNG"),
    os.fsdecode(b"\xff\xfe.png"): encoded(COLOR, "PNG"),
} | {f"turned {value}.jpg": oriented("JPEG", value) for value in range(1, 9)}
BAD = BROKEN | {
    "bomb.png": (BOMB, "too large: 60000 x 60000"),
    "float colours.tif": (tiff(np.zeros((4, 4, 3), np.float32)), "not supported"),
    "y" * 250 + ".gif": (GIF, "too long"),  # by the .png that is added
    "unreadable.png": (encoded(COLOR, "PNG"), "Permission denied"),
}
NOT_MEANT = ("._x.jpg", ".hidden.png", "Thumbs.db", "notes.txt", ".DS_Store")


def test_a_folder_that_has_seen_much(colorize, tmp_path, monkeypatch):
    source, report = tmp_path / "in", tmp_path / "report.jsonl"
    target = source / "colour"  # inside the input: not to be done again
    for name, data in (GOOD | {name: data for name, (data, _) in BAD.items()}).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    for name in NOT_MEANT:
        (source / name).write_bytes(GOOD["colour.png"])
    os.mkfifo(source / "pipe.jpg")
    (source / "gone.jpg").symlink_to("nowhere.jpg")
    (source / "itself.jpg").symlink_to("itself.jpg")
    (source / "loop").symlink_to(source)
    sentences = {name: sentence for name, (_, sentence) in BAD.items()}
    sentences |= {"pipe.jpg": "not a file", "gone.jpg": "No such file", "itself.jpg": "symbolic links"}

    opened = Path.open

    def locked(path, *args, **options):
        if path.name == "unreadable.png":  # tests may run as root, who may read everything
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", locked)
    originals = {name: (source / name).read_bytes() for name in GOOD}
    result = colorize("-r", source, target, "--report", report)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"{len(GOOD)} done, {len(sentences)} failed"

    lines = {Path(line["input"]).relative_to(source).as_posix(): line for line in report_of(report)}
    assert len(report_of(report)) == len(lines)
    assert lines.keys() == GOOD.keys() | sentences.keys()
    assert {name for name, line in lines.items() if line["status"] == "done"} == GOOD.keys()
    for name, sentence in sentences.items():
        assert any(part in lines[name]["error"] for part in sentence.replace(".*", "|").split("|")), name
        assert "\n" not in lines[name]["error"]
    outputs = {name: name + ".png" * name.endswith(".gif") for name in GOOD}
    assert files(target) == sorted(outputs.values())
    for name, output in outputs.items():
        assert_whole(source / name, target / output)
        assert (source / name).read_bytes() == originals[name]
        with Image.open(target / output) as image:
            assert list(image.size) == [lines[name]["width"], lines[name]["height"]]

    again = colorize("-r", source, target, "--report", report)
    assert again.exit_code == 1 and again.stdout == ""
    assert again.stderr.splitlines()[-1] == f"{len(GOOD)} skipped, {len(sentences)} failed"


@pytest.mark.filterwarnings("ignore:::PIL")
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data(), size=st.tuples(st.integers(1, 60), st.integers(1, 60)), turned=st.integers(1, 8))
def test_any_photo_cut_off_anywhere(weights, tmp_path_factory, data, size, turned):
    """It is colorized, with its size, alpha and luma; or there is a line in the report, and no file."""
    extension = data.draw(st.sampled_from(sorted(LOSSLESS)))
    mode = data.draw(st.sampled_from(LOSSLESS[extension]))
    fraction = data.draw(st.floats(0, 2))  # of the file; half of the time all of it
    folder = tmp_path_factory.mktemp("cut")
    job = Job(folder / f"a{extension}", folder / "out" / f"a{extension}")
    if mode in ("F", "I;16"):
        pixels = noise(*size[::-1], dtype=np.uint16)
        image = Image.fromarray(pixels / np.float32(65535) if mode == "F" else pixels)
    else:
        image = Image.fromarray(noise(*size[::-1], 4)).convert(mode)
    content = encoded(image, {".png": "PNG", ".tif": "TIFF"}[extension], exif=orientation(turned))
    job.input.write_bytes(content[: round(len(content) * min(fraction, 1))])

    (result,) = colorize_all([job], small_colorizer(weights))
    if result.status == "done":
        assert (result.width, result.height) == (size if turned < 5 else size[::-1])
        assert files(job.output.parent) == [job.output.name]
        assert_whole(job.input, job.output)
    else:
        assert fraction < 1 and result.status == "failed"
        assert result.error and "\n" not in result.error
        assert not job.output.parent.exists()


def test_damaged_files_of_every_format_end_in_the_report(colorize, tmp_path):
    """Each is done or fails in one line, by the command as by its parts (see `test_fuzz`)."""
    (tmp_path / "in").mkdir()
    for number, kind in enumerate(KINDS):
        random = np.random.default_rng(number)
        for case in range(3):
            (tmp_path / "in" / f"{case} {kind}").write_bytes(damaged(whole(kind), random))
    result = colorize(tmp_path / "in", tmp_path / "out", "--max-pixels=200000", "--report", tmp_path / "report.jsonl")
    lines = report_of(tmp_path / "report.jsonl")
    assert sorted(Path(line["input"]).name for line in lines) == files(tmp_path / "in")
    failed = [line for line in lines if line["status"] == "failed"]
    done = [Path(line["output"]) for line in lines if line["status"] == "done"]
    assert result.exit_code == 1 and len(failed) > 10 and len(done) > 10
    assert all(line["error"] and "\n" not in line["error"] for line in failed)
    assert result.stderr.splitlines()[-1] == f"{len(done)} done, {len(failed)} failed"
    assert files(tmp_path / "out") == sorted(path.name for path in done)
    assert all(open_photo(path).size for path in done)


COLORIZERS: dict[Path, Colorizer] = {}


def small_colorizer(weights: Path) -> Colorizer:
    if weights not in COLORIZERS:
        COLORIZERS[weights] = Colorizer(weights, "cpu", "float32", 2)
    return COLORIZERS[weights]


# Weights that are none.


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_bad_weights_are_one_sentence_and_exit_code_3(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    COLOR.save(tmp_path / "in" / "a.png")
    evil = io.BytesIO()
    torch.save({"model": Evil()}, evil)
    other = io.BytesIO()
    torch.save({"conv.weight": torch.zeros(3, 3)}, other)
    page = b"<!DOCTYPE html><html><body>404</body></html>"
    config, state = read_safetensors(weights)
    name = next(name for name, value in state.items() if value.dim() == 4)
    state[name][0] = torch.nan
    save_weights(None, tmp_path / "diverged.safetensors", config=config, state=state)
    del state[name]
    save_weights(None, tmp_path / "another.safetensors", config=config, state=state)
    for name, content, sentence in (
        ("missing.pth", None, "no such file"),
        ("truncated.safetensors", weights.read_bytes()[:100_000], "not a safetensors file"),
        ("headless.safetensors", weights.read_bytes()[:4], "not a safetensors file"),
        ("truncated.pth", other.getvalue()[:-100], "truncated"),
        ("other.pth", other.getvalue(), "not a generator of DeOldify"),
        ("evil.pth", pickle.dumps({"layers.0": Evil()}), "executed"),
        ("evil inside.pth", evil.getvalue(), "executed"),
        ("page.pth", page, "web page"),
        ("page.safetensors", page, "not a safetensors file"),
        ("diverged.safetensors", None, "NaN or infinity in 1 of"),
        ("another.safetensors", None, "weights of another network: 1 of"),
    ):
        if content is not None:
            Path(name).write_bytes(content)
        result = CliRunner().invoke(program, ["colorize", "in", "out", "--device=cpu", "--weights", name])
        assert result.exit_code == 3, name
        assert result.stdout == "" and len(result.stderr.splitlines()) == 1, name
        assert result.stderr.startswith("error: ") and name in result.stderr and sentence in result.stderr, name
        assert not Path("out").exists() and not Path("executed").exists(), name


# Killed, and several at once.

COUNT = 200


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two hundred small photos of three shapes and formats, each with a luma of its own."""
    (tmp_path / "in").mkdir()
    gradient = np.asarray(Image.radial_gradient("L").resize((48, 48)))
    for i in range(COUNT):
        pixels = np.roll(gradient, i, axis=1)[: (48, 40, 32)[i % 3]]
        Image.fromarray(pixels).save(tmp_path / "in" / f"{i:03}{('.png', '.tif', '.bmp')[i % 3]}")
    return tmp_path / "in"


def assert_all_whole(source: Path, target: Path) -> None:
    assert files(target) == files(source)
    for name in files(source):
        assert_whole(source / name, target / name)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_does_what_is_missing(photos, tmp_path, flags, colorize, sent):
    target = tmp_path / "out"
    running = start_script(SCRIPT, photos, target, *flags, text=True)
    printed = [running.stdout.readline().strip() for _ in range(20)]
    running.send_signal(sent)
    printed += running.stdout.read().splitlines()
    running.communicate()  # that alone would miss what was read ahead of a line, and begin within one
    assert running.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[sent]

    there = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in target.glob("[!.]*")}
    assert {Path(line) for line in printed} <= there.keys() and 20 <= len(there) < COUNT
    assert sent == signal.SIGKILL or files(target) == sorted(path.name for path in there)
    for path in there:
        assert_whole(photos / path.name, path)
    (target / f"{TEMPORARY}half.jpg").write_bytes(b"left by a process that was killed while it wrote")

    result = colorize(photos, target)
    assert result.exit_code == 0
    assert {Path(line) for line in result.stdout.splitlines()} == {target / n for n in files(photos)} - there.keys()
    assert result.stderr == f"{COUNT - len(there)} done, {len(there)} skipped\n"
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in there} == there
    assert_all_whole(photos, target)


@pytest.mark.slow
def test_two_processes_on_one_folder_lose_nothing(photos, tmp_path, flags):
    """... while a third would clear away what they are just writing."""
    for path in sorted(photos.iterdir())[60:]:
        path.unlink()
    target, over = tmp_path / "out", threading.Event()

    def clean():
        while not over.wait(0.001):
            remove_leftovers(target)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        running = [
            start_script(SCRIPT, photos, target, *flags, f"--report={tmp_path / name}.jsonl", text=True)
            for name in "ab"
        ]
        ended = [process.communicate() for process in running]
    finally:
        over.set()
        cleaner.join()
    assert [(process.returncode, "failed" in stderr) for process, (_, stderr) in zip(running, ended)] == [
        (0, False)
    ] * 2
    reports = [report_of(tmp_path / f"{name}.jsonl") for name in "ab"]
    assert [len(lines) for lines in reports] == [60, 60]
    done = {Path(line["output"]).name for lines in reports for line in lines if line["status"] == "done"}
    assert sorted(done) == files(photos)
    assert_all_whole(photos, target)


# A full disk.


@pytest.fixture
def small_disk(tmp_path):
    """A folder with space for 256 KB, and a way to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options) -> bool:
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", folder]
        return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0

    if not mount("-o", "size=256k"):
        pytest.skip("no permission to mount a disk")
    yield folder, lambda: mount("-o", "remount,size=16m")
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_line_by_line_and_leaves_no_half_file(small_disk, colorize, tmp_path):
    """Then there is space again, and the same command does the rest."""
    disk, enlarge = small_disk
    extensions = (".jpg", ".png", ".bmp", ".tif", ".webp", ".jp2")
    (tmp_path / "in").mkdir()
    for i in range(60):
        side = 30 + 3 * i % 50
        Image.fromarray(noise(side, side, seed=i)).save(tmp_path / "in" / f"{i:02}{extensions[i % 6]}")
    result = colorize(tmp_path / "in", disk / "out", "--report", tmp_path / "report.jsonl")
    assert result.exit_code == 1
    lines = report_of(tmp_path / "report.jsonl")
    assert [Path(line["input"]).name for line in lines] == files(tmp_path / "in")
    failed = [line for line in lines if line["status"] == "failed"]
    assert {line["error"] for line in failed} == {"could not be written: No space left on device"}
    done = [Path(line["output"]) for line in lines if line["status"] == "done"]
    assert len(done) > 5 and len(failed) > 5
    assert files(disk / "out") == sorted(path.name for path in done)
    for path in done:
        assert_whole(tmp_path / "in" / path.name, path)

    assert enlarge()
    result = colorize(tmp_path / "in", disk / "out")
    assert (result.exit_code, result.stderr) == (0, f"{len(failed)} done, {len(done)} skipped\n")
    assert files(disk / "out") == files(tmp_path / "in")
    for name in files(tmp_path / "in"):
        assert_whole(tmp_path / "in" / name, disk / "out" / name)


# A large scan.


@pytest.mark.parametrize("extension", [".jpg", ".tif"])
@pytest.mark.slow
def test_a_scan_of_100_megapixels_takes_less_than_3_gigabytes(flags, tmp_path, monkeypatch, extension):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    scan, result, notes = (tmp_path / name for name in (f"scan{extension}", f"colour{extension}", "notes.json"))
    COLOR.resize((12_500, 8_000), Image.Resampling.NEAREST).save(scan)
    probe = [sys.executable, "-m", "benchmarks.probe", notes]
    subprocess.run([*probe, "colorize", scan, result, *flags], cwd=ROOT, check=True)
    assert 0.4e9 < json.loads(notes.read_text())["peak_memory"] < 3e9
    with Image.open(result) as image:
        assert image.size == (12_500, 8_000)
