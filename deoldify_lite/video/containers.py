"""Containers and codecs of results: which there are, and what each can hold."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import torch

from ..colorize.folder import Kind
from ..device import cores
from .errors import BadVideoRequest, NoEncoder
from .extensions import CONTAINERS, EXTENSIONS
from .planes import UnknownPixels, pick_format
from .reading import Video, find_stream, is_cover, open_container

WITH_CHAPTERS = {"matroska", "mp4", "mov", "webm"}
WITH_ORIENTATION = {"matroska", "mp4", "mov", "webm"}

CODECS = {"h264": "libx264", "h265": "libx265", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
CRF = {"libx264": 18, "libx265": 20, "libsvtav1": 28, "libvpx-vp9": 28}  # by eye without loss, or nearly
OPTIONS = {
    "libx264": {"preset": "fast"},
    "libx265": {"preset": "fast", "x265-params": "log-level=none"},
    "libsvtav1": {"preset": "8", "svtav1-params": "lp=2"},
    "libvpx-vp9": {"b": "0", "row-mt": "1", "cpu-used": "4", "deadline": "good"},
}
# With AVX-512 x264's macroblock tree differs now and then: of 400 encodings of one clip, on one thread or several, some
# have other pixels (x264 165; tests/video/test_containers.py). Films that are resumed must not.
X264_REPEATABLE = "asm=avx2"
MOST_THREADS = 16  # that x265 takes
MOST_REORDERING = 60  # seconds between decoding a frame and showing it

os.environ.setdefault("SVT_LOG", "1")  # errors only

# Frames that are reordered are decoded at times before zero. FFmpeg would make all times later in return.
KEEP_TIMES = {"avoid_negative_ts": "disabled"}


def output_name(name: str) -> str:
    "The name of a result: that of the video, with .mkv added where its container is not one that is written."
    return name if Path(name).suffix.lower() in CONTAINERS else name + ".mkv"


VIDEOS = Kind("videos", EXTENSIONS, CONTAINERS.keys(), output_name)


@dataclass
class Plan:
    """How a result is to be written.

    format: FFmpeg's name of the container.
    encoder, options: of the video stream, and its pixel format.
    threads: of the encoder, which divides its work by them: they decide pixels.
    copied: indices of the streams that go over as they are.
    notes: what this container cannot hold.
    """

    format: str
    encoder: str
    options: dict[str, str]
    pixel_format: str
    threads: int = 1
    copied: list[int] = field(default_factory=list)
    encoded: list[int] = field(default_factory=list)  # sound that is encoded anew, as FLAC
    chapters: bool = True
    notes: list[str] = field(default_factory=list)


def make_plan(video: Video, target: Path, codec: str = "auto", crf: float | None = None) -> Plan:
    """How to write `video` to `target`; its notes say what gets lost on the way.

    Raises:
        BadVideoRequest: a container that is not written, or one that cannot hold the codec.
        NoEncoder: no such encoder, or one that cannot take these pictures.
    """
    suffix = target.suffix.lower()
    if suffix not in CONTAINERS:
        raise BadVideoRequest(f"{target}: cannot write this container; use one of {' '.join(CONTAINERS)}")
    encoder, offered = _pick_encoder(codec, CONTAINERS[suffix], video.pixel_format)
    try:
        pixel_format = pick_format(video.pixel_format, video.width, video.height, offered)
    except UnknownPixels as error:
        raise NoEncoder(f"{encoder} cannot write it: {error}; try another --codec") from error
    options = dict(OPTIONS.get(encoder, {}))
    if encoder in CRF or crf is not None:
        options["crf"] = str(CRF.get(encoder) if crf is None else crf)
    if encoder == "libx264" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        options["x264-params"] = X264_REPEATABLE
    plan = Plan(CONTAINERS[suffix], encoder, options, pixel_format, threads=min(3 * cores() // 2, MOST_THREADS) or 1)
    before, after = (av.VideoFormat(each).components[0].bits for each in (video.pixel_format, pixel_format))
    if after < before:
        plan.notes.append(f"{encoder} takes {after} bit at most: the pictures lose {before - after} of their {before}")
    _check_encoder(plan, video)
    _look_at_streams(plan, video, suffix)
    return plan


def _pick_encoder(codec: str, format: str, pixel_format: str) -> tuple[str, tuple[str, ...]]:
    if codec == "auto":
        deep = av.VideoFormat(pixel_format).components[0].bits > 8
        codec = "av1" if format == "webm" else "h265" if deep else "h264"
    encoder = CODECS.get(codec, codec)
    try:
        found = av.codec.Codec(encoder, "w")
    except (av.codec.codec.UnknownCodecError, ValueError) as error:
        raise NoEncoder(f"this FFmpeg has no encoder {codec!r}; use one of {', '.join(CODECS)}") from error
    if found.type != "video":
        raise BadVideoRequest(f"{codec} is no codec for pictures; use one of {', '.join(CODECS)}")
    return encoder, tuple(each.name for each in found.video_formats or ())


def _check_encoder(plan: Plan, video: Video) -> None:
    "Encode one black picture, so that what the encoder or the container does not take is known before the work."

    def write(container: av.container.OutputContainer) -> None:
        stream = add_video_stream(container, plan, video)
        frame = av.VideoFrame(video.width, video.height, plan.pixel_format)
        frame.pts, frame.time_base = 0, video.time_base
        container.mux(encode(stream, frame))
        container.mux(encode(stream, None))

    if error := _trial(plan.format, write):
        if "does not support" in error:
            raise BadVideoRequest(f"{plan.format} cannot hold {plan.encoder}; use .mkv or another --codec")
        raise NoEncoder(f"{plan.encoder} cannot write it ({error}); try another --codec")


def add_video_stream(container: av.container.OutputContainer, plan: Plan, video: Video) -> av.video.stream.VideoStream:
    "A stream to encode to, with everything that the decoder's frames do not carry themselves."
    stream = container.add_stream(plan.encoder, rate=video.rate, options=plan.options)
    stream.width, stream.height, stream.pix_fmt = video.width, video.height, plan.pixel_format
    context = stream.codec_context
    stream.time_base = context.time_base = video.time_base
    context.thread_count = plan.threads
    context.flags |= av.codec.context.Flags.global_header | av.codec.context.Flags.frame_duration
    if video.pixel_aspect:
        context.sample_aspect_ratio = video.pixel_aspect
    context.colorspace, context.color_range = video.colorspace, video.color_range
    context.color_primaries, context.color_trc = video.color_primaries, video.color_trc
    return stream


def encode(stream: av.video.stream.VideoStream, frame: av.VideoFrame | None) -> list[av.Packet]:
    "The packets that a frame, or the end, brings out of the encoder."
    with ordinary_priority():
        packets = stream.encode(frame)
    for packet in packets:
        # x265 leaves decoding times unset, None or any number, when it ends after a frame or two, which are in order.
        if packet.dts is None or not 0 <= (packet.pts - packet.dts) * packet.time_base <= MOST_REORDERING:
            packet.dts = packet.pts
    return packets


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Threads that became real-time ones in the block are made ordinary again.

    In a process of root's, as in a container, SVT-AV1 makes itself and the thread that calls it more urgent than all
    else on the machine, and every thread and process that begins later inherits that.
    """
    if not hasattr(os, "sched_getscheduler"):  # not Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)  # of this thread
    try:
        yield
    finally:
        changed = os.sched_getscheduler(0) != policy
        for thread in Path("/proc/self/task").iterdir() if changed else ():
            with suppress(OSError):  # it has ended
                if os.sched_getscheduler(int(thread.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                    os.sched_setscheduler(int(thread.name), policy, parameters)


def _look_at_streams(plan: Plan, video: Video, suffix: str) -> None:
    "Which of the other streams go over, and a note for those that this container cannot hold."
    with open_container(video.path) as container:
        colorized = find_stream(container)
        for stream in container.streams:
            if stream.index == colorized.index or stream.type == "data":
                continue  # data are time codes and chapters, which the muxer makes itself from what is copied
            if plan.format == "matroska" and is_cover(stream):
                plan.notes.append("the cover picture is left out")
            elif _trial(plan.format, lambda trial, stream=stream: add_copy(trial, stream)) is None:
                plan.copied.append(stream.index)
            elif _trial(plan.format, lambda trial, stream=stream: add_flac(trial, stream)) is None:
                plan.encoded.append(stream.index)
                plan.notes.append(f"{_name(stream)} cannot be in {suffix} and becomes FLAC")
            else:
                elsewhere = "" if plan.format == "matroska" else "; .mkv would hold more"
                plan.notes.append(f"{_name(stream)} cannot be in {suffix} and is left out{elsewhere}")
        if container.chapters() and plan.format not in WITH_CHAPTERS:
            plan.chapters = False
            plan.notes.append(f"chapters cannot be in {suffix} and are left out; .mkv would hold them")
    if video.matrix and plan.format not in WITH_ORIENTATION:
        plan.notes.append(f"{suffix} cannot say that the picture lies on its side; .mkv would")


def add_copy(container: av.container.OutputContainer, stream: av.stream.Stream) -> av.stream.Stream:
    "A stream for the same packets, with language, title and role."
    if stream.type == "attachment":
        copy = container.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
    else:
        copy = container.add_stream_from_template(stream, opaque=True)
        copy.disposition = stream.disposition
    copy.metadata.update(stream.metadata)
    return copy


def add_flac(container: av.container.OutputContainer, stream: av.stream.Stream) -> av.audio.stream.AudioStream:
    """A stream for the same sound as FLAC, with language, title and role.

    Raises:
        ValueError: it is no sound, or FFmpeg cannot decode it.
    """
    if stream.type != "audio" or stream.codec_context is None:
        raise ValueError("no sound that can be decoded")
    context = stream.codec_context
    flac = container.add_stream("flac", rate=context.sample_rate)
    flac.layout = context.layout
    flac.format = "s32" if context.format.name.startswith("s32") else "s16"
    flac.disposition = stream.disposition
    flac.metadata.update(stream.metadata)
    return flac


def _trial(format: str, write: Callable[[av.container.OutputContainer], None]) -> str | None:
    "What FFmpeg has against writing this into such a container; None for nothing."
    try:
        container = av.open(io.BytesIO(), "w", format=format)
        try:
            write(container)
            container.start_encoding()
        finally:
            container.close()
    except (av.FFmpegError, OSError, ValueError, TypeError) as error:
        return str(error) or type(error).__name__
    return None


def _name(stream: av.stream.Stream) -> str:
    kind = {"audio": "sound", "subtitle": "subtitles", "attachment": "attachment"}.get(stream.type, stream.type)
    context = stream.codec_context
    what = stream.metadata.get("filename") if stream.type == "attachment" else context and context.name
    return f"stream {stream.index} ({kind}{', ' + what if what else ''})"
