"""One video file in, one out: read, colorize, encode in parts, join. What was done before a run was killed is kept."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import torch

from .. import __version__
from ..colorize.folder import Job, Result
from ..errors import DeoldifyError
from ..files import remove_leftovers
from .colorizer import VideoColorizer
from .containers import Plan, make_plan
from .errors import BadVideo
from .joining import join
from .parts import Parts, PartWriter, remove_useless_parts
from .reading import Video, probe, read_frames

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How a video is done.

    codec: h264, h265, av1, vp9, an FFmpeg encoder's name, or auto for what suits the container; crf: its quality.
    start, end: seconds between which the result is; None for all.
    keep_interlaced: leave the lines of interlaced frames as they are.
    """

    codec: str = "auto"
    crf: float | None = None
    start: float | None = None
    end: float | None = None
    keep_interlaced: bool = False


@dataclass
class VideoResult(Result):
    "What became of one video: a line of the report."

    frames: int | None = None


Encode = Callable[[Parts, Video, VideoColorizer, Options, Plan, Progress], int]


def colorize_file(
    job: Job,
    colorizer: VideoColorizer,
    options: Options = Options(),
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    tell: Callable[[str], None] = lambda note: None,
    encode: Encode | None = None,
) -> VideoResult:
    """Colorize `job.input` into `job.output`, which is there as a whole or not at all.

    Until then the work is in parts, in the folder `job.output`.parts. Called again after a crash, it goes on from the
    last finished one, and every pixel is the same as if nothing had happened.

    Args:
        progress: called after every frame with how many are done and how many there will be, as far as is known.
        tell: called with what cannot be kept, and what else there is to know, before the work starts.
        encode: writes the parts that are missing and returns the number of frames; `encode_here` by default.

    Raises:
        BadVideo: it cannot be decoded at all, or the result cannot be written.
        BadVideoRequest: options that do not fit this video or this container.
        NoEncoder: no such codec, or not for these pictures.
    """
    began = time.monotonic()
    result = VideoResult(str(job.input), str(job.output), "skipped")
    if job.output.is_file() and not overwrite:
        remove_useless_parts(job.output)
        return result
    video = probe(job.input, options.keep_interlaced)
    plan = make_plan(video, job.output, options.codec, options.crf)
    video.notes += plan.notes
    for note in video.notes:
        tell(note)
    told = len(video.notes)
    try:
        remove_leftovers(job.output.parent)
        with Parts(job.output, _settings(video, colorizer, options, plan)) as parts:
            try:
                result.frames = (encode or encode_here)(parts, video, colorizer, options, plan, progress)
                join(parts.files(), job.output, plan, video, options.start, options.end)
            except DeoldifyError:
                if _can_be_read(job.input):
                    parts.remove()  # no use: the same command would end in the same way
                else:  # with its disk it may come back; the last part may lack frames that could not be read
                    parts.remove_last()
                raise
            parts.remove()
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or error
        raise BadVideo(f"the result cannot be written: {reason}; the same command goes on from here") from error
    for note in video.notes[told:]:
        tell(note)
    result.status, result.notes, result.width, result.height = "done", video.notes, video.width, video.height
    result.seconds = round(time.monotonic() - began, 3)
    return result


def _can_be_read(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return bool(opened.read(1))
    except OSError:
        return False


def encode_here(
    parts: Parts, video: Video, colorizer: VideoColorizer, options: Options, plan: Plan, progress: Progress
) -> int:
    "Write the parts that are missing. Returns the number of frames of all."
    total = expected_frames(video, options)
    done = parts.frames()
    writer = PartWriter(parts.folder, done, plan, video)
    frames = read_frames(video, options.start, options.end, options.keep_interlaced)
    colored = colorizer.colorize_from(done, frames, video.pixel_aspect, video.turns, (plan.pixel_format,))
    try:
        with closing(colored):
            progress(done, total)
            for frame, may_begin in colored:
                writer.write(frame, may_begin)
                done += 1
                progress(done, total)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return done


def expected_frames(video: Video, options: Options) -> int:
    if options.start is None and options.end is None:
        return video.frames
    length = video.duration or 0.0
    end = length if options.end is None else min(options.end, length)
    return max(0, round((end - (options.start or 0)) * float(video.rate)))


def _settings(video: Video, colorizer: VideoColorizer, options: Options, plan: Plan) -> dict[str, Any]:
    "All that decides the pixels: parts that were made with other settings do not fit."
    file = video.path.stat()
    return {
        "video": [str(video.path.resolve()), file.st_size, file.st_mtime_ns],
        "colorizer": colorizer.settings(),
        "options": asdict(options),
        "encoder": [plan.encoder, plan.options, plan.pixel_format, plan.threads],
        "versions": [__version__, av.__version__, cv2.__version__, torch.__version__],
    }
