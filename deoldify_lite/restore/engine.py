"""A restorer ready to run: a photo in; out, a mask of its damage and what lies under it."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..device import autocast, pick_device, pick_precision, tune_allocator
from ..errors import UsageError
from ..files import atomic_path
from ..modeling.fold import fold
from ..modeling.restorer import HOLE, STRIDE, widen
from ..modeling.weights import default_threshold, load_restorer
from ..photo import BadPhoto, ColorPixels, Photo
from .tone import apply_curve, tone_curve, tone_points

TILE = 1536  # side of the part of a photo that one pass of the network gives, in pixels
MARGIN = 192  # what it sees around it: farther pixels do not change what it gives, by tests/restore/test_engine.py


@dataclass
class Restoration:
    """What a restorer found in a photo.

    mask: (H, W), uint8: 0 undamaged, 255 damaged; at the edges of damage between.
    fill: (H, W), of the photo's type: the luma that lies under the mask. Elsewhere 0.
    """

    mask: np.ndarray
    fill: np.ndarray


class RestorationEngine:
    """Runs a restorer. `preprocess`, `predict` and `merge` are the steps, as `colorize.engine.Engine` has them, so that
    `colorize.pipeline` does folders. Safe to share between threads, which take turns in the network.

    Args:
        weights: a name or a path, as `load_restorer` takes it.
        device: auto, cpu, cuda, mps, ...
        precision: auto, float32, bfloat16 or float16.
        tone: whether fading is removed, too.
        threshold: the probability from which a pixel is damaged; None: that of the weights.
        mask: luma of a mask (H, W), uint8, in place of what the network finds: white is damage.
        save_mask: whether `save_beside` writes masks.
    """

    needs_source = False
    takes_hints = None  # nor knows what they are

    def __init__(
        self,
        weights: str | Path = "restore",
        device: str = "auto",
        precision: str = "auto",
        *,
        tone: bool = True,
        threshold: float | None = None,
        mask: np.ndarray | None = None,
        save_mask: bool = False,
    ):
        self.device = pick_device(device)
        self.precision = pick_precision(self.device, precision)
        if self.device.type == "cpu":
            tune_allocator()
        if threshold is not None and not 0 < threshold < 1:
            raise UsageError(f"threshold is a probability between 0 and 1, not {threshold:g}")
        network = load_restorer(weights, self.device)
        self.restorer = fold(network, lambda n, x: torch.cat(n(x[:, :1]), 1)).to(memory_format=torch.channels_last)
        self.threshold = default_threshold(weights) if threshold is None else threshold
        self.tone, self.mask, self.save_mask = tone, mask, save_mask
        self.lock = threading.Lock()  # the memory of one tile at a time

    def preprocess(self, photo: Photo, render_factor: int | None = None) -> Image.Image:
        "The photo as the network's input: its luma, whole (mode L or I;16)."
        return Image.fromarray(photo.luma)

    def predict(self, inputs: Sequence[Image.Image]) -> list[Restoration]:
        """What was found in some photos.

        Raises:
            BadPhoto: as `find`.
        """
        return [self.find(np.asarray(image), self.mask) for image in inputs]

    def find(self, luma: np.ndarray, mask: np.ndarray | None = None) -> Restoration:
        """What was found in luma (H, W), uint8 or uint16; with a `mask` (H, W), uint8, that is taken for damage.

        Raises:
            BadPhoto: the mask has another size, or the network's output is not finite.
        """
        if mask is not None and mask.shape != luma.shape:
            sizes = ["{1} x {0}".format(*array.shape) for array in (mask, luma)]
            raise BadPhoto(f"the mask is of {sizes[0]} pixels and the photo of {sizes[1]}: they must be of one size")
        result = Restoration(np.zeros(luma.shape, np.uint8) if mask is None else mask, np.zeros_like(luma))
        for inside, outside in tiles(luma.shape):
            if mask is not None and not mask[inside].any():
                continue
            part = luma[outside].astype(np.float32) / np.iinfo(luma.dtype).max
            if mask is not None:
                part = np.where(mask[outside] > 0, np.float32(HOLE), part)
            with self.lock:
                alpha, fill = self._tile(torch.from_numpy(part)[None, None])
            within = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inside, outside))
            if mask is None:
                result.mask[inside] = alpha[within]
            covered = result.mask[inside] > 0
            white = np.iinfo(luma.dtype).max
            result.fill[inside][covered] = np.rint(fill[within][covered].clip(0, 1) * white)
        return result

    @torch.inference_mode()
    def _tile(self, luma: Tensor) -> tuple[np.ndarray, np.ndarray]:
        "Opacity of the fill (H, W), uint8, and the fill, float32, of luma (1, 1, H, W) in [0, 1]."
        with autocast(self.device, self.precision):
            logit, fill = self.restorer(luma.to(self.device))
        if not (torch.isfinite(logit).all() and torch.isfinite(fill).all()):
            raise BadPhoto(f"the network's output is not finite in {self.precision}; try --precision float32")
        alpha = opacity(torch.sigmoid(logit), self.threshold)
        return (alpha * 255).round().byte()[0, 0].cpu().numpy(), fill[0, 0].cpu().numpy()

    def merge(
        self, photo: Photo, prediction: Restoration, strength: float = 1.0, for_jpeg: bool = False
    ) -> ColorPixels:
        "The restored photo: RGB (H, W, 3) in its own depth, all channels equal; `for_jpeg` an image (mode L)."
        luma = self.restored(photo, prediction, strength).luma
        if for_jpeg and luma.dtype == np.uint8:
            return Image.fromarray(luma)
        return np.repeat(luma[..., None], 3, 2)

    def restored(self, photo: Photo, prediction: Restoration, strength: float = 1.0) -> Photo:
        """The photo with its damage filled in and its tone corrected; `strength` from 0 to 1 is how much of both.

        Pixels outside of the mask change by the curve of tone alone.
        """
        luma = photo.luma.copy()
        for inside, _ in tiles(luma.shape):
            covered = prediction.mask[inside] > 0
            alpha = prediction.mask[inside][covered].astype(np.float32) / 255 * strength
            old, new = luma[inside][covered].astype(np.float32), prediction.fill[inside][covered].astype(np.float32)
            luma[inside][covered] = np.rint(old + (new - old) * alpha)
        if self.tone:
            luma = apply_curve(luma, tone_curve(*tone_points(luma), strength))
        damaged = float((prediction.mask > 0).mean())
        photo.notes.append(f"{damaged:.2%} of its pixels were filled in")
        return replace(photo, luma=luma, source=None)

    def restore_first(self, photo: Photo) -> Photo:
        "The photo as it is: it will be restored, and once is enough."
        return photo

    def save_beside(self, prediction: Restoration, output: Path) -> None:
        "The mask as a PNG beside the result, where that was asked for."
        if self.save_mask:
            with atomic_path(mask_path(output)) as temporary:
                Image.fromarray(prediction.mask).save(temporary, "PNG")


def mask_path(output: Path) -> Path:
    "Where the mask of a result is saved: beside it, `photo.mask.png`."
    return output.with_name(output.stem + ".mask.png")


def tiles(shape: tuple[int, int]) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    "Rows and columns of each tile of a photo (H, W), and the same with what the network sees around it."
    rows, columns = (
        [
            (slice(start, min(start + TILE, side)), slice(max(0, start - MARGIN), min(side, start + TILE + MARGIN)))
            for start in range(0, side, TILE)
        ]
        for side in shape
    )
    for row in rows:
        for column in columns:
            yield (row[0], column[0]), (row[1], column[1])


def opacity(chance: Tensor, threshold: float) -> Tensor:
    """How much of the fill is seen (N, 1, H, W), from the probability of damage: 0 where that is below the threshold
    and no neighbour's is above; 1 inside of damage; between at its edges."""
    widened = (widen(chance) > threshold).float()
    inner = F.avg_pool2d(widened, 3, 1, 1, count_include_pad=False)
    return widened * inner


assert TILE % STRIDE == MARGIN % STRIDE == 0  # else a tile's squares of pixels would not be the photo's
