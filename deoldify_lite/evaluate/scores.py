"""Score a colorizer against photos whose colours are known."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from .. import color
from ..colorize.colorizer import Colorizer
from ..photo import BadPhoto, read_rgb
from ..sources import list_sources, read_sources
from .metrics import Lpips, Vgg16Features, colourfulness, frechet_distance, psnr


def read_truth(paths: Iterable[Path], size: int) -> Iterable[Image.Image]:
    """The middle square of every photo under `paths`, `size` pixels wide; broken photos are left out."""
    for _, file in read_sources(list_sources(paths)):
        try:
            photo = read_rgb(file, size)
        except BadPhoto:
            continue
        yield ImageOps.fit(photo, (size, size), Image.Resampling.LANCZOS)


class Judge:
    """Scores colorizers on the same photos, given in colour and all of one size.

    Raises:
        WeightsUnavailable: VGG16 or AlexNet cannot be had here.
    """

    def __init__(self, truths: Iterable[Image.Image]):
        self.truths = list(truths)
        self.lpips, self.vgg = Lpips(), Vgg16Features()
        features, colours = [], []
        for image in tqdm(self.truths, desc="truth", unit="photo", disable=None):
            rgb = _tensor(image)
            features.append(self._features(rgb))
            colours.append(colourfulness(rgb))
        self.features, self.colourfulness = torch.cat(features), float(torch.cat(colours).mean())

    @torch.inference_mode()
    def _features(self, rgb: Tensor) -> Tensor:
        return self.vgg(color.normalize(rgb))

    @torch.inference_mode()
    def score(self, colorizer: Colorizer | None) -> dict[str, float]:
        """PSNR, LPIPS, colourfulness and its gap, and the Frechet distance of VGG16 features.

        The photos' greys (BT.601 luma) are colorized in full: network, gamut, the input's luma. `None` scores the grey
        itself. The colourfulness gap is the difference of the means over all photos.
        """
        rows: dict[str, list[Tensor]] = {k: [] for k in ("psnr", "lpips", "colourfulness", "features")}
        for image in tqdm(self.truths, unit="photo", disable=None):
            grey = image.convert("L")
            ours = _tensor(grey.convert("RGB") if colorizer is None else colorizer.colorize(grey))
            truth = _tensor(image)
            rows["psnr"].append(psnr(ours, truth))
            rows["lpips"].append(self.lpips(ours, truth))
            rows["colourfulness"].append(colourfulness(ours))
            rows["features"].append(self._features(ours))
        found = {k: torch.cat(v) for k, v in rows.items()}
        ours = float(found["colourfulness"].mean())
        return {
            "photos": len(self.truths),
            "psnr": round(float(found["psnr"].mean()), 3),
            "lpips_alex": round(float(found["lpips"].mean()), 4),
            "colourfulness": round(ours, 2),
            "colourfulness_truth": round(self.colourfulness, 2),
            "colourfulness_gap": round(abs(self.colourfulness - ours), 2),
            "fd_vgg16": round(frechet_distance(found["features"], self.features), 3),
        }


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def file_hash(path: Path) -> str:
    """The first twelve digits of a file's SHA-256, to say which weights a figure belongs to."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
