"""Ray: the same results, report and exit codes as without it, by two processes that may die."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.samples import sample_photos

pytest.importorskip("ray.data", reason="Ray is an extra")
pytestmark = pytest.mark.usefixtures("pillow_limit_restored")


@pytest.fixture
def run(weights):
    "The command, with a Ray of its own unless it is told of another."

    def run(*arguments):
        return CliRunner().invoke(program, ["ray", f"--weights={weights}", "--render-factor=2", *map(str, arguments)])

    return run


@pytest.fixture
def photos(tmp_path) -> Path:
    """Good ones, bad ones, names that are no text, and two with one result."""
    names = [f"{'xyz'[i % 3]}/{i:02}.png" for i in range(12)]
    names += [os.fsdecode(b"\xff\xfe.png"), "same.gif", "same.gif.png"]
    for i, name in enumerate(names):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            Image.linear_gradient("L").resize((32 + i, 32)).save(file, "GIF" if name.endswith("gif") else "PNG")
    (tmp_path / "in" / "x" / "bad.jpg").write_text("Dear grandmother")
    return tmp_path / "in"


def report_of(path: Path) -> dict[str, dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    by_input = {line["input"]: {k: v for k, v in line.items() if k != "seconds"} for line in lines}
    assert len(by_input) == len(lines)
    return by_input


@pytest.mark.slow
def test_with_two_actors_as_without(run, photos, tmp_path, weights):
    flags = [f"--weights={weights}", "--render-factor=2", "--report", str(tmp_path / "plain.jsonl"), "-r"]
    plain = CliRunner().invoke(program, ["colorize", str(photos), str(tmp_path / "out"), *flags])
    expected = report_of(tmp_path / "plain.jsonl")
    results = {p.relative_to(tmp_path / "out"): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    (tmp_path / "out").rename(tmp_path / "plain")

    result = run("-r", "--actors=2", photos, tmp_path / "out", "--report", tmp_path / "ray.jsonl")
    assert result.exit_code == plain.exit_code == 1
    assert report_of(tmp_path / "ray.jsonl") == expected
    assert sorted(result.stdout.splitlines()) == sorted(plain.stdout.splitlines())
    assert sorted(result.stderr.splitlines()) == sorted(plain.stderr.splitlines())
    found = {p.relative_to(tmp_path / "out"): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    assert found.keys() == results.keys() and len(found) == 14
    for name in found:
        with Image.open(tmp_path / "out" / name) as ours, Image.open(tmp_path / "plain" / name) as theirs:
            assert ours.size == theirs.size and ours.mode == theirs.mode == "RGB"
            # Not to the bit: other photos may have gone through the network with it.
            assert np.abs(np.asarray(ours, int) - np.asarray(theirs)).max() <= 2, name


@pytest.mark.slow
def test_a_photo_that_takes_its_process_down_fails_alone(run, photos, tmp_path, monkeypatch, ray_cluster):
    """... while what is there already is skipped."""
    from deoldify_lite.colorize.ray import Predictor

    class Fragile(Predictor):
        def predict(self, jobs):
            if any(job.input.name == "07.png" for job in jobs):
                os._exit(1)
            return super().predict(jobs)

    monkeypatch.setattr("deoldify_lite.colorize.ray.Predictor", Fragile)
    (tmp_path / "out" / "x").mkdir(parents=True)
    (tmp_path / "out" / "x" / "00.png").write_bytes(b"done before")
    (photos / "x" / "bad.jpg").unlink()
    result = run(
        *("-r", "--actors=1", f"--address={ray_cluster}"), photos, tmp_path / "out", "--report", tmp_path / "ray.jsonl"
    )
    report = report_of(tmp_path / "ray.jsonl")
    failed = {Path(name).name: line["error"] for name, line in report.items() if line["status"] == "failed"}
    assert failed.keys() == {"07.png", "same.gif.png"}
    assert failed["07.png"] == "the process that worked on it died"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "12 done, 1 skipped, 2 failed")
    assert not (tmp_path / "out" / "y" / "07.png").exists()


def test_what_makes_no_sense_needs_no_ray(run, photos, tmp_path):
    for arguments, code, sentence in (
        ((tmp_path / "missing", tmp_path / "out"), 2, "no such file or folder"),
        ((photos / "x", photos / "x"), 2, "the folder of the originals"),
        ((photos / "x", tmp_path / "out", "--weights=missing.pth"), 3, "no such file"),
        ((photos / "x", tmp_path / "out", "--address=127.0.0.1:1"), 3, "no Ray at 127.0.0.1:1: "),
        ((photos / "x", tmp_path / "out", "--address=nowhere"), 3, "no Ray at nowhere: an address is HOST:PORT"),
    ):
        result = run(*arguments)
        assert result.exit_code == code, result.stderr
        assert result.stderr.startswith("error: ") and sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1 and result.stdout == ""


def test_without_ray_it_says_what_to_install(run, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run(photos, tmp_path / "out")
    assert result.exit_code == 3 and 'pip install "deoldify_lite[ray]"' in result.stderr


@pytest.mark.slow
def test_hints_beside_photos_a_reference_and_variants(run, tmp_path, ray_cluster):
    (tmp_path / "in").mkdir()
    with Image.open(sample_photos()["flower.jpg"]) as flower:
        flower.convert("L").resize((64, 48)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.hints.json").write_text('[[30, 20, "red"]]')
    flags = ("--variants=2", f"--like={sample_photos()['flower.jpg']}", f"--report={tmp_path / 'r.jsonl'}")
    result = run(tmp_path / "in", tmp_path / "out", *flags, f"--address={ray_cluster}")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(tmp_path / "out" / f"a_{i}.png") for i in (1, 2)]
    assert report_of(tmp_path / "r.jsonl")[str(tmp_path / "in" / "a.png")]["notes"] == ["colorized with a.hints.json"]
