"""Several answers: different colourings of one photo, made by hints and without training.

The photo is divided into regions of similar features. The network predicts the photo again, mirrored, lighter and
darker; how much its answers for a region differ says how open its colour is, and their main direction says which way.
A variant moves the most open regions one way or the other and holds all others. Of all such moves the next variant is
always the one farthest from those before, as in DISCO (Xia et al. 2022), and of equal ones the one with less chroma.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from ..errors import UsageError
from .hints import Hint, pixel_at
from .spreading import resized, standardised

if TYPE_CHECKING:
    from .matching import Reference
    from .prepared import PreparedPhoto

MOST_VARIANTS = 8
REGIONS, OPEN = 7, 3  # into how many the photo is divided, and how many of them move
GRID = 48  # side of the grid on which regions are found, about
NEARNESS = 0.3  # weight of the place beside the features, of which 1 is usual
PLACES = 8  # hints for a region
GAMMAS = (0.7, 1.4)  # powers of luma with which the photo is predicted again
WARMER = (-0.79, 0.61)  # the direction of Cb and Cr in which predictions are wrong most often, one way or the other
GAIN = 6  # a region moves by so many times its deviation
SHIFTS = (0.06, 0.12)  # by at least, and at most, so much chroma


def propose_variants(
    prepared: "PreparedPhoto", n: int, hints: list[Hint], reference: "Reference | None" = None
) -> list[list[Hint]]:
    """As `PreparedPhoto.variants`.

    Raises:
        UsageError: `n` is not from 1 to 8.
    """
    if not 1 <= n <= MOST_VARIANTS:
        raise UsageError(f"there can be 1 to {MOST_VARIANTS} variants, not {n}")
    first = prepared.hints_from(reference, hints) if reference else hints
    if n == 1:
        return [first]
    base = prepared.chroma(first)
    hinted = [np.array([hint.x, hint.y]) / prepared.size for hint in hints]
    regions = find_regions(prepared, base, hinted)
    moving = sorted(regions, key=lambda region: region.openness, reverse=True)[:OPEN]
    if (different := 3 ** len(moving)) < n:
        prepared.photo.notes.append(f"only {different} of {n} variants differ: nearly every part of it has a hint")
    held = [hint for region in regions if region not in moving for hint in region.hints(prepared, base)]
    return [
        first,
        *(
            hints + held + [hint for region, way in zip(moving, move) for hint in region.hints(prepared, base, way)]
            for move in choose_moves(moving, n - 1)
        ),
    ]


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a photo that has one colour.

    places: (P, 2), x and y as fractions of width and height, in [0, 1].
    area: as a fraction of the photo's.
    chroma: (2,), the mean.
    shift: (2,), how far, and which way, the chroma may move; the other way is as good.
    openness: how much its area and the network's doubt about its colour make it worth moving; in any unit.
    """

    places: np.ndarray
    area: float
    chroma: np.ndarray
    shift: np.ndarray
    openness: float

    def hints(self, prepared: "PreparedPhoto", base: np.ndarray, way: int = 0) -> list[Hint]:
        "Hints that move the region's chroma from `base` (2, h, w) by `way` shifts."
        shape = base.shape[1:]
        return [
            prepared.hint_at(place, base[(slice(None), *pixel_at(place, shape))] + way * self.shift)
            for place in self.places
        ]


def find_regions(prepared: "PreparedPhoto", base: np.ndarray, taken: Sequence[np.ndarray]) -> list[Region]:
    """The regions of a photo with the chroma `base` (2, h, w), without those that hold one of the places `taken`.

    Places are x and y as fractions of width and height, in [0, 1].
    """
    height, width = base.shape[1:]
    scale = GRID / (height * width) ** 0.5
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    seen = standardised(resized(base if prepared.features is None else prepared.features, shape)).T
    rows, columns = np.mgrid[: shape[0], : shape[1]].reshape(2, -1)
    places = np.stack([(columns + 0.5) / shape[1], (rows + 0.5) / shape[0]], 1)
    points = np.concatenate([seen, NEARNESS * (places - 0.5) / places.std()], 1)
    centres = _far_apart(points, points, REGIONS)
    labels = _clusters(points, points[centres])
    taken_labels = {int(labels[row * shape[1] + column]) for row, column in (pixel_at(p, shape) for p in taken)}
    members = np.stack([resized(each, shape).reshape(2, -1) for each in predict_again(prepared)])  # (M, 2, points)
    found = []
    for label in sorted(set(labels.tolist()) - taken_labels):
        inside = np.flatnonzero(labels == label)
        unusual = ((points[inside] - points[inside].mean(0)) ** 2).sum(1)
        typical = inside[np.argsort(unusual)[: max(1, len(inside) // 2)]]
        chosen = typical[_far_apart(places[typical], places[inside], PLACES)]
        chroma = resized(base, shape).reshape(2, -1)[:, inside].mean(1)
        area, (direction, deviation) = len(inside) / len(points), _spread_of(members[:, :, inside].mean(2))
        shift = np.clip(GAIN * deviation, *SHIFTS) * direction
        found.append(Region(places[chosen], area, chroma, shift, area**0.5 * deviation))
    return found


def predict_again(prepared: "PreparedPhoto") -> list[np.ndarray]:
    "The prediction (2, h, w), and those for the photo mirrored, lighter and darker."
    luma = torch.from_numpy(prepared.luma)[None, None]
    changed = torch.cat([luma.flip(-1), *(luma**gamma for gamma in GAMMAS)])
    mirrored, *others = prepared.engine.predict_chroma(changed).cpu().numpy()
    return [prepared.prediction, np.ascontiguousarray(mirrored[..., ::-1]), *others]


def choose_moves(regions: Sequence[Region], n: int) -> list[tuple[int, ...]]:
    "The `n` moves, for each region 1, 0 or -1 shifts, that are farthest from none and from each other."
    ways = sorted(product((-1, 0, 1), repeat=len(regions)), key=any)  # none is the first
    areas = np.array([region.area for region in regions])
    shifts = np.array(ways)[..., None] * np.reshape([region.shift for region in regions], (-1, 2))  # (ways, regions, 2)
    chroma = np.linalg.norm(np.reshape([region.chroma for region in regions], (-1, 2)) + shifts, axis=2) @ areas
    shifts = (shifts * np.sqrt(areas)[:, None]).reshape(len(ways), -1)
    chosen = [0]
    while len(chosen) <= n:
        apart = np.linalg.norm(shifts[:, None] - shifts[chosen], axis=2).min(1)
        chosen.append(max(range(len(ways)), key=lambda i: (round(float(apart[i]), 4), -chroma[i])))
    return [ways[i] for i in chosen[1:]]


def _spread_of(members: np.ndarray) -> tuple[np.ndarray, float]:
    "First principal component (2,) of predictions (M, 2) for a region, towards warmer, and their standard deviation."
    _, sizes, directions = np.linalg.svd(members - members.mean(0))
    deviation = float(sizes[0]) / len(members) ** 0.5
    direction = directions[0] if deviation > 1e-6 else np.array(WARMER)
    return direction * (1 if direction @ WARMER >= 0 else -1), deviation


def _far_apart(points: np.ndarray, among: np.ndarray, n: int) -> list[int]:
    "Up to `n` of `points` (N, D): the one nearest to the mean of `among`, then always the one farthest from those."
    chosen = [int(((points - among.mean(0)) ** 2).sum(1).argmin())]
    apart = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < n and apart.max() > 1e-9:
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen


def _clusters(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    "Labels (N,) of points (N, D) by k-means, from these centres on."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a cluster is empty
        return kmeans2(points, centres, minit="matrix")[1]
