"""Chroma that keeps still: each frame's is averaged with that of the frames around it, along the motion.

    S_t = sum_j k^|t - j| T_tj C_j  /  sum_j k^|t - j| T_tj

with C_j the chroma that the network predicted for frame j, moved along the flow onto frame t, and T_tj the product of
the trusts on the way. Computed by one recursion forwards and one backwards, whose sums are added: the kernel is
symmetric, so colours do not lag behind. Where trust is 0, at a cut or where something comes into view, the average
begins anew.

A mean of colours that differ is paler than they are. The mean of their squared saturations, taken in the same way, says
by how much, and brings it back.
"""

from collections.abc import Sequence

import numpy as np

from .motion import Motion, Trust, warp

PERSISTENCE = 0.85  # k
MOST_GAIN = 1.2  # of saturation: where hues contradict one another, their mean is rightly pale


def smooth(
    chroma: Sequence[np.ndarray], motion: Sequence[Motion | None], trust: Sequence[Trust | None]
) -> list[np.ndarray]:
    """Smoothed chroma (h, w, 2), float32, of consecutive frames of one shot.

    `motion` and `trust` say of each frame how it follows from the one before; the first frame's are not looked at.
    """
    weighted = [np.dstack([each, _squared(each), np.ones(each.shape[:2], np.float32)]) for each in chroma]
    forwards = _accumulate(weighted, [m and m.to_previous for m in motion], [t and t.here for t in trust])
    later_motion, later_trust = [*motion[1:], None][::-1], [*trust[1:], None][::-1]
    backwards = _accumulate(
        weighted[::-1], [m and m.from_previous for m in later_motion], [t and t.before for t in later_trust]
    )[::-1]
    smoothed = []
    for ahead, behind, own in zip(forwards, backwards, weighted):
        total = ahead + behind - own  # which is in both sums
        mean = total[..., :3] / np.maximum(total[..., 3:], 1)  # less is what cubic interpolation overshoots by
        gain = np.sqrt(np.maximum(mean[..., 2], 0) / np.maximum(_squared(mean[..., :2]), 1e-9))
        smoothed.append(mean[..., :2] * np.clip(gain, 1, MOST_GAIN)[..., None])
    return smoothed


def _squared(chroma: np.ndarray) -> np.ndarray:
    "Squared saturation."
    return chroma[..., 0] ** 2 + chroma[..., 1] ** 2


def _accumulate(
    weighted: Sequence[np.ndarray], flows: Sequence[np.ndarray | None], trusts: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    "Running sums (h, w, 4) of chroma, squared saturation and weight, moved from frame to frame."
    sums = [weighted[0]]
    for own, flow, trust in zip(weighted[1:], flows[1:], trusts[1:]):
        sums.append(own + (PERSISTENCE * trust)[..., None] * warp(sums[-1], flow))
    return sums
