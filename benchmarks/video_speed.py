"How fast videos are colorized from file to file, what the steps cost, how much memory they take; DeOldify's way."

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import torch

from deoldify_lite.colorize.deoldify_colorizer import DeOldifyColorizer
from deoldify_lite.colorize.engine import working_size
from deoldify_lite.video.colorizer import VideoColorizer
from deoldify_lite.video.containers import add_video_stream, encode, make_plan
from deoldify_lite.video.motion import estimate_motion, estimate_trust, normalize_exposure, remove_dust
from deoldify_lite.video.planes import put_chroma, small_luma
from deoldify_lite.video.reading import probe, read_frames
from deoldify_lite.video.smoothing import smooth

from .process import ROOT, last_line
from .results import BenchmarkFailed, Result
from .video import pans

DEOLDIFY_FACTOR = 21  # DeOldify's own render factor for videos
RATE = "frames a second, without start-up"
LONG_SIZE, LONG_RATE, LONG_FACTOR = (160, 120), 4, 4  # of the film that takes hours: pixels, frames a second


def measure_files(
    clip: Path, scratch: Path, weights: Path, device: str, precision: str, render_factor: int | None, repetitions: int
) -> list[Result]:
    """From file to file by the command, in a process of its own: frames a second, and the most memory.

    For the clip, and for itself `repetitions` times in a row. What the second takes longer is free of the start-up.
    """
    title, table = f"video, {clip.name}, from file to file", {"table": "files"}
    measured = []
    for count in (1, repetitions):
        source = scratch / f"{count}_times.mkv"
        frames = repeat_clip(clip, source, count)
        measured.append((frames, *run_command(source, weights, device, precision, render_factor)))
    results = []
    for frames, seconds, peak in measured:
        about = table | {"frames": frames}
        results += [
            Result(title, f"{frames} frames, start-up included", "frames/s", [frames / seconds], about=about),
            Result(title, f"{frames} frames, memory at the most", "GB", [peak / 1e9], about=about | {"memory": True}),
        ]
    (few, short, _), (many, long, _) = measured
    rate = (many - few) / (long - short)
    return [*results, Result(title, RATE, "frames/s", [rate], about=table | {"frames": many - few})]


def measure_length(scratch: Path, weights: Path, device: str, precision: str, hours: float) -> list[Result]:
    """Memory at the most for a film of a minute, and for that minute over and over, `hours` long: it must not grow.

    The film is small and has few frames a second, so that hours of it are done in minutes.
    """
    minute = scratch / "minute.mkv"
    write_minute(minute)
    title = f"video, a small film ({LONG_SIZE[0]} x {LONG_SIZE[1]}, {LONG_RATE} frames a second), memory at the most"
    results = []
    for minutes in (1, max(2, round(60 * hours))):
        source = scratch / f"{minutes}_minutes.mkv"
        frames = repeat_clip(minute, source, minutes)
        seconds, peak = run_command(source, weights, device, precision, LONG_FACTOR)
        what = f"{minutes} min, {frames} frames"
        about = {"table": "length", "minutes": minutes, "frames": frames, "seconds": seconds, "memory": True}
        results.append(Result(title, what, "GB", [peak / 1e9], f"took {seconds:.0f} s", about))
    return results


