"""`deoldify-lite video` from file to file: everything but colour stays, bad input is told, killed runs go on."""

import errno
import io
import json
import os
import signal
import subprocess
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite import cli
from deoldify_lite.video import job, parts
from deoldify_lite.video.joining import _Clock
from deoldify_lite.video.reading import read_frames
from helpers.clips import assert_same_frames, decode, pan, payloads, planes, write_clip
from helpers.photo_files import encoded
from helpers.scripts import start_script


@pytest.fixture
def flags(weights) -> list[str]:
    return ["--device=cpu", "--precision=float32", "--render-factor=2", f"--weights={weights}"]


@pytest.fixture
def video(flags):
    "Run the command in this process."

    def run(*arguments):
        return CliRunner().invoke(cli.program, ["video", *flags, *map(str, arguments)])

    return run


@pytest.fixture
def colorized(video, tmp_path):
    "The result of a clip that is to be done well."

    def run(clip: Path, *arguments, name: str = "result.mkv") -> Path:
        done = video(clip, tmp_path / name, *arguments)
        assert done.exit_code == 0, done.output
        return tmp_path / name

    return run


LOSSLESS = ("--codec", "ffv1")


@pytest.mark.parametrize(
    "pixel_format, expected",
    [("yuv420p", "yuv420p"), ("yuv420p10le", "yuv420p10le"), ("yuv422p", "yuv422p"), ("gray", "yuv420p")],
)
def test_the_luma_that_is_encoded_is_the_decoders(colorized, tmp_path, pixel_format, expected):
    clip = write_clip(tmp_path / "in.mkv", pan(6), pixel_format=pixel_format)
    before, after = decode(clip), decode(colorized(clip, *LOSSLESS))
    assert [frame.format.name for frame in after] == [expected] * 6
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(planes(one)[0], planes(other)[0])
        assert np.ptp(planes(other)[1]) > 0


@pytest.mark.parametrize("name", ["result.mkv", "result.mp4", "result.mov"])
def test_times_of_a_variable_frame_rate_stay(colorized, tmp_path, name):
    times = [0, 40, 55, 120, 300, 301, 420, 700, 740, 790, 800, 1000]
    clip = write_clip(tmp_path / "in.mkv", pan(len(times)), times=times)
    after = decode(colorized(clip, name=name))
    assert [round(frame.pts * frame.time_base * 1000) for frame in after] == times


def test_a_time_base_that_milliseconds_cannot_hold_stays_in_mp4(colorized, tmp_path):
    clip = write_clip(
        tmp_path / "in.mp4", pan(10), codec="libx264", times=[1001 * i for i in range(10)], time_base=Fraction(1, 30000)
    )
    after = decode(colorized(clip, name="result.mp4"))
    assert [frame.pts * frame.time_base for frame in after] == [Fraction(1001 * i, 30000) for i in range(10)]


