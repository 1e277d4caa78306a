"""Chroma that keeps still: each frame's is averaged with that of the frames around it, along the motion.

    S_t = sum_j k^|t - j| T_tj C_j  /  sum_j k^|t - j| T_tj

with C_j the chroma that the network predicted for frame j, moved along the flow onto frame t, and T_tj the product of
the trusts on the way. Computed by one recursion forwards and one backwards, whose sums are added: the kernel is
symmetric, so colours do not lag behind. Where trust is 0, at a cut or where something comes into view, the average
begins anew.
"""

from collections.abc import Sequence

import numpy as np

from .motion import Motion, Trust, warp

PERSISTENCE = 0.85  # k


def smooth(
    chroma: Sequence[np.ndarray], motion: Sequence[Motion | None], trust: Sequence[Trust | None]
) -> list[np.ndarray]:
    """Smoothed chroma (h, w, 2), float32, of consecutive frames of one shot.

    `motion` and `trust` say of each frame how it follows from the one before; the first frame's are not looked at.
    """
    weighted = [np.dstack([each, np.ones(each.shape[:2], np.float32)]) for each in chroma]
    forwards = _accumulate(weighted, [m and m.to_previous for m in motion], [t and t.here for t in trust])
    later_motion, later_trust = [*motion[1:], None][::-1], [*trust[1:], None][::-1]
    backwards = _accumulate(
        weighted[::-1], [m and m.from_previous for m in later_motion], [t and t.before for t in later_trust]
    )[::-1]
    smoothed = []
    for ahead, behind, own in zip(forwards, backwards, weighted):
        total = ahead + behind - own  # which is in both sums
        weight = np.maximum(total[..., 2:], 1)  # less is what cubic interpolation overshoots by
        smoothed.append(total[..., :2] / weight)
    return smoothed


def _accumulate(
    weighted: Sequence[np.ndarray], flows: Sequence[np.ndarray | None], trusts: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    "Running sums (h, w, 3) of chroma times weight and of the weight, moved from frame to frame."
    sums = [weighted[0]]
    for own, flow, trust in zip(weighted[1:], flows[1:], trusts[1:]):
        sums.append(own + (PERSISTENCE * trust)[..., None] * warp(sums[-1], flow))
    return sums
