"""Optical flow between neighbouring frames, and how far to trust it.

Everything here works on small luma pictures (h, w), uint8, whose exposure has been normalised, so that neither a fade
nor the flicker of an old film looks like motion or a change of content. A flow (h, w, 2), float32, holds x and y in
pixels: what is at p in one frame is at p + flow[p] in the other.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

LEVEL, CONTRAST = 128, 48  # mean and standard deviation after normalisation
LEAST_CONTRAST = 4  # of a nearly black or white frame, whose noise is not to be amplified
LUMA_TRUST = 450  # trust falls as exp(-LUMA_TRUST d^2), with d the difference in luma, 0 to 1


class Exposure(NamedTuple):
    "Mean and standard deviation of a frame's luma, in levels of 8 bit."

    mean: float
    deviation: float


class Motion(NamedTuple):
    "Flow between a frame and the one before it, both ways."

    to_previous: np.ndarray
    from_previous: np.ndarray


class Trust(NamedTuple):
    """Where the two frames show the same thing, 0 to 1, (h, w), float32.

    `here` is in the frame's own pixels, `before` in those of the frame before it.
    """

    here: np.ndarray
    before: np.ndarray


def normalize_exposure(luma: np.ndarray) -> tuple[np.ndarray, Exposure]:
    "Luma (h, w), uint8, brought to a fixed mean and contrast, and what those were."
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(luma))
    exposure = Exposure(mean, max(deviation, LEAST_CONTRAST))
    scale = CONTRAST / exposure.deviation
    return cv2.addWeighted(luma, scale, luma, 0, LEVEL - mean * scale), exposure


def estimate_motion(previous: np.ndarray, this: np.ndarray) -> Motion:
    "Dense inverse search (Kroeger et al. 2016, arXiv:1603.03590), both ways."
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)  # the pictures are small already
    return Motion(search.calc(this, previous, None), search.calc(previous, this, None))


def warp(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`picture` (h, w) or (h, w, c) of another frame, fetched along the flow that leads to it.

    Cubic, since what is moved from frame to frame is blurred anew each time.
    """
    return cv2.remap(picture, flow + _grid(*flow.shape[:2]), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def remove_dust(
    this: np.ndarray, previous: np.ndarray, following: np.ndarray, to_previous: np.ndarray, to_following: np.ndarray
) -> np.ndarray:
    """A frame without what only it shows: dust, scratches, grain.

    The median of the frame and of its two neighbours moved onto it (Kokaram et al. 1995, "Detection of missing data in
    image sequences").
    """
    before, after = warp(previous, to_previous), warp(following, to_following)
    return np.maximum(np.minimum(before, after), np.minimum(np.maximum(before, after), this))


def estimate_trust(motion: Motion, previous: np.ndarray, this: np.ndarray) -> Trust:
    """Where flow there and flow back agree (Sundaram et al. 2010) and the luma found at its end is the same."""
    to_previous, from_previous = motion
    return Trust(
        _trust(to_previous, from_previous, this, previous),
        _trust(from_previous, to_previous, previous, this),
    )


def _trust(there: np.ndarray, back: np.ndarray, here: np.ndarray, other: np.ndarray) -> np.ndarray:
    height, width = here.shape
    end = there + _grid(height, width)
    returned = cv2.remap(back, end, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = (there**2).sum(-1) + (returned**2).sum(-1)
    consistent = ((there + returned) ** 2).sum(-1) <= 0.01 * length + 0.5
    inside = (end >= -0.5).all(-1) & (end[..., 0] <= width - 0.5) & (end[..., 1] <= height - 0.5)
    difference = (here.astype(np.float32) - warp(other, there)) / 255
    difference = cv2.blur(difference**2, (3, 3))  # of a neighbourhood, for single pixels are noisy
    return np.exp(-LUMA_TRUST * difference, dtype=np.float32) * (consistent & inside)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> np.ndarray:
    "Each pixel's own x and y: (h, w, 2)."
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
