"""What the page does with a video, without the page."""

import errno
import time
from pathlib import Path

import numpy as np
import pytest

from deoldify_lite.app.service import Refused, Service, Settings
from deoldify_lite.app.videos import ColorizedVideo, Limits, Progress, VideoService, clock, for_visitors
from deoldify_lite.video.preview import write_preview
from deoldify_lite.video.reading import probe
from helpers.clips import assert_same_frames, decode, pan, payloads, write_clip


@pytest.fixture(scope="module")
def photos(weights, tmp_path_factory) -> Service:
    return Service([str(weights)], tmp_path_factory.mktemp("results"), 2_000_000, "cpu", "float32")


@pytest.fixture
def videos(photos, tmp_path) -> VideoService:
    return VideoService(photos, tmp_path / "work", Limits(minutes=0.1))


@pytest.fixture
def settings(photos) -> Settings:
    return Settings(photos.models[0], 1.0, 2)


def left(videos: VideoService) -> list[Path]:
    "Files of jobs, once no job is running."
    videos.close()
    assert not videos._running
    return [path for path in videos.work.rglob("*") if path.is_file()]


def results(videos: VideoService) -> set[Path]:
    return set(videos.photos.folder.rglob("*.*"))


def test_a_video_in_colour_with_progress_and_a_preview(videos, settings, tmp_path, weights):
    clip = write_clip(tmp_path / "a film.mkv", pan(60), sound=True)
    *progress, made = videos.colorize(clip, settings)
    assert all(isinstance(step, Progress) for step in progress) and isinstance(made, ColorizedVideo)
    assert made.result.name == "a film.mkv" and made.notes == ()
    assert payloads(made.result, "audio") == payloads(clip, "audio")

    from deoldify_lite.colorize.folder import Job
    from deoldify_lite.video import VideoColorizer, colorize_file

    colorize_file(Job(clip, tmp_path / "wanted.mkv"), VideoColorizer(weights, "cpu", "float32", render_factor=2))
    assert_same_frames(made.result, tmp_path / "wanted.mkv")
    assert not left(videos)


def test_the_preview_is_gray_on_the_left_and_in_colour_on_the_right(tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(12, width=1000, height=300), chroma=170, times=[0, 5, *range(100, 110)])
    write_preview(clip, tmp_path / "preview.mp4")
    frames = decode(tmp_path / "preview.mp4")
    assert [round(1000 * frame.time) for frame in frames] == [0, 5, *range(100, 110)]
    assert (frames[0].width, frames[0].height, frames[0].format.name) == (1280, 192, "yuv420p")
    middle = frames[5].to_ndarray(format="rgb24").astype(int)
    gray, color = middle[:, :600], middle[:, 680:]
    assert np.ptp(gray, axis=-1).max() <= 4 and np.ptp(color, axis=-1).mean() > 40
    luma = [half @ [0.299, 0.587, 0.114] for half in (middle[8:-8, 8:600], middle[8:-8, 648:1240])]
    assert np.abs(luma[0] - luma[1]).mean() < 6


def test_the_preview_of_a_picture_on_its_side_is_upright(tmp_path):
    clip = write_clip(tmp_path / "in.mp4", pan(3), codec="libx264", rotation=90)
    write_preview(clip, tmp_path / "preview.mp4")
    (width, height) = (lambda frame: (frame.width, frame.height))(decode(tmp_path / "preview.mp4")[0])
    assert (width, height) == (2 * 64, 96) and probe(tmp_path / "preview.mp4").turns == 0


def test_whoever_stops_listening_stops_the_work_and_nothing_is_left(videos, settings, tmp_path):
    clip, before = write_clip(tmp_path / "in.mkv", pan(140)), results(videos)
    steps = videos.colorize(clip, settings)
    assert isinstance(next(steps), Progress)
    began = time.monotonic()
    steps.close()
    assert time.monotonic() - began < 5, "does not wait for the work, since it blocks the page"
    assert not left(videos) and results(videos) == before
    assert clip.exists()


def test_the_end_of_the_server_stops_the_work(videos, settings, tmp_path):
    steps = videos.colorize(write_clip(tmp_path / "in.mkv", pan(140)), settings)
    next(steps)
    videos.close()
    assert not left(videos)


def test_an_upload_that_is_deleted_meanwhile(videos, settings, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(100), sound=True)
    steps = videos.colorize(clip, settings)
    next(steps)
    deadline = time.monotonic() + 60
    while not list(videos.work.glob("*/upload/in.mkv")) and time.monotonic() < deadline:
        time.sleep(0.01)
    clip.unlink()
    assert isinstance(list(steps)[-1], ColorizedVideo)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("letter.mp4", b"Dear grandmother", "not a video that FFmpeg can read"),
        ("empty.mp4", b"", "not a video that FFmpeg can read"),
        ("gone.mp4", None, "not here any more; please send it again"),
    ],
)
def test_what_is_no_video(videos, settings, tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused) as refusal:
        list(videos.colorize(tmp_path / name, settings))
    assert str(refusal.value).startswith(sentence) and str(tmp_path) not in str(refusal.value)
    assert not left(videos)


def test_sound_alone(videos, settings, tmp_path):
    import av

    with av.open(str(tmp_path / "song.m4a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(Refused, match=r"there are no pictures in it, only sound$"):
        list(videos.colorize(tmp_path / "song.m4a.mp4", settings))


def test_what_is_too_long(videos, settings, tmp_path):
    slow = write_clip(tmp_path / "slow.mkv", pan(3), times=[0, 1000, 9000])
    with pytest.raises(Refused, match=r"^too long: it takes 0:09, and this page takes 0\.1 minutes$"):
        list(videos.colorize(slow, settings))
    # A stream that does not say how long it is.
    many = write_clip(tmp_path / "many.h264", pan(400), codec="libx264", format="h264")
    assert probe(many).duration is None
    with pytest.raises(Refused, match=r"^too long: it has more than 360 frames, which this page takes$"):
        list(videos.colorize(many, settings))
    assert not left(videos)


def test_settings_that_make_no_sense(videos, settings, tmp_path):
    for wrong in ({"strength": 9}, {"render_factor": 1}, {"model": "../x"}):
        with pytest.raises(Refused):
            next(videos.colorize(tmp_path / "any.mp4", Settings(**{"model": settings.model, **wrong})))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/secret"), "disk is full"),
        (RuntimeError("/home/secret/engine.py"), "our fault"),
    ],
)
def test_our_own_failures_tell_nothing(videos, settings, tmp_path, monkeypatch, error, sentence):
    def fail(*_):
        raise error

    monkeypatch.setattr("deoldify_lite.video.job.join", fail)
    with pytest.raises(Refused, match=sentence) as refusal:
        list(videos.colorize(write_clip(tmp_path / "in.mkv", pan(3)), settings))
    assert "secret" not in str(refusal.value)
    assert not left(videos)


def test_advice_for_the_command_line_is_left_out(videos, settings, tmp_path):
    assert for_visitors("interlaced: deinterlaced; --keep-interlaced leaves its lines") == "interlaced: deinterlaced"
    assert for_visitors("a; b changes; do both, with --end and --start") == "a; b changes"
    assert for_visitors("chapters cannot be in .mp4; .mkv would hold them").endswith(".mkv would hold them")
    assert [clock(seconds) for seconds in (0, 62, 3600)] == ["0:00", "1:02", "1:00:00"]


def test_speed_and_the_time_left():
    assert (Progress(30, 120, 10).rate, Progress(30, 120, 10).left) == (3, 30)
    assert Progress(0, 0, 0).left is None
