"""What the benchmark of videos computes, on frames whose answer is known; and that it measures a clip."""

import json

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import video, video_speed
from benchmarks.run import benchmark
from benchmarks.video_speed import RATE
from deoldify_lite.cli.common import Command
from helpers.clips import decode, pan, write_clip


def grey(luma: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(luma * 255).astype(np.uint8)[..., None], 3, 2)


def test_warping_error_is_of_what_does_not_move_along():
    frames = [grey(luma) for luma in pan(4, step=2)]
    flow = np.broadcast_to(np.float32([-2, 0]), (*frames[0].shape[:2], 2)).copy()
    counts = np.ones(flow.shape[:2], bool)
    counts[:, :2] = False
    assert video.warping_error(frames, [(flow, counts)] * 3) == pytest.approx(0, abs=1e-9)
    brighter = [frame + np.uint8(0 if i % 2 else 5) for i, frame in enumerate(np.minimum(frames, 250))]
    assert video.warping_error(brighter, [(flow, counts)] * 3) == pytest.approx((5 / 255) ** 2, rel=1e-3)


def test_color_consistency_is_of_histograms_alone():
    still = [np.full((8, 8, 3), 7, np.uint8)] * 6
    assert video.color_consistency(still) == 0
    changing = [np.full((8, 8, 3), i % 2, np.uint8) for i in range(6)]
    # Neighbours are disjoint, ln 2; those two and four apart are equal.
    assert video.color_consistency(changing) == pytest.approx(np.log(2) / 3)


def test_the_mean_of_five_is_of_chroma_alone(tmp_path):
    frames = decode(write_clip(tmp_path / "in.mkv", pan(7)))
    for number, frame in enumerate(frames):
        video._plane(frame, 1)[:] = 100 + 10 * number
    made = list(video.window_mean(frames))
    assert [int(video._plane(frame, 1)[0, 0]) for frame in made] == [110, 115, 120, 130, 140, 145, 150]
    np.testing.assert_array_equal(video._plane(made[3], 0), video._plane(frames[3], 0))


def test_a_repeated_clip_is_as_much_longer(tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(5), codec="libx264", options={"bf": "0"})
    assert video_speed.repeat_clip(clip, tmp_path / "out.mkv", 3) == 15
    times = [frame.time for frame in decode(tmp_path / "out.mkv")]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=0.002)


@pytest.mark.slow
def test_a_clip_is_measured(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(video, "pans", lambda count: iter(()))
    monkeypatch.setattr(video, "Lpips", lambda: lambda a, b: torch.zeros(1))
    clip = write_clip(tmp_path / "in.mkv", pan(12), codec="libx264", options={"bf": "0"}, chroma=150)
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command(cls=Command)(benchmark)
    options = {"clips": clip, "weights": weights, "json": tmp_path / "a.json", "strips": tmp_path / "strips"}
    options |= {"device": "cpu", "precision": "float32", "render-factor": 2, "clip-frames": 12, "repetitions": 2}
    options |= {"hours": 0.04, "deoldify-frames": 2, "markdown": tmp_path / "tables.md"}
    monkeypatch.setattr("benchmarks.configuration.find_or_make", lambda name, folder: (name, weights))
    monkeypatch.setattr(video_speed, "DEOLDIFY_FACTOR", 2)
    monkeypatch.setattr(video_speed, "LONG_RATE", 1)
    ended = CliRunner().invoke(program, ["video", *(f"--{k}={v}" for k, v in options.items())], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    found = {row["what"]: row["median"] for row in json.loads((tmp_path / "a.json").read_text())["results"]}
    for measure in ("E_warp x 1000", "CDC x 1000", "colourfulness", "PSNR, dB", "LPIPS"):
        assert {f"{measure}, {name}" for name in (video.SINGLE, video.MEAN, video.OURS)} <= found.keys()
    assert found["24 frames, memory at the most"] > 0 and found["network"] > 0
    assert found["1 min, 60 frames"] > 0 and found["2 min, 120 frames"] > 0
    assert found["ours / DeOldify's way"] == pytest.approx(found[RATE] / found["DeOldify's way"], rel=0.5)
    tables = (tmp_path / "tables.md").read_text().split("\n\n")
    assert [len(table.splitlines()) for table in tables] == [2 + 5, 2 + 1, 2 + 9, 2 + 3, 2 + 2, 2 + 2, 2 + 3]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, "as many cells in each line"
    assert f"| | **ours** | {found['E_warp x 1000, ours']:.4f} |" in tables[0].replace("|  |", "| |")
    assert (tmp_path / "strips" / "video_in.jpg").exists()
