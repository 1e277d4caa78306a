"""A video file in: what it holds, and its frames in order, each with a time, progressive, of one size."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.filter
from av.video.reformatter import ColorRange

from .errors import BadVideo, BadVideoRequest
from .planes import is_coloured, is_full_range, matrix_of, with_luma_plane

MAX_FRAME_PIXELS = 8192 * 4608  # larger pictures than 8K are refused
PROBED = 30  # frames that are looked at beforehand, at each of three places
DISPLAY_MATRIX = "DISPLAYMATRIX"
COUNTS_FROM_ANYWHERE = {"mpegts", "mpeg"}  # formats whose first time stamp means nothing
LONGEST_GOP = 10  # seconds between key frames in these, or less
av.logging.set_level(None)  # FFmpeg would talk on stderr; what matters comes as an error


@dataclass
class Video:
    """What a file says of itself and of its first video stream, and what a look at some frames says.

    duration: seconds, None where unknown.
    start: seconds at which its own clock begins.
    rate: frames a second, on average.
    matrix: FFmpeg's display matrix, nine numbers, or None; turns: quarters of a turn counterclockwise that it means.
    colorspace, color_range, color_primaries, color_trc: numbers of ITU-T H.273 and FFmpeg; 2 or 0 is unspecified.
    interlaced: the frames that are looked at are; flagged: and say so.
    notes: what its owner may want to know.
    """

    path: Path
    index: int
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    pixel_aspect: Fraction | None
    duration: float | None
    start: float
    frames: int = 0
    pixel_format: str = ""
    matrix: tuple[int, ...] | None = None
    turns: int = 0
    colorspace: int = 2
    color_range: int = 0
    color_primaries: int = 2
    color_trc: int = 2
    interlaced: bool = False
    flagged: bool = False
    notes: list[str] = field(default_factory=list)


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file that FFmpeg knows.

    Raises:
        BadVideo: it does not.
    """
    try:
        with path.open("rb") as file:
            if file.read(8) == b"ffconcat":  # FFmpeg would open what is listed in it
                raise BadVideo("a list of files and no video")
        # FFmpeg takes what comes before the first colon of a relative path for a protocol.
        return av.open(str(path.absolute()), metadata_errors="replace")
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise BadVideo(error.strerror) from error
    except (av.FFmpegError, OSError) as error:
        raise BadVideo(f"not a video that FFmpeg can read ({_reason(error)})") from error


