"""A film whose parts are done apart, in any order, has the pixels of one that a single process does."""

import random

import pytest

from deoldify_lite.colorize.folder import Job
from deoldify_lite.video import VideoColorizer, colorize_file, colorizer, parts, splitting
from deoldify_lite.video.errors import BadVideo
from deoldify_lite.video.job import Options
from helpers.clips import assert_same_frames, pan, write_clip


@pytest.fixture
def small(weights, monkeypatch):
    "Short windows and parts, and a colorizer."
    monkeypatch.setattr(colorizer, "WINDOW", 6)
    monkeypatch.setattr(colorizer, "OVERLAP", 4)
    monkeypatch.setattr(parts, "FRAMES", 15)
    return VideoColorizer(weights, "cpu", "float32", render_factor=2)


def encode_apart(found: list, began: list):
    "For `colorize_file`: the parts in an order that is not theirs."

    def encode(parts, video, colorizer, options, plan, progress):
        found.extend(splitting.find_parts(video, options, colorizer))
        for part in random.Random(1).sample(found, len(found)):
            splitting.write_part(part, video, options, plan, colorizer, parts.folder)
        return found[-1].end

    original = splitting.read_frames

    def read(video, start=None, end=None, keep_interlaced=False, near=None):
        for number, frame in enumerate(original(video, start, end, keep_interlaced, near)):
            if not number:
                began.append(float(frame.pts * frame.time_base))
            yield frame

    return encode, read


LUMAS = pan(50) + pan(20, seed=1) + pan(33, seed=2)  # the second begins in the middle of a part
H264 = {"codec": "libx264", "options": {"g": "12", "bf": "2"}}


@pytest.mark.parametrize("stabilize", [True, False])
@pytest.mark.parametrize(
    ("name", "made", "options", "begins_late"),
    [
        ("in.mkv", {}, Options(), True),
        ("in.mp4", H264, Options(), True),
        ("in.ts", H264, Options(), False),
        ("in.mkv", H264, Options(start=0.4, end=3.5), True),
        ("in.mkv", {"codec": "libx264", "options": {"g": "12", "x264-params": "tff=1"}}, Options(), True),
        ("in.h264", {**H264, "format": "h264"}, Options(), False),  # without times
    ],
    ids=["all key frames", "h264", "ts", "start and end", "deinterlaced", "no times"],
)
def test_parts_done_apart_are_those_of_one_process(
    small, tmp_path, monkeypatch, name, made, options, begins_late, stabilize
):
    small.stabilize = stabilize
    clip = write_clip(tmp_path / name, LUMAS, **made)
    whole, result = tmp_path / "whole.mkv", tmp_path / "result.mkv"
    written = []
    original = parts.PartWriter.finish
    monkeypatch.setattr(
        parts.PartWriter, "finish", lambda self: (written.append((self.begin, self.end)), original(self))
    )
    colorize_file(Job(clip, whole), small, options)
    found, began = [], []
    encode, read = encode_apart(found, began)
    monkeypatch.setattr(splitting, "read_frames", read)
    colorize_file(Job(clip, result), small, options, encode=encode)
    assert [(part.begin, part.end) for part in found] == [each for each in written if each[0] < each[1]][: len(found)]
    assert len(found) >= 4
    assert_same_frames(whole, result)
    if begins_late:
        assert sum(time > 0.9 for time in began) >= len(found) // 2, "not everything was decoded for each part"


def test_a_part_knows_the_frames_around_it(small, tmp_path):
    from deoldify_lite.video.reading import probe

    clip = write_clip(tmp_path / "in.mkv", LUMAS)
    found = list(splitting.find_parts(probe(clip), Options(), small))
    assert [(part.begin, part.end) for part in found][:2] == [(0, 18), (18, 36)]
    numbers = [[frame.number for frame in part.frames] for part in found]
    assert (numbers[0][0], numbers[0][-1]) == (0, 18 + 4)
    assert (numbers[1][0], numbers[1][-1]) == (18 - 6, 36 + 4)
    assert found[-1].end == 103 and numbers[-1][-1] == 102
    assert {frame.number for part in found for frame in part.frames if frame.begins_shot} == {0, 50, 70}


def test_a_file_that_changes_meanwhile_is_refused(small, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", LUMAS)

    def encode_changed(parts, video, colorizer, options, plan, progress):
        found = list(splitting.find_parts(video, options, colorizer))
        write_clip(clip, pan(103, seed=7))
        splitting.write_part(found[1], video, options, plan, colorizer, parts.folder)

    with pytest.raises(BadVideo, match="not the same each time"):
        colorize_file(Job(clip, tmp_path / "result.mkv"), small, encode=encode_changed)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
