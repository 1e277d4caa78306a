"""Spreads the colours of hints over a predicted picture, without training.

What is spread is the difference between the chroma that is wanted at a hint and the chroma that was predicted there. It
is 0 far from all hints, so that the prediction stays. Least squares (Levin et al. 2004, "Colorization using
Optimization"): the difference d minimises

    sum over neighbours w_ij (d_i - d_j)^2 + LEAK mean d_i^2       with d as wanted at the hints,

where w_ij is small between pixels of different luma. With A the matrix of this form, the solution is a weighted sum of
columns of the inverse of A, one for each hint: its influence on every pixel. So A is factorised once a photo, and a new
hint takes one solution with these factors. To this influence along the pixels we add what the network sees:
pixels whose features differ take less part, and those far away whose features agree take some. In the language of
Gaussian processes: a sum and product of kernels, conditioned on the hints.
"""

import threading
from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from .hints import pixel_at

# Chosen on validation photos by PSNR at 1 to 50 hints (docs/hints.md).
LUMA_SCALE = 0.05  # the difference of luma, in [0, 1], that counts as an edge
ACROSS_EDGES = 1e-3  # the least weight between neighbours
LEAK = 0.4  # weight, over all pixels together, of keeping the prediction: how fast an influence fades with the distance
CHROMA_SHARE = 1.0  # of the predicted chroma in the distance between features, relative to the network's features
ALONG = 1.3  # distance of features, of which 2 is usual, at which the influence along the pixels fades
SIMILAR = 0.8  # the same for the influence on similar pixels anywhere
SHARE = 1.0  # that influence, where the one along the pixels is some 3.5 at the hint itself
SHADING = 0.5  # power of luma to which an influence is proportional: in the folds of a dress the light has less chroma
SHADED = (0.1, 0.5)  # between these values of luma
SLACK = 1e-3  # variance of a hint's error: hints at one place that contradict each other are averaged

AT_ONCE = 32  # hints whose influences are computed together, at some 3 MB each
MOST_PIXELS = 256 * 256  # of the grid on which the differences are spread; larger pictures are reduced to it


class Spreading:
    """The influences of hints on one photo, for any number of sets of hints. Safe to share between threads.

    Args:
        luma: (H, W) in [0, 1], what the network saw.
        chroma: (2, H, W), what it predicts.
        features: (C, h, w) of the network, of the same picture at any size; None to go by luma and chroma alone.
    """

    def __init__(self, luma: np.ndarray, chroma: np.ndarray, features: np.ndarray | None = None):
        scale = min(1.0, (MOST_PIXELS / luma.size) ** 0.5)
        self.shape = tuple(max(1, round(side * scale)) for side in luma.shape)
        self._full_shape = luma.shape
        luma = resized(luma[None], self.shape)[0]
        self._factors = _factorised(luma)
        self._shading = luma.ravel().clip(*SHADED) ** SHADING
        seen = [CHROMA_SHARE * standardised(resized(chroma, self.shape))]
        if features is not None:
            seen.append(standardised(resized(features, self.shape)))
        self._features = np.concatenate(seen)
        self._lengths = (self._features**2).sum(0)
        self._influences: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def spread(self, places: np.ndarray, differences: np.ndarray) -> np.ndarray:
        """The difference of chroma everywhere, (2, H, W) float32.

        places: (K, 2), x and y of each hint as fractions of width and height, in [0, 1].
        differences: (K, 2), wanted minus predicted Cb and Cr at these places.
        """
        pixels = [row * self.shape[1] + column for row, column in (pixel_at(place, self.shape) for place in places)]
        with self._lock:
            new = [pixel for pixel in dict.fromkeys(pixels) if pixel not in self._influences]
            known = dict(self._influences)
            for some in (new[start : start + AT_ONCE] for start in range(0, len(new), AT_ONCE)):
                known.update(zip(some, self._influences_of(some)))
            # Only those in use are kept: adding or removing a hint computes one at most, whatever came before.
            self._influences = {pixel: known[pixel] for pixel in pixels}
        influences = np.stack([known[pixel] for pixel in pixels])  # (K, H x W)
        between = influences[:, pixels].astype(np.float64)
        weights = np.linalg.solve(between + SLACK * np.eye(len(pixels)), differences)
        return resized((weights.T.astype(np.float32) @ influences).reshape(2, *self.shape), self._full_shape)

    def _influences_of(self, pixels: list[int]) -> np.ndarray:
        "Of hints at some pixels on every pixel, (K, H x W) float32."
        units = np.zeros((self._shading.size, len(pixels)))
        units[pixels, range(len(pixels))] = 1
        along = self._factors.solve(units).T.astype(np.float32)
        apart = (self._lengths + self._lengths[pixels, None] - 2 * self._features[:, pixels].T @ self._features).clip(0)
        influences = along * np.exp(apart / (-2 * ALONG**2)) + SHARE * np.exp(apart / (-2 * SIMILAR**2))
        return influences * self._shading * self._shading[pixels, None]


def resized(planes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    "Planes (C, H, W) resized to `shape` (H, W): (C, *shape) float32, bilinear, averaged where it gets smaller."
    planes = planes.astype(np.float32)
    if planes.shape[1:] == shape:
        return planes
    images = (Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BILINEAR) for plane in planes)
    return np.stack([np.asarray(image) for image in images])


def standardised(features: np.ndarray) -> np.ndarray:
    "Features (C, H, W) as (C, H x W), scaled so that their squared distance to the mean is 1 on average."
    flat = features.reshape(len(features), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / max(float(np.sqrt((flat**2).sum(0).mean())), 1e-6)


def _factorised(luma: np.ndarray) -> SuperLU:
    "The matrix of the least squares over the pixels of `luma` (H, W), ready to be solved."
    numbers = np.arange(luma.size).reshape(luma.shape)
    first, second, weights = [], [], []
    for a, b, closeness in _neighbours(luma.shape):
        apart = (luma[a] - luma[b]).astype(np.float64) / LUMA_SCALE
        first.append(numbers[a].ravel())
        second.append(numbers[b].ravel())
        weights.append((closeness * (np.exp(-(apart**2) / 2) + ACROSS_EDGES)).ravel())
    ends = (np.concatenate(first), np.concatenate(second))
    one_way = sparse.coo_array((np.concatenate(weights), ends), (luma.size, luma.size))
    between = one_way + one_way.T
    matrix = sparse.diags_array(between.sum(1) + LEAK / luma.size) - between
    # Symmetric and positive, so that no pivoting is needed, and an ordering for symmetric matrices keeps it sparse.
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})


def _neighbours(shape: tuple[int, int]) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice], float]]:
    "Each pair of neighbours of a picture (H, W) once, as two views of it, and how close they are."
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = slice(0, shape[0] - down), slice(max(0, -across), shape[1] - max(0, across))
        there = slice(down, shape[0]), slice(max(0, across), shape[1] - max(0, -across))
        yield here, there, (down**2 + across**2) ** -0.5