def write_minute(target: Path) -> None:
    "A minute of pans over the sample photos, one shot after the other."
    count = 60 * LONG_RATE
    shots = [clip.frames for clip in pans(count // 3 + 1)]
    frames = list(itertools.chain.from_iterable(shots))[:count]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=LONG_RATE, options={"bf": "0", "crf": "20"})
        stream.width, stream.height = LONG_SIZE
        for number, frame in enumerate(frames):
            small = frame.reformat(width=LONG_SIZE[0], height=LONG_SIZE[1], format="yuv420p")
            small.pts, small.time_base = number, Fraction(1, LONG_RATE)
            container.mux(stream.encode(small))
        container.mux(stream.encode(None))


def measure_deoldify(clip: Path, weights: tuple[str, Path], device: str, ours: float, count: int) -> list[Result]:
    """DeOldify's own way with a video: every frame alone, in float32, at its own render factor; beside ours.

    Lenient: without the JPEGs that DeOldify writes and reads in between, and with this package's engine.

    Args:
        weights: of DeOldify's generator for videos; untrained ones are as fast.
        ours: frames a second from file to file.
        count: frames that are measured.
    """
    name, path = weights
    colorizer = DeOldifyColorizer(path, device, "float32", DEOLDIFY_FACTOR)
    video = probe(clip)
    plan = make_plan(video, Path("any.mkv"))
    seconds = []
    with av.open(os.devnull, "w", format="nut") as container:
        stream = add_video_stream(container, plan, video)
        began = time.perf_counter()
        for frame in itertools.islice(read_frames(video), count + 1):
            picture = av.VideoFrame.from_image(colorizer.colorize(frame.to_image())).reformat(format=plan.pixel_format)
            picture.pts, picture.time_base = frame.pts, frame.time_base
            container.mux(encode(stream, picture))
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
    rates = [1 / each for each in seconds[1:]]  # the first one warms up
    title = f"video, {clip.name}, beside DeOldify's way: {name}, every frame alone, render factor {DEOLDIFY_FACTOR}"
    about = {"table": "deoldify", "weights": name, "render_factor": DEOLDIFY_FACTOR}
    return [
        Result(title, "DeOldify's way", "frames/s", rates, about=about),
        Result(title, "ours, from file to file", "frames/s", [ours], about=about),
        Result(title, "ours / DeOldify's way", "x", [ours / rate for rate in rates], about=about),
    ]


def run_command(
    source: Path, weights: Path, device: str, precision: str, render_factor: int | None
) -> tuple[float, float]:
    """`deoldify-lite video` in a process of its own: seconds, start-up included, and bytes of memory at the most.

    Raises:
        BenchmarkFailed: it did not end well; the message is its last line.
    """
    target, notes = source.with_name("colour.mkv"), source.with_name("notes.json")
    options = {"weights": weights, "device": device, "precision": precision, "render-factor": render_factor}
    command = [sys.executable, "-m", "benchmarks.probe", str(notes), "video", str(source), str(target)]
    command += [f"--{name}={value}" for name, value in options.items() if value is not None]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    began = time.perf_counter()
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    target.unlink(missing_ok=True)
    if ended.returncode:
        raise BenchmarkFailed(last_line(ended.stderr) or f"the command ended with {ended.returncode}")
    return seconds, json.loads(notes.read_text())["peak_memory"]


def repeat_clip(clip: Path, target: Path, count: int) -> int:
    "Write the clip's packets `count` times in a row. Returns the number of frames."
    frames = 0
    with av.open(str(clip)) as source, av.open(str(target), "w") as result:
        stream = source.streams.video[0]
        copy = result.add_stream_from_template(stream, opaque=True)
        offset = 0
        for _ in range(count):
            source.seek(0)
            length = 0
            for packet in source.demux(stream):
                if not packet.size:
                    continue
                frames += 1
                length = max(length, packet.pts + packet.duration)
                packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, copy
                result.mux(packet)
            offset += length
    return frames


def measure_parts(clip: Path, weights: str, device: str, precision: str, render_factor: int | None) -> list[Result]:
    "Processor time of each step for a frame of the clip, each alone on one thread."
    colorizer = VideoColorizer(weights, device, precision, render_factor)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        times = list(_time_parts(clip, colorizer))
    finally:
        torch.set_num_threads(threads)
    title = f"video, {clip.name}, processor time for a frame, each step alone on one thread"
    times.append(("sum", sum(seconds for _, seconds in times)))
    return [Result(title, what, "ms", [1000 * seconds], about={"table": "parts"}) for what, seconds in times]


def _time_parts(clip: Path, colorizer: VideoColorizer) -> Iterator[tuple[str, float]]:
    video = probe(clip)
    began = time.process_time()
    frames = list(itertools.islice(read_frames(video), 50))
    yield "decoding", (time.process_time() - began) / len(frames)

    def timed(work: Callable[[], object], times: int = 20) -> float:
        work()
        began = time.thread_time()
        for _ in range(times):
            work()
        return (time.thread_time() - began) / times

    size = working_size((video.width, video.height), colorizer.render_factor)
    small = [small_luma(frame, size) for frame in frames[:3]]
    before, this, after = (normalize_exposure(each)[0] for each in small)
    yield "small luma, exposure", timed(lambda: normalize_exposure(small_luma(frames[1], size)))
    motion, following = estimate_motion(before, this), estimate_motion(this, after)
    yield "flow, both ways", timed(lambda: estimate_motion(before, this))
    yield (
        "trust and dust",
        timed(
            lambda: (
                estimate_trust(motion, before, this),
                remove_dust(this, before, after, motion.to_previous, following.from_previous),
            )
        ),
    )
    engine = colorizer.colorizer.engine
    luma = torch.from_numpy(small[1])[None, None] / 255
    yield "network", timed(lambda: engine.predict_chroma(luma))
    chroma = engine.predict_chroma(luma)[0].permute(1, 2, 0).cpu().numpy()
    trust = estimate_trust(motion, before, this)
    count = 24
    yield "smoothing", timed(lambda: smooth([chroma] * count, [motion] * count, [trust] * count), 2) / count * 2
    plan = make_plan(video, Path("any.mkv"))
    yield "chroma in full size", timed(lambda: put_chroma(frames[1], chroma, plan.pixel_format))
    colored = [put_chroma(frame, chroma, plan.pixel_format) for frame in frames]
    began = time.process_time()
    with av.open(os.devnull, "w", format="nut") as container:
        stream = add_video_stream(container, plan, video)
        for frame in [*colored, None]:
            container.mux(stream.encode(frame))
    yield "encoding", (time.process_time() - began) / len(frames)