def is_cover(stream: av.stream.Stream) -> bool:
    "Whether it is a picture of the whole film, as on a disc's box."
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def find_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The video stream that is colorized: the first that is no cover picture.

    Raises:
        BadVideo: there is none, or FFmpeg cannot decode it.
    """
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        raise BadVideo("there are no pictures in it, only " + (_kinds(container) or "nothing that FFmpeg knows"))
    if streams[0].codec_context is None:
        raise BadVideo("FFmpeg has no decoder for its pictures")
    return streams[0]


def probe(path: Path, keep_interlaced: bool = False) -> Video:
    """Look at a video before the work.

    Raises:
        BadVideo: there is nothing in it to colorize, or more than can be.
    """
    with open_container(path) as container:
        stream = find_stream(container)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MAX_FRAME_PIXELS:
            raise BadVideo(
                f"its pictures of {width} x {height} are larger than {MAX_FRAME_PIXELS / 1e6:.0f} megapixels"
            )
        duration = container.duration / av.time_base if container.duration and container.duration > 0 else None
        anywhere = container.format.name in COUNTS_FROM_ANYWHERE
        video = Video(
            path,
            stream.index,
            width,
            height,
            stream.time_base,
            stream.average_rate or stream.guessed_rate or Fraction(25),
            stream.sample_aspect_ratio or None,
            duration,
            (container.start_time or 0) / av.time_base if anywhere else 0.0,
            stream.frames or (round(duration * float(stream.average_rate or 25)) if duration else 0),
        )
        _look_at_frames(container, stream, video)
    if video.interlaced:
        what = "its lines stay as they are" if keep_interlaced else "deinterlaced; --keep-interlaced leaves its lines"
        video.notes.append(f"interlaced: {what}")
    return video


def _look_at_frames(container: av.container.InputContainer, stream: av.video.stream.VideoStream, video: Video) -> None:
    "Orientation, interlacing and colours of frames at the beginning, and at one and two thirds."
    coloured = fields = progressive = seen = 0
    for place in (0, 1, 2) if video.duration else (0,):
        detector = None
        with suppress(av.FFmpegError, ValueError):
            if place:
                container.seek(round(video.duration * place / 3 * av.time_base) + (container.start_time or 0))
            for number, frame in enumerate(container.decode(stream)):
                if number == PROBED:
                    break
                if not seen:  # a header may be wrong
                    video.width, video.height = frame.width, frame.height
                    video.matrix, video.turns = _orientation(frame)
                    _note_colours(with_luma_plane(frame), video)
                seen += 1
                video.flagged |= frame.interlaced_frame
                coloured += number % 10 == 0 and is_coloured(frame)
                detector = detector or _filter(frame, stream.time_base, "idet")
                detector.vpush(frame)
                with suppress(av.BlockingIOError):  # its answers come a frame late
                    verdict = detector.vpull().metadata.get("lavfi.idet.multiple.current_frame")
                    fields += verdict in ("tff", "bff")
                    progressive += verdict == "progressive"
    if not seen:
        raise BadVideo("no frame of it can be decoded")
    video.interlaced = video.flagged or (fields > 2 * progressive and fields >= 10)
    if coloured:
        video.notes.append("was in colour already; its colours are replaced")


def _note_colours(frame: av.VideoFrame, video: Video) -> None:
    video.pixel_format = frame.format.name
    video.colorspace = matrix_of(frame)
    video.color_range = int(ColorRange.JPEG) if is_full_range(frame) else int(frame.color_range)
    video.color_primaries, video.color_trc = int(frame.color_primaries), int(frame.color_trc)


def _orientation(frame: av.VideoFrame) -> tuple[tuple[int, ...] | None, int]:
    "A frame's display matrix, and how many quarters of a turn counterclockwise it means."
    data = frame.side_data.get(DISPLAY_MATRIX)
    if data is None:
        return None, 0
    return tuple(memoryview(bytes(data)).cast("i")), round(frame.rotation / 90) % 4


def read_frames(
    video: Video,
    start: float | None = None,
    end: float | None = None,
    keep_interlaced: bool = False,
    near: float | None = None,
) -> Iterator[av.VideoFrame]:
    """The frames from `start` to before `end`, in seconds, in order of their times, which all have and which increase.

    What can be decoded of a damaged file comes; `video.notes` then says where it is damaged. With `near`, seconds by
    the file's own clock, decoding begins at a key frame before it, or elsewhere where the file knows none; the first
    frames may then differ from what they are otherwise.

    Raises:
        BadVideo: the size of the picture changes.
        BadVideoRequest: no frames between `start` and `end`.
    """
    with open_container(video.path) as container:
        stream = find_stream(container)
        stream.thread_type = "AUTO"
        if near is None and start and video.duration:
            # In these formats FFmpeg finds no key frames, and decoding begins with the next one.
            early = LONGEST_GOP if container.format.name in COUNTS_FROM_ANYWHERE else 0
            near = start - early + video.start if start > early else None
        if near is not None:
            with suppress(av.FFmpegError):
                container.seek(round(near * av.time_base))
        frames = _timed(_decoded(container, stream, video), video)
        if video.interlaced and not keep_interlaced:
            frames = _deinterlaced(frames, video)
        count, last = 0, None
        for frame in frames:
            time = float(frame.pts * frame.time_base) - video.start
            if start is not None and time < start:
                continue
            if end is not None and time >= end:
                break
            count, last = count + 1, time
            yield with_luma_plane(frame)
    if not count:
        if start is None and end is None:
            raise BadVideo("no frame of it can be decoded")
        raise BadVideoRequest(f"there are no frames between --start and --end; it takes {video.duration or 0:.2f} s")
    if end is None and video.duration and last < 0.9 * video.duration - 1:
        video.notes.append(f"its pictures end at {last:.2f} s of {video.duration:.2f} s: it is truncated")


def _decoded(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, video: Video
) -> Iterator[av.VideoFrame]:
    "All frames that can be decoded; the first damage is noted."
    time = 0.0

    def damaged(error: Exception) -> None:
        note = f"damaged after {time:.2f} s ({_reason(error)}); what can be decoded is kept"
        if not any(each.startswith("damaged") for each in video.notes):
            video.notes.append(note)

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError) as error:
            damaged(error)
            packet = None
        try:
            decoded = stream.decode(packet)
        except (av.FFmpegError, OSError) as error:
            if not isinstance(error, av.EOFError):
                damaged(error)
            decoded = []
        for frame in decoded:
            if (frame.width, frame.height) != (video.width, video.height):
                raise BadVideo(
                    f"its picture changes from {video.width} x {video.height} to {frame.width} x {frame.height} after "
                    f"{time:.2f} s; colorize both pieces on their own, with --end and --start"
                )
            time = frame.time - video.start if frame.pts is not None and frame.time is not None else time
            yield frame
        if packet is None:
            return


def _timed(frames: Iterator[av.VideoFrame], video: Video) -> Iterator[av.VideoFrame]:
    "The frames, with times where they are missing or do not increase."
    tick = max(1, round(1 / (video.rate * video.time_base)))
    last = following = None
    for frame in frames:
        frame.time_base = video.time_base
        if frame.pts is None or (last is not None and frame.pts <= last):
            note = "some frames have no time of their own, or a wrong one; they follow at the average rate"
            if note not in video.notes:
                video.notes.append(note)
            frame.pts = following or 0
        last = frame.pts
        following = last + (frame.duration or tick)
        yield frame


def _deinterlaced(frames: Iterator[av.VideoFrame], video: Video) -> Iterator[av.VideoFrame]:
    "One frame for each, by FFmpeg's bwdif; those that are flagged, or all where none is."
    graph = None
    for frame in frames:
        if graph is None:
            only = "interlaced" if video.flagged else "all"
            graph = _filter(frame, video.time_base, "bwdif", f"mode=send_frame:deint={only}")
        graph.vpush(frame)
        yield from _pulled(graph, video)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, video)


def _pulled(graph: av.filter.Graph, video: Video) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        frame.pts = round(frame.pts * frame.time_base / video.time_base)  # the filter counts in halves
        frame.time_base = video.time_base
        yield frame


def _filter(frame: av.VideoFrame, time_base: Fraction, name: str, options: str = "") -> av.filter.Graph:
    "A graph of one filter, for frames like this one."
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base, name="in"
    )
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
    return graph


def _kinds(container: av.container.InputContainer) -> str:
    names = {"audio": "sound", "subtitle": "subtitles", "video": "a cover picture"}
    return " and ".join(sorted({names.get(stream.type, stream.type) for stream in container.streams}))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")
