"""A film in parts that are done apart, in any order: which parts there are, and the work on one of them.

To find them takes one pass over the frames, without network and encoder. The parts are those that a single process
writes (`job`), to the bit.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from .colorizer import VideoColorizer, reading_begins, window_lengths
from .containers import Plan
from .errors import BadVideo
from .job import Options
from .parts import PartWriter, is_long_enough
from .planes import luma_of, with_luma_plane
from .reading import Video, read_frames

WARM_UP = 8  # frames that are decoded before those that are needed: a deinterlacer looks back


@dataclass(frozen=True)
class Seen:
    "A frame that was seen. time: in units of the video's time base. checksum: CRC-32 of the Y plane."

    number: int
    time: int
    checksum: int
    begins_shot: bool


@dataclass(frozen=True)
class Part:
    "The frames from `begin` to before `end`; `frames`: all that their colours depend on, in order."

    begin: int
    end: int
    frames: tuple[Seen, ...]


class FramesDiffer(Exception):
    "Read from the middle on, frames are not what they were when read from the beginning on."


def find_parts(video: Video, options: Options, colorizer: VideoColorizer) -> Iterator[Part]:
    """The parts of a video, each as soon as all that it depends on was seen. The colorizer's network is not used.

    Raises:
        BadVideo, BadVideoRequest: as `read_frames`.
    """
    cv2.setNumThreads(1)  # as for colorizing: flow depends on it
    seen: deque[Seen] = deque()
    waiting: deque[tuple[int, int, int]] = deque()  # parts of which frames after the end may count
    begin = first = shot = 0  # of the part that grows: its first frame, and the first that it depends on
    source = read_frames(video, options.start, options.end, options.keep_interlaced)
    for frame in colorizer.mark(colorizer.read(source, video.pixel_aspect, video.turns)):
        number, (window, overlap) = frame.index, window_lengths(frame.picture)
        shot = number if frame.begins_shot else shot
        if (number - shot) % window == 0 and is_long_enough(begin, number):
            waiting.append((begin, number, first))
            begin, first = number, reading_begins(number, shot, frame.picture)
        while waiting and (frame.begins_shot or number > waiting[0][1] + overlap):
            yield _part(waiting.popleft(), seen)
        while seen and seen[0].number < (waiting[0][2] if waiting else first):
            seen.popleft()
        seen.append(Seen(number, frame.picture.pts, checksum(frame.picture), frame.begins_shot))
    for each in [*waiting, (begin, number + 1, first)]:
        yield _part(each, seen)


def _part(extent: tuple[int, int, int], seen: Iterable[Seen]) -> Part:
    begin, end, first = extent
    return Part(begin, end, tuple(frame for frame in seen if frame.number >= first))


def checksum(frame: av.VideoFrame) -> int:
    return zlib.crc32(np.ascontiguousarray(luma_of(with_luma_plane(frame))))


def write_part(part: Part, video: Video, options: Options, plan: Plan, colorizer: VideoColorizer, folder: Path) -> None:
    """Colorize a part and write it into the folder of parts. Decoding begins at a key frame before it.

    Raises:
        BadVideo: the file is not the one that `find_parts` read.
    """
    try:
        _write_part(part, video, options, plan, colorizer, folder, from_the_beginning=part.frames[0].number == 0)
    except (FramesDiffer, BadVideo):  # some files cannot be entered in the middle
        try:
            _write_part(part, video, options, plan, colorizer, folder, from_the_beginning=True)
        except FramesDiffer as error:
            raise BadVideo("its frames are not the same each time that they are read") from error


def _write_part(
    part: Part,
    video: Video,
    options: Options,
    plan: Plan,
    colorizer: VideoColorizer,
    folder: Path,
    from_the_beginning: bool,
) -> None:
    near = None if from_the_beginning else float(part.frames[0].time * video.time_base - WARM_UP / video.rate)
    frames = _matching(read_frames(video, options.start, options.end, options.keep_interlaced, near), part)
    shots = {frame.number for frame in part.frames if frame.begins_shot}
    first = part.frames[0].number
    formats = (plan.pixel_format,)
    colored = colorizer.colorize_from(part.begin, frames, video.pixel_aspect, video.turns, formats, first, shots)
    writer = PartWriter(folder, part.begin, plan, video)
    try:
        with closing(colored):
            for frame, _ in islice(colored, part.end - part.begin):
                writer.write(frame, may_begin=False)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _matching(frames: Iterator[av.VideoFrame], part: Part) -> Iterator[av.VideoFrame]:
    "The frames that a part depends on, of those that are read."
    expected = deque(part.frames)
    for frame in frames:
        if frame.pts < expected[0].time and len(expected) == len(part.frames):
            continue  # those before
        if (frame.pts, checksum(frame)) != (expected[0].time, expected[0].checksum):
            break
        yield frame
        expected.popleft()
        if not expected:
            return
    raise FramesDiffer
