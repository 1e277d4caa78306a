"""One film by two processes: the pixels of a single one, resumable, whatever dies."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deoldify_lite import cli
from helpers.clips import assert_same_frames, pan, payloads, write_clip

pytest.importorskip("ray.data", reason="Ray is an extra")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pillow_limit_restored")]


@pytest.fixture
def flags(weights) -> list[str]:
    return [f"--weights={weights}", "--render-factor=2"]


@pytest.fixture
def run(flags, ray_cluster):
    def run(command: str, *arguments):
        address = [f"--address={ray_cluster}"] if command == "ray" else []
        return CliRunner().invoke(cli.program, [command, *flags, *address, *map(str, arguments)])

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    "Long enough for three parts."
    lumas = pan(300) + pan(40, seed=1) + pan(200, seed=2)
    return write_clip(
        tmp_path_factory.mktemp("clip") / "in.mp4", lumas, codec="libx264", options={"g": "50"}, sound=True
    )


def test_with_two_actors_as_by_one_process(run, clip, tmp_path):
    alone = run("video", "--device=cpu", clip, tmp_path / "alone.mkv", "--report", tmp_path / "alone.jsonl")
    assert alone.exit_code == 0, alone.output
    shared = run("ray", "--actors=2", clip, tmp_path / "shared.mkv", "--report", tmp_path / "shared.jsonl")
    assert shared.exit_code == 0, shared.output
    assert shared.stdout.splitlines() == [str(tmp_path / "shared.mkv")] and "1 done" in shared.stderr
    assert_same_frames(tmp_path / "alone.mkv", tmp_path / "shared.mkv")
    assert payloads(tmp_path / "shared.mkv", "audio") == payloads(clip, "audio")
    lines = [json.loads((tmp_path / f"{name}.jsonl").read_text()) for name in ("alone", "shared")]
    assert [(line["frames"], line["status"]) for line in lines] == [(540, "done")] * 2
    assert not list(tmp_path.glob("*.parts"))


def test_parts_that_are_there_are_kept_and_a_process_that_dies_costs_one_attempt(run, clip, tmp_path, monkeypatch):
    "A first run ends with the second part missing; the next one has it done, by a process that dies once."
    from deoldify_lite.video import ray

    class Fragile(ray.PartColorizer):
        mark, dies = tmp_path / "died", 99

        def write(self, part, *rest):
            if part.begin > 0 and part.end < 540 and len(list(tmp_path.glob("died*"))) < self.dies:
                (tmp_path / f"died{os.getpid()}").touch()
                os._exit(1)
            return super().write(part, *rest)

    class FragileOnce(Fragile):
        dies = 3

    monkeypatch.setattr(ray, "PartColorizer", Fragile)
    result = tmp_path / "result.mkv"
    ended = run("ray", "--actors=1", clip, result)
    assert ended.exit_code == 1 and "the same command goes on" in ended.stderr and not result.exists()
    kept = sorted((tmp_path / "result.mkv.parts").glob("*.nut"))
    assert kept and len(list(tmp_path.glob("died*"))) == 2
    times = [path.stat().st_mtime_ns for path in kept]

    monkeypatch.setattr(ray, "PartColorizer", FragileOnce)
    joined = []
    from deoldify_lite.video import job

    original = job.join
    monkeypatch.setattr(
        job, "join", lambda files, *rest: (joined.extend(f.stat().st_mtime_ns for f in files), original(files, *rest))
    )
    assert run("ray", "--actors=1", clip, result).exit_code == 0
    assert set(times) < set(joined) and len(joined) == 3
    alone = run("video", "--device=cpu", clip, tmp_path / "alone.mkv")
    assert alone.exit_code == 0
    assert_same_frames(tmp_path / "alone.mkv", result)


def test_what_is_no_video(run, tmp_path):
    (tmp_path / "letter.mp4").write_text("Dear grandmother")
    ended = run("ray", tmp_path / "letter.mp4", tmp_path / "result.mkv")
    assert ended.exit_code == 1 and ended.stderr.startswith("error: ") and "not a video" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.mp4"]
