"""A restorer ready to run: a photo in; out, a mask of its damage, by the network, and what is filled in there."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..colorize.folder import MASK_SUFFIX
from ..device import autocast, pick_device, pick_precision, tune_allocator
from ..errors import UsageError
from ..files import atomic_path
from ..modeling.fold import fold
from ..modeling.restorer import STRIDE, widen
from ..modeling.weights import default_threshold, load_restorer
from ..photo import BadPhoto, ColorPixels, Photo
from .filling import fill_smoothly
from .tone import apply_curve, tone_curve, tone_points

TILE = 1024  # side of the part of a photo that one pass of the network gives, in pixels
LARGE = 1200  # pixels; photos with a longer short side are looked at in half their size first
SMALLEST = 64  # likewise, where a wide mask is given
DEEP = 12  # pixels from the edge of a given mask, within which the photo's own pixels tell what to fill in
MARGIN = 128  # what it sees around it: farther pixels change less than rounding does, by tests/restore/test_engine.py


@dataclass
class Restoration:
    """What a restorer found in a photo.

    mask: (H, W), uint8: 0 undamaged, 255 damaged; at the edges of damage between.
    fill: (H, W), of the photo's type: the luma that is filled in under the mask. Elsewhere 0.
    """

    mask: np.ndarray
    fill: np.ndarray

    def enlarged(self, shape: tuple[int, int], part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        "Opacity and fill (h, w), float32 in [0, 1], of a part of a photo (H, W) of which this is a copy's."
        scale = [small / side for small, side in zip(self.mask.shape, shape)]
        rows, columns = (slice(p.start, p.stop) for p in part)
        box = (columns.start * scale[1], rows.start * scale[0], columns.stop * scale[1], rows.stop * scale[0])
        size = (columns.stop - columns.start, rows.stop - rows.start)
        top, left = (max(0, int(edge) - 2) for edge in (box[1], box[0]))
        bottom, right = int(box[3]) + 3, int(box[2]) + 3
        box = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        mask, fill = (plane[top:bottom, left:right].astype(np.float32) for plane in (self.mask, self.fill))
        mask /= 255
        # The fill is known under the mask alone: weighted by it, and the weight taken out again.
        planes = (mask, mask * fill / np.iinfo(self.fill.dtype).max)
        mask, fill = (
            np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR, box=box)) for plane in planes
        )
        return mask, fill / np.maximum(mask, 1e-3)


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
        self.max_pages = None if mask is None else 1  # of a file: a mask is for one picture
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

        Of a large photo the network sees a copy of half its size first, and so on down: what is wide in a large scan is
        as thin there as in the photos that it was trained on. What was found in the copy is filled in before the photo
        itself is looked at. Of a wide given mask likewise the copy gives the inside, and the photo the edge.

        Raises:
            BadPhoto: the mask has another size, or the network's output is not finite.
        """
        if mask is not None and mask.shape != luma.shape:
            sizes = ["{1} x {0}".format(*array.shape) for array in (mask, luma)]
            raise BadPhoto(f"the mask is of {sizes[0]} pixels and the photo of {sizes[1]}: they must be of one size")
        coarse = self._find_in_half(luma, mask)
        white = np.iinfo(luma.dtype).max
        result = Restoration(np.zeros(luma.shape, np.uint8), np.zeros_like(luma))
        for inside, outside in tiles(luma.shape):
            known = luma[outside].astype(np.float32) / white
            covered = np.zeros_like(known)  # how much of it is filled in already
            given = None if mask is None else mask[outside] > 0
            if given is not None and not given.any():
                continue
            seen = known
            if coarse is not None:
                covered, fill = coarse.enlarged(luma.shape, outside)
                if given is not None:
                    covered = np.where(_deep(given), np.float32(1), np.float32(0))
                seen = known + (fill - known) * covered
            alpha = self._opacity(seen) if given is None else (given & (covered == 0)).astype(np.float32)
            final = seen
            if alpha.any():
                fill = fill_smoothly(
                    *(torch.from_numpy(np.ascontiguousarray(x))[None, None] for x in (seen, alpha > 0))
                )
                final = seen + (fill[0, 0].numpy() - seen) * alpha  # both fills, one over the other, as one
            total = 1 - (1 - alpha) * (1 - covered)
            within = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inside, outside))
            total, final, known = total[within], final[within], known[within]
            opacity_levels = np.rint(total * 255).astype(np.uint8)
            damaged = opacity_levels > 0
            exact = opacity_levels[damaged] / np.float32(255)
            under = known[damaged] + (final[damaged] - known[damaged]) / exact
            result.mask[inside] = opacity_levels
            result.fill[inside][damaged] = np.rint(under.clip(0, 1) * white)
        return result

    def _find_in_half(self, luma: np.ndarray, mask: np.ndarray | None) -> "Restoration | None":
        "What was found in a copy of half the size; None where the photo itself will do."
        shortest = min(luma.shape)
        if shortest <= (LARGE if mask is None else SMALLEST) or (mask is not None and not _deep(mask > 0).any()):
            return None
        half = tuple(side // 2 for side in luma.shape[::-1])
        smaller = np.asarray(Image.fromarray(luma).resize(half, Image.Resampling.BOX))
        if mask is not None:  # a place is given if any pixel of it is
            mask = np.asarray(Image.fromarray(mask).resize(half, Image.Resampling.BOX))
            mask = np.where(mask > 0, np.uint8(255), np.uint8(0))
        return self.find(smaller, mask)

    @torch.inference_mode()
    def _opacity(self, luma: np.ndarray) -> np.ndarray:
        "How much of the fill is seen (H, W), float32 in [0, 1], by what the network finds in luma (H, W) in [0, 1]."
        x = torch.from_numpy(np.ascontiguousarray(luma))[None, None].to(self.device)
        with self.lock, autocast(self.device, self.precision):
            logit, _ = self.restorer(x)
        if not torch.isfinite(logit).all():
            raise BadPhoto(f"the network's output is not finite in {self.precision}; try --precision float32")
        return opacity(torch.sigmoid(logit), self.threshold)[0, 0].cpu().numpy()

    def merge(
        self, photo: Photo, prediction: Restoration, strength: float = 1.0, for_jpeg: bool = False
    ) -> ColorPixels:
        "The restored photo: RGB (H, W, 3) in its own depth, all channels equal; `for_jpeg` an image (mode L)."
        return gray_pixels(self.restored(photo, prediction, strength), for_jpeg)

    def restored(
        self, photo: Photo, prediction: Restoration, strength: float = 1.0, *, tone: bool | None = None
    ) -> Photo:
        """The photo with its damage filled in and its tone corrected; `strength` from 0 to 1 is how much of both.

        Pixels outside of the mask change by the curve of tone alone. `tone`: whether by that; None as this engine does.
        """
        luma = fill_in(photo.luma, prediction, strength)
        if self.tone if tone is None else tone:
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


def fill_in(luma: np.ndarray, prediction: Restoration, strength: float = 1.0) -> np.ndarray:
    "A copy of luma (H, W) in which what lies under the mask is filled in; `strength` from 0 to 1 is how much of it."
    luma = luma.copy()
    for inside, _ in tiles(luma.shape):
        covered = prediction.mask[inside] > 0
        alpha = prediction.mask[inside][covered].astype(np.float32) / 255 * strength
        old, new = luma[inside][covered].astype(np.float32), prediction.fill[inside][covered].astype(np.float32)
        luma[inside][covered] = np.rint(old + (new - old) * alpha)
    return luma


def gray_pixels(photo: Photo, for_jpeg: bool = False) -> ColorPixels:
    "RGB (H, W, 3) of a photo's luma, in its own depth, all channels equal; `for_jpeg` an image (mode L) if 8 bit."
    if for_jpeg and photo.luma.dtype == np.uint8:
        return Image.fromarray(photo.luma)
    return np.repeat(photo.luma[..., None], 3, 2)


def mask_path(output: Path) -> Path:
    "Where the mask of a result is saved: beside it, of `photo.jpg` as `photo.jpg.mask.png`."
    return output.with_name(output.name + MASK_SUFFIX)


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


def _deep(mask: np.ndarray) -> np.ndarray:
    "The pixels (H, W), bool, of a mask that are farther than `DEEP` from its edge."
    outside = torch.from_numpy(~mask)[None, None].float()
    near = F.max_pool2d(F.max_pool2d(outside, (2 * DEEP + 1, 1), 1, (DEEP, 0)), (1, 2 * DEEP + 1), 1, (0, DEEP))
    return (near == 0)[0, 0].numpy()


def opacity(chance: Tensor, threshold: float) -> Tensor:
    """How much of the fill is seen (N, 1, H, W), from the probability of damage: 0 where that is below the threshold
    and no neighbour's is above; 1 inside of damage; between at its edges."""
    widened = (widen(chance) > threshold).float()
    inner = F.avg_pool2d(widened, 3, 1, 1, count_include_pad=False)
    return widened * inner


assert TILE % STRIDE == MARGIN % STRIDE == 0  # else a tile's squares of pixels would not be the photo's
