"""Where one shot ends and the next begins, found while the frames go by."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from .motion import estimate_motion, estimate_trust

T = TypeVar("T")
WINDOW = 2  # frames before and after a cut that the detector compares its change with
SHORTEST = 5  # frames in a shot
RELATED = 0.15  # mean trust between two frames of one shot; where nothing matches it is 0.05 and less


def mark_shots(items: Iterable[T], luma: Callable[[T], np.ndarray]) -> Iterator[tuple[T, bool]]:
    """Each item with whether it begins a shot, a few frames behind.

    `luma` gives an item's small picture (h, w), uint8, whose exposure has been normalised: a flicker is no cut. Memory
    does not grow. PySceneDetect's adaptive detector proposes cuts: what changes more than three times as much as the
    frames around it. If most of one frame is found again in the next, it was the camera, or a repeated frame.
    """
    detector = AdaptiveDetector(window_width=WINDOW, min_scene_len=SHORTEST, luma_only=True)
    waiting: deque[tuple[int, T]] = deque()
    proposed = set()
    previous = None

    def next_marked() -> tuple[T, bool]:
        nonlocal previous
        index, item = waiting.popleft()
        picture = luma(item)
        begins = previous is None or (index in proposed and _are_unrelated(previous, picture))
        proposed.discard(index)
        previous = picture
        return item, begins

    for index, item in enumerate(items):
        waiting.append((index, item))
        picture = cv2.cvtColor(luma(item), cv2.COLOR_GRAY2BGR)
        proposed.update(cut.frame_num for cut in detector.process_frame(FrameTimecode(index, fps=25.0), picture))
        if len(waiting) > WINDOW:
            yield next_marked()
    while waiting:
        yield next_marked()


def _are_unrelated(previous: np.ndarray, this: np.ndarray) -> bool:
    trust = estimate_trust(estimate_motion(previous, this), previous, this)
    return float(trust.here.mean()) < RELATED