@pytest.mark.parametrize("name", ["result.mkv", "result.mp4"])
def test_aspect_orientation_and_colour_metadata_stay(colorized, tmp_path, name):
    color = (1, 1, 1, 1)  # BT.709, limited range
    clip = write_clip(
        tmp_path / "in.mp4", pan(4), codec="libx264", pixel_aspect=Fraction(16, 11), color=color, rotation=90
    )
    before = decode(clip)[0]
    assert before.rotation == 90
    result = colorized(clip, name=name)
    after = decode(result)[0]
    assert (after.width, after.height, after.rotation) == (before.width, before.height, 90)
    assert (after.colorspace, after.color_range, after.color_primaries, after.color_trc) == color
    with av.open(str(result)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
def test_every_codec_by_name(colorized, tmp_path, codec):
    clip = write_clip(tmp_path / "in.mkv", pan(5), sound=True)
    result = colorized(clip, "--codec", codec)
    assert len(decode(result)) == 5
    assert payloads(result, "audio") == payloads(clip, "audio")


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_videos_of_a_frame_or_two(colorized, tmp_path, codec):
    "Fewer than encoders reorder."
    for count in (1, 2):
        clip = write_clip(tmp_path / f"{count}.mkv", pan(count))
        result = colorized(clip, "--codec", codec, name=f"result{count}.mkv")
        assert [round(frame.time * 1000) for frame in decode(result)] == [0, 40][:count]


def test_sound_subtitles_chapters_and_attachments_go_over_as_they_are(colorized, tmp_path):
    clip = write_clip(
        tmp_path / "in.mkv",
        pan(10),
        sound=True,
        subtitles=True,
        attachment=b"hello",
        chapters=[(0, 0.2, "one"), (0.2, 0.4, "two")],
    )
    result = colorized(clip)
    for kind in ("audio", "subtitle"):
        assert payloads(result, kind) == payloads(clip, kind) != []
    with av.open(str(clip)) as before, av.open(str(result)) as after:
        assert [chapter["metadata"] for chapter in after.chapters()] == [{"title": "one"}, {"title": "two"}]
        assert [c["start"] * c["time_base"] for c in after.chapters()] == [0, Fraction(1, 5)]
        assert [stream.data for stream in after.streams.attachments] == [b"hello"]
        assert after.metadata["title"] == before.metadata["title"] == "A clip"


@pytest.mark.parametrize("name, codec, sound", [("in.wmv", "wmv2", "wmav2"), ("in.avi", "mpeg4", "pcm_alaw")])
def test_sound_that_no_container_of_ours_holds_becomes_flac(video, tmp_path, name, codec, sound):
    clip = write_clip(tmp_path / name, pan(50), codec=codec, sound=sound, time_base=Fraction(1, 25))
    done = video(clip, tmp_path / "result.mkv")
    assert done.exit_code == 0 and "becomes FLAC" in done.output
    before, after = samples(clip), samples(tmp_path / "result.mkv")
    count = min(before.shape[1], after.shape[1])
    assert count > 15_000 and np.abs(before[:, :count] - after[:, :count]).max() < 1e-4
    with av.open(str(tmp_path / "result.mkv")) as container:
        assert container.streams.audio[0].codec_context.name == "flac"
    cut = video(clip, tmp_path / "cut.mkv", "--start", "1", "--end", "1.5")
    assert cut.exit_code == 0 and 3000 < samples(tmp_path / "cut.mkv").shape[1] < 6500


def samples(path: Path) -> np.ndarray:
    "All of the sound, (channels, samples), -1 to 1."
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", stream.layout, stream.rate)
        frames = [part for frame in container.decode(stream) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray() for frame in frames], 1)


def test_sound_goes_on_where_a_clock_starts_again(colorized, tmp_path):
    """As in the files of a DVD put one after the other."""
    clip = write_clip(
        tmp_path / "one.ts", pan(25), codec="mpeg2video", sound=True, format="mpegts", time_base=Fraction(1, 25)
    )
    (tmp_path / "in.ts").write_bytes(3 * clip.read_bytes())
    result = colorized(tmp_path / "in.ts")
    once, thrice = payloads(clip, "audio"), payloads(result, "audio")
    assert len(thrice) >= 3 * len(once) - 3
    seconds = [moment / 1e6 for moment, _ in thrice]
    assert seconds == sorted(seconds) and seconds[-1] > 2.4


def test_a_single_wrong_time_of_the_sound_moves_nothing():
    stream = SimpleNamespace(type="audio", time_base=Fraction(1, 1000), disposition=av.stream.Disposition(0))
    clock, times = _Clock(stream, Fraction(0)), []
    for dts in (7960, 7980, 4000, 8000, 8020, 0, 20, 40):  # one wrong, then a clock that starts again
        packet = SimpleNamespace(dts=dts, pts=dts, size=9, duration=20)
        if clock.set(packet):
            times.append(packet.dts)
    assert times == [7960, 7980, 8000, 8020, 8040, 8060]


def test_a_start_between_key_frames_of_a_transport_stream_is_exact(colorized, tmp_path):
    coded = {"codec": "mpeg2video", "options": {"g": "50", "sc_threshold": "1000000000"}}
    clip = write_clip(tmp_path / "in.ts", pan(75), format="mpegts", time_base=Fraction(1, 25), **coded)
    result = colorized(clip, "--start", "1", *LOSSLESS)
    before, after = decode(clip)[25:], decode(result)
    assert len(after) == len(before)
    np.testing.assert_array_equal(planes(before[0])[0], planes(after[0])[0])


