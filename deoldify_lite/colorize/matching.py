"""Colours from a reference photo: what the encoder finds alike in two photos gets the same colours, by hints.

Both photos are seen in black and white by the generator's encoder. A place of the photo takes the colours of the places
of the reference whose features are nearest in direction, the more the nearer these are, as in exemplar-based
colorization (He et al. 2018, "Deep Exemplar-based Colorization"), but without training. These colours become hints,
which spread as others do.
"""

import math
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..bt601 import CB_SCALE, CR_SCALE, LUMA_WEIGHTS
from ..errors import UsageError
from ..photo import MAX_PIXELS, BadPhoto, open_in_color, photo_from_image
from .engine import Engine, working_size
from .hints import MOST, Hint
from .spreading import resized

if TYPE_CHECKING:
    from .prepared import PreparedPhoto

LEVELS = 3  # of the encoder's last feature maps: an eighth, a sixteenth and a thirty-second of the picture's side
SOFTNESS = 0.03  # difference of cosine similarity by which a place of the reference counts less
LEAST_ALIKE, ALIKE = 0.2, 0.5  # cosine similarity from which a colour counts, and from which it counts in full
BLOCK = 2  # one hint for so many places in both directions, or more, so that all hints are used
ROWS = 1024  # places that are compared at once
NEAR = 0.15  # of the sides: within this distance of a hint that a person gave, the reference gives none
SHORT_SIDE = 512  # to which a reference of 16 bit a channel is reduced
COLORLESS = 0.01  # mean distance of Cb and Cr from 0 below which a reference has no colours to give


class BadReference(UsageError):
    "A reference photo that cannot be used. The message says why."


@dataclass(frozen=True, eq=False)
class Reference:
    """A photo to take colours from.

    features: (C, h, w), what the encoder sees at each place of a grid, of unit L2 norm.
    luma: (h, w) in [0, 1]. chroma: (2, h, w) in [-0.5, 0.5].
    """

    features: np.ndarray
    luma: np.ndarray
    chroma: np.ndarray


Like = Reference | Image.Image | str | Path  # a reference, or the photo or file that it is made of


def open_reference(
    engine: Engine, photo: Image.Image | str | Path, render_factor: int | None, max_pixels: int = MAX_PIXELS
) -> Reference:
    """A colour photo, or its file, as a reference.

    Raises:
        BadReference: it has no colours or cannot be read.
    """
    name = "the reference photo" if isinstance(photo, Image.Image) else photo
    try:
        if isinstance(photo, Image.Image):
            image = photo_from_image(photo).source
        else:
            image = open_in_color(Path(photo), SHORT_SIDE, max_pixels)
    except BadPhoto as error:
        raise BadReference(f"{name}: {error}") from error
    reference = None if image is None else _reference(engine, image.convert("RGB"), render_factor)
    if reference is None or np.abs(reference.chroma).mean() < COLORLESS:
        raise BadReference(f"{name}: it has no colours to take")
    return reference


def _reference(engine: Engine, image: Image.Image, render_factor: int | None) -> Reference:
    size = working_size(image.size, engine.render_factor_for(image.size, render_factor))
    gray = image.convert("L").resize(size, Image.Resampling.BICUBIC)
    features = encoder_features(engine, np.asarray(gray, np.float32) / 255)
    cells = np.asarray(image.resize(features.shape[:0:-1], Image.Resampling.BOX), np.float32) / 255
    luma = cells @ np.array(LUMA_WEIGHTS, np.float32)
    chroma = np.stack([(cells[..., 2] - luma) / CB_SCALE, (cells[..., 0] - luma) / CR_SCALE])
    return Reference(features, luma, chroma)


def encoder_features(engine: Engine, luma: np.ndarray) -> np.ndarray:
    "What the encoder sees in a luma (H, W) in [0, 1], (C, h, w) at an eighth of its side, of unit L2 norm."
    maps = engine.encode(luma)[-LEVELS:]
    return _normalised(np.concatenate([_normalised(_centred(resized(each, maps[0].shape[1:]))) for each in maps]))


def match_hints(prepared: "PreparedPhoto", reference: Reference, hints: list[Hint]) -> list[Hint]:
    """Hints for a photo with the colours of a reference; none where nothing is alike, or near one of `hints`.

    Where the photo is darker than the reference its chroma is less, in proportion, as under less light.
    """
    features = encoder_features(prepared.engine, prepared.luma)
    shape = features.shape[1:]
    ours, theirs = features.reshape(len(features), -1).T, reference.features.reshape(len(features), -1)
    # Of all places to all others that would be a gigabyte at a high render factor.
    best = np.concatenate([(ours[i : i + ROWS] @ theirs).max(1) for i in range(0, len(ours), ROWS)])
    size, found = np.array(prepared.size), []
    for place in _best_of_blocks(best.reshape(shape), MOST - len(hints)):
        trust = np.clip((best[place] - LEAST_ALIKE) / (ALIKE - LEAST_ALIKE), 0, 1)
        row, column = divmod(place, shape[1])
        at = np.array([(column + 0.5) / shape[1], (row + 0.5) / shape[0]])
        if trust == 0 or any(np.hypot(*(at - (hint.x, hint.y) / size)) < NEAR for hint in hints):
            continue
        shares = np.exp((ours[place] @ theirs - best[place]) / SOFTNESS)
        shares /= shares.sum()
        shade = min(1.0, prepared.luma_at(at) / max(float(shares @ reference.luma.ravel()), 0.01))
        wanted = reference.chroma.reshape(2, -1) @ shares * shade
        predicted = prepared.chroma_at(at)
        found.append(prepared.hint_at(at, predicted + trust * (wanted - predicted)))
    return found


def _best_of_blocks(likeness: np.ndarray, most: int) -> list[int]:
    """Of each block of `BLOCK` places in both directions, of (h, w), the flat index of the one with the most likeness.

    Where that would be more than `most`, blocks are larger.
    """
    height, width = likeness.shape
    if most <= 0:
        return []
    side = next(n for n in count(BLOCK) if math.ceil(height / n) * math.ceil(width / n) <= most)
    numbers = np.arange(height * width).reshape(height, width)
    blocks = (numbers[y : y + side, x : x + side] for y in range(0, height, side) for x in range(0, width, side))
    return [max(block.ravel().tolist(), key=likeness.ravel().__getitem__) for block in blocks]


def _centred(features: np.ndarray) -> np.ndarray:
    return features - features.mean((1, 2), keepdims=True)


def _normalised(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=0), 1e-6)
