"""A small copy of a result that any browser plays: without its colours on the left, with them on the right."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from ..files import atomic_path
from .planes import BT470BG, display_size
from .reading import probe, read_frames

LARGEST = (640, 480)  # pixels of each half


def write_preview(result: Path, target: Path, progress: Callable[[], None] = lambda: None) -> None:
    """Write both halves into one picture, so that they cannot drift apart: H.264 in MP4, silent, with all frames.

    `progress` is called after each frame; what it raises ends the work and leaves nothing.

    Raises:
        BadVideo: `result` is no video.
    """
    video = probe(result)
    with atomic_path(target) as temporary, av.open(str(temporary), "w", options={"movflags": "faststart"}) as preview:
        stream = first = None
        for frame in read_frames(video, keep_interlaced=True):
            picture = _side_by_side(frame, *_half(display_size(frame, video.pixel_aspect, video.turns)), video.turns)
            if stream is None:
                stream, first = preview.add_stream("libx264", rate=video.rate), frame.pts
                stream.options = {"preset": "veryfast", "crf": "23"}
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, picture.format.name
                stream.time_base = stream.codec_context.time_base = video.time_base
                stream.codec_context.colorspace, stream.codec_context.color_range = BT470BG, int(ColorRange.MPEG)
            picture.pts, picture.time_base = frame.pts - first, video.time_base
            preview.mux(stream.encode(picture))
            progress()
        preview.mux(stream.encode(None))


def _half(size: tuple[int, int]) -> tuple[int, int]:
    "Width and height of a half, even: fitted into `LARGEST`, and no larger than it is."
    scale = min(1, LARGEST[0] / size[0], LARGEST[1] / size[1])
    return tuple(max(2, round(scale * length / 2) * 2) for length in size)


def _side_by_side(frame: av.VideoFrame, width: int, height: int, turns: int) -> av.VideoFrame:
    lying = (width, height) if turns % 2 == 0 else (height, width)
    color = np.rot90(frame.to_ndarray(format="rgb24", width=lying[0], height=lying[1]), turns)
    gray = cv2.cvtColor(cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    both = av.VideoFrame.from_ndarray(np.hstack([gray, color]), format="rgb24")
    return both.reformat(format="yuv420p", dst_colorspace=BT470BG, dst_color_range=ColorRange.MPEG)