def test_h265_in_mp4_is_what_apples_players_look_for(colorized, tmp_path):
    result = colorized(write_clip(tmp_path / "in.mkv", pan(3)), "--codec", "h265", name="result.mp4")
    with av.open(str(result)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_a_name_with_a_colon(video, tmp_path, monkeypatch):
    """FFmpeg takes what comes before it for a protocol."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "Casablanca: 1942.mkv", pan(3))
    done = video("Casablanca: 1942.mkv", "Casablanca: colour.mkv")
    assert done.exit_code == 0, done.output
    assert len(decode(tmp_path / "Casablanca: colour.mkv")) == 3


def with_cover(clip: Path, target: Path) -> None:
    "A copy of an MP4 with a red picture on its box."
    cover = encoded(Image.new("RGB", (40, 30), "red"), "JPEG")
    with (
        av.open(str(clip)) as film,
        av.open(io.BytesIO(cover), format="mjpeg") as box,
        av.open(str(target), "w") as both,
    ):
        streams = [both.add_stream_from_template(each.streams.video[0]) for each in (film, box)]
        streams[1].disposition = av.stream.Disposition.attached_pic
        for stream, source in zip(streams, (film, box)):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    packet.pts, packet.dts = (0, 0) if source is box else (packet.pts, packet.dts)
                    both.mux(packet)


def test_a_cover_picture_stays_in_mp4_and_is_told_where_it_cannot(video, tmp_path):
    with_cover(
        write_clip(tmp_path / "plain.mp4", pan(5), codec="mpeg4", time_base=Fraction(1, 25)), tmp_path / "in.mp4"
    )
    assert video(tmp_path / "in.mp4", tmp_path / "result.mp4").exit_code == 0
    with av.open(str(tmp_path / "result.mp4")) as container:
        film, cover = container.streams.video
        assert cover.disposition == av.stream.Disposition.attached_pic
        assert next(container.decode(cover)).to_image().getpixel((20, 15))[0] > 200
    assert video(tmp_path / "in.mp4", tmp_path / "cut.mp4", "--start", "0.08").exit_code == 0
    with av.open(str(tmp_path / "cut.mp4")) as container:
        assert next(container.decode(video=1)).width == 40
    assert len(decode(tmp_path / "cut.mp4")) == 3
    done = video(tmp_path / "in.mp4", tmp_path / "result.mkv")
    assert done.exit_code == 0 and "the cover picture is left out" in done.output
    with av.open(str(tmp_path / "result.mkv")) as container:
        assert len(container.streams.video) == 1


def test_what_the_container_cannot_hold_is_said_and_the_rest_done(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(4), sound=True, subtitles=True, attachment=b"hello")
    done = video(clip, tmp_path / "result.mp4")
    assert done.exit_code == 0
    assert "(subtitles, srt) cannot be in .mp4 and is left out" in done.output
    assert "note.txt) cannot be in .mp4" in done.output
    assert payloads(tmp_path / "result.mp4", "audio") == payloads(clip, "audio")


def test_start_and_end_cut_all_streams(colorized, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(25), sound=True, chapters=[(0, 0.3, "one"), (0.3, 1, "two")])
    result = colorized(clip, "--start", "0.4", "--end", "0:00:00.8", *LOSSLESS)
    before, after = decode(clip)[10:20], decode(result)
    assert [round(frame.time, 3) for frame in after] == [round(0.04 * i, 3) for i in range(10)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(planes(one)[0], planes(other)[0])
    times = [moment for moment, _ in payloads(result, "audio")]
    assert -130_000 <= min(times) <= 130_000 and 270_000 <= max(times) < 400_000
    with av.open(str(result)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["two"]


def interlaced(frames: int) -> list[np.ndarray]:
    "Every second line is half a frame later."
    fields = pan(2 * frames, step=3)
    woven = []
    for first, second in zip(fields[::2], fields[1::2]):
        frame = first.copy()
        frame[1::2] = second[1::2]
        woven.append(frame)
    return woven


def combing(frame: av.VideoFrame) -> float:
    "How much neighbouring lines differ, against lines two apart."
    luma = planes(frame)[0].astype(float)
    return np.abs(np.diff(luma, axis=0)).mean() / np.abs(luma[2:] - luma[:-2]).mean()


@pytest.mark.parametrize("flagged", [True, False])
def test_interlaced_input_is_recognised(video, tmp_path, flagged):
    options = {"x264-params": "tff=1", "qp": "0"} if flagged else {"qp": "0"}
    clip = write_clip(tmp_path / "in.mkv", interlaced(16), codec="libx264", options=options)
    done = video(clip, tmp_path / "result.mkv", *LOSSLESS)
    assert done.exit_code == 0 and "interlaced: deinterlaced" in done.output
    before, after = decode(clip), decode(tmp_path / "result.mkv")
    assert [frame.time for frame in after] == [frame.time for frame in before]
    assert combing(after[8]) < 0.7 * combing(before[8])
    kept = video(clip, tmp_path / "kept.mkv", "--keep-interlaced", *LOSSLESS)
    assert kept.exit_code == 0
    np.testing.assert_array_equal(planes(decode(tmp_path / "kept.mkv")[8])[0], planes(before[8])[0])


def test_progressive_input_is_left_alone(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(16, step=3))
    assert "interlaced" not in video(clip, tmp_path / "result.mkv").output


def test_colours_are_replaced_with_a_note(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(4), chroma=180)
    done = video(clip, tmp_path / "result.mkv", *LOSSLESS, "--strength", "0")
    assert "was in colour already" in done.output
    assert all((plane == 128).all() for plane in planes(decode(tmp_path / "result.mkv")[2])[1:])


@pytest.mark.parametrize("size", [(95, 63), (16, 16), (1, 1)])
def test_odd_and_tiny_sizes_stay(colorized, tmp_path, size):
    clip = write_clip(tmp_path / "in.mkv", pan(3, width=size[0], height=size[1]), pixel_format="yuv444p")
    after = decode(colorized(clip, *(LOSSLESS if size == (1, 1) else ())))
    assert [(frame.width, frame.height) for frame in after] == [size] * 3


# A killed run.


@pytest.mark.slow
def test_a_killed_run_goes_on_and_nobody_sees_it(flags, video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(400) + pan(60, seed=1), sound=True)
    whole, result = tmp_path / "whole.mkv", tmp_path / "result.mkv"
    assert video(clip, whole).exit_code == 0
    process = start_script("scripts/colorize_video.py", *flags, clip, result, stdout=subprocess.DEVNULL, text=True)
    folder = tmp_path / "result.mkv.parts"
    deadline = time.monotonic() + 300
    while not list(folder.glob("*.nut")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = sorted(folder.glob("*.nut"))
    assert finished and not result.exists()
    assert video(clip, result).exit_code == 0
    assert not folder.exists()
    assert_same_frames(whole, result)
    assert payloads(result, "audio") == payloads(clip, "audio")


def test_finished_parts_are_not_done_again_but_those_of_other_settings_are(video, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FRAMES", 5)
    clip = write_clip(tmp_path / "in.mkv", pan(20))
    arguments = (clip, tmp_path / "result.mkv", "--no-stabilize")
    encoded = []
    original = parts.PartWriter.write
    monkeypatch.setattr(
        parts.PartWriter, "write", lambda self, *rest: (encoded.append(self.end), original(self, *rest))
    )

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(job, "join", full)
        failed = video(*arguments)
    assert failed.exit_code == 1 and "No space left on device; the same command goes on" in failed.output
    assert encoded == list(range(20)) and not (tmp_path / "result.mkv").exists()
    encoded.clear()
    assert video(*arguments).exit_code == 0 and encoded == []
    assert video(*arguments, "--overwrite", "--strength", "0.5").exit_code == 0 and encoded == list(range(20))


def test_what_is_there_is_skipped(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    (tmp_path / "result.mkv").write_bytes(b"mine")
    done = video(clip, tmp_path / "result.mkv")
    assert done.exit_code == 0 and "1 skipped" in done.output
    assert (tmp_path / "result.mkv").read_bytes() == b"mine"


@pytest.mark.parametrize("age, kept", [(-10, True), (10, False)])
def test_parts_beside_a_result_stay_if_they_are_to_replace_it(video, tmp_path, age, kept):
    """A run with --overwrite was interrupted; the next one, without, need not undo its hours."""
    clip, result = write_clip(tmp_path / "in.mkv", pan(2)), tmp_path / "result.mkv"
    settings = tmp_path / "result.mkv.parts" / parts.SETTINGS
    settings.parent.mkdir()
    settings.write_text("{}")
    result.write_bytes(b"mine")
    begun = settings.stat().st_mtime
    os.utime(result, (begun + age, begun + age))
    assert "1 skipped" in video(clip, result).output
    assert settings.exists() == kept


def test_the_parts_stay_where_the_original_went_away_meanwhile(video, tmp_path, monkeypatch):
    """With its disk it may come back. Its reading ended early, so all is done again from the last whole part on."""
    monkeypatch.setattr(parts, "FRAMES", 5)
    clip, away = write_clip(tmp_path / "in.mkv", pan(20)), tmp_path / "away.mkv"
    assert video(clip, tmp_path / "whole.mkv", "--no-stabilize").exit_code == 0

    def read_half(*arguments):
        yield from islice(read_frames(*arguments), 12)
        clip.rename(away)

    with monkeypatch.context() as broken:
        broken.setattr(job, "read_frames", read_half)
        failed = video(clip, tmp_path / "result.mkv", "--no-stabilize")
    assert failed.exit_code == 1 and "No such file" in failed.output
    assert len(list((tmp_path / "result.mkv.parts").glob("*.nut"))) == 2, "of the frames 0 to 4 and 5 to 9"
    away.rename(clip)
    assert video(clip, tmp_path / "result.mkv", "--no-stabilize").exit_code == 0
    assert_same_frames(tmp_path / "whole.mkv", tmp_path / "result.mkv")


def test_a_mistake_of_ours_in_one_video_costs_no_other(video, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_clip(tmp_path / "in" / f"{name}.mkv", pan(2))
    probed = job.probe

    def probe(path, *rest):
        if path.stem == "a":
            raise ZeroDivisionError("division by zero")
        return probed(path, *rest)

    monkeypatch.setattr(job, "probe", probe)
    done = video(tmp_path / "in", tmp_path / "out")
    assert done.exit_code == 1 and "1 done, 1 failed" in done.output
    assert "a.mkv: ZeroDivisionError: division by zero" in done.output and (tmp_path / "out" / "b.mkv").is_file()


def test_a_folder_keeps_names_and_reports(video, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_clip(tmp_path / "in" / "one.mkv", pan(2))
    write_clip(tmp_path / "in" / "deep" / "two.avi", pan(2), time_base=Fraction(1, 25))
    (tmp_path / "in" / "text.mp4").write_text("no video")
    done = video("-r", tmp_path / "in", tmp_path / "out", "--report", tmp_path / "report.jsonl")
    assert done.exit_code == 1 and "2 done, 1 failed" in done.output
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written == ["deep/two.avi.mkv", "one.mkv"]
    rows = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert {Path(row["input"]).name: row["status"] for row in rows} == {
        "one.mkv": "done",
        "two.avi": "done",
        "text.mp4": "failed",
    }
    assert next(row for row in rows if row["status"] == "done")["frames"] == 2


def test_shards_share_a_folder_out(video, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        write_clip(tmp_path / "in" / f"{name}.mkv", pan(1))
    for shard in ("1/2", "2/2"):
        assert video(tmp_path / "in", tmp_path / "out" / shard[0], "--shard", shard).exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.mkv")) == ["a.mkv", "b.mkv", "c.mkv"]


# Bad input.


def refused(video, clip: Path, *arguments, name: str = "result.mkv") -> tuple[int, str]:
    "Exit code and the line that says why; nothing may be left."
    folder = clip.parent
    before = sorted(folder.iterdir())
    done = video(clip, folder / name, *arguments)
    assert sorted(folder.iterdir()) == before
    (line,) = [line for line in done.output.splitlines() if line.startswith("error: ")] or [done.output]
    return done.exit_code, line


def test_a_text_file(video, tmp_path):
    (tmp_path / "in.mp4").write_text("no video at all\n" * 50)
    code, line = refused(video, tmp_path / "in.mp4")
    assert code == 1 and "not a video that FFmpeg can read" in line


def test_a_list_of_files(video, tmp_path):
    """FFmpeg would open what is in it: other files, or itself, without end."""
    (tmp_path / "in.mp4").write_text("ffconcat version 1.0\nfile in.mp4\n")
    code, line = refused(video, tmp_path / "in.mp4")
    assert code == 1 and "a list of files and no video" in line


def test_an_empty_file(video, tmp_path):
    (tmp_path / "in.mp4").touch()
    assert refused(video, tmp_path / "in.mp4")[0] == 1


def test_sound_alone(video, tmp_path):
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, line = refused(video, tmp_path / "in.mp4")
    assert code == 1 and "no pictures in it, only sound" in line


def test_no_frames(video, tmp_path):
    clip = write_clip(tmp_path / "whole.nut", pan(3), codec="libx264", format="nut")
    with av.open(str(clip)) as source, av.open(str(tmp_path / "in.mkv"), "w") as target:
        target.add_stream_from_template(source.streams.video[0], opaque=True)
        target.start_encoding()
    code, line = refused(video, tmp_path / "in.mkv")
    assert code == 1 and "not a video that FFmpeg can read" in line


def test_no_frame_that_decodes(video, tmp_path):
    clip = write_clip(tmp_path / "whole.nut", pan(3), codec="libx264", format="nut")
    with av.open(str(clip)) as source, av.open(str(tmp_path / "in.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        packet = av.Packet(b"nonsense")
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 1000)
        target.mux(packet)
    code, line = refused(video, tmp_path / "in.mkv")
    assert code == 1 and "no frame of it can be decoded" in line


def test_absurd_dimensions(video, tmp_path, monkeypatch):
    from deoldify_lite.video import reading

    clip = write_clip(tmp_path / "in.mkv", pan(2))
    monkeypatch.setattr(reading, "MAX_FRAME_PIXELS", 96 * 64 - 1)
    code, line = refused(video, clip)
    assert code == 1 and "96 x 64" in line


def test_a_size_that_changes(video, tmp_path):
    first = write_clip(tmp_path / "a.h264", pan(20), codec="libx264", format="h264")
    second = write_clip(tmp_path / "b.h264", pan(20, width=128, height=96), codec="libx264", format="h264")
    (tmp_path / "in.h264").write_bytes(first.read_bytes() + second.read_bytes())
    code, line = refused(video, tmp_path / "in.h264")
    assert code == 1 and "changes from 96 x 64 to 128 x 96" in line


def test_missing_times_are_made_up_from_the_rate(video, tmp_path):
    clip = write_clip(tmp_path / "in.h264", pan(12), codec="libx264", format="h264")
    done = video(clip, tmp_path / "result.mkv")
    assert done.exit_code == 0
    times = [frame.time for frame in decode(tmp_path / "result.mkv")]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=0.001)
    assert len(times) == 12


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_of_a_truncated_file_what_decodes_is_kept(video, tmp_path, suffix):
    clip = write_clip(tmp_path / f"in{suffix}", pan(100), codec="libx264", options={"g": "10"}, sound=True)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    done = video(clip, tmp_path / "result.mkv", "--report", tmp_path / "report.jsonl")
    assert done.exit_code == 0, done.output
    frames = len(decode(tmp_path / "result.mkv"))
    assert 20 < frames < 80
    row = json.loads((tmp_path / "report.jsonl").read_text())
    assert row["frames"] == frames
    if suffix == ".mkv":  # which says how long it should be
        assert any("truncated" in note for note in row["notes"])


def test_damage_in_the_middle_is_reported_and_the_rest_done(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(60), codec="libx264", options={"g": "10"})
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = os.urandom(1) * 400
    clip.write_bytes(data)
    done = video(clip, tmp_path / "result.mkv")
    assert done.exit_code == 0
    assert len(decode(tmp_path / "result.mkv")) > 30


def test_no_encoder(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    code, line = refused(video, clip, "--codec", "quux")
    assert code == 3 and "no encoder 'quux'" in line
    code, line = refused(video, clip, "--codec", "aac")
    assert code == 2 and "no codec for pictures" in line


def test_a_container_that_does_not_hold_the_codec(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    code, line = refused(video, clip, "--codec", "h264", name="result.webm")
    assert code == 2 and "webm cannot hold libx264" in line


def test_a_container_that_is_not_written(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    code, line = refused(video, clip, name="result.wmv")
    assert code == 2 and "cannot write this format" in line


def test_a_missing_file_and_the_original_as_result(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    assert refused(video, tmp_path / "none.mkv")[0] == 2
    assert refused(video, clip, name="in.mkv")[0] == 2


@pytest.mark.parametrize("arguments", [("--start", "x"), ("--end", "-1"), ("--start", "2", "--end", "1")])
def test_times_that_make_no_sense(video, tmp_path, arguments):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    assert refused(video, clip, *arguments)[0] == 2


def test_a_start_after_the_end(video, tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(2))
    code, line = refused(video, clip, "--start", "9")
    assert code == 2 and "no frames between" in line
