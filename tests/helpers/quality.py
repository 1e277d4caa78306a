"""How good generators are on a few photos that packages bring along, to compare with values recorded before."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deoldify_lite import Colorizer, color
from deoldify_lite.metrics.image import Lpips, colorfulness
from deoldify_lite.samples import sample_photos

RECORDS = Path(__file__).parents[1] / "fixtures" / "quality.json"
MORE = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")  # scikit-image's
LARGEST = 384  # pixels of the longer side
COLORFUL = 0.05  # chroma, of 0.5 at most, from which on a pixel has a hue worth comparing


def photos() -> dict[str, Path]:
    folder = Path(find_spec("skimage").origin).parent / "data"
    return sample_photos() | {name: folder / name for name in MORE}


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


def colorized(name: str) -> list[tuple[Tensor, Tensor]]:
    "Results of the generator `name` and ground truths: RGB (1, 3, H, W) in [0, 1]."
    colorizer = Colorizer(name, "cpu", "float32")
    pairs = []
    for path in photos().values():
        with Image.open(path) as image:
            truth = image.convert("RGB")
        truth.thumbnail((LARGEST, LARGEST))
        pairs.append((_to_tensor(colorizer.colorize(truth.convert("L"))), _to_tensor(truth)))
    return pairs


def hue_error(result: Tensor, truth: Tensor) -> float:
    "Mean angle in degrees between the chroma of two pictures, where the ground truth has colour."
    ours, theirs = color.chroma(result), color.chroma(truth)
    colorful = theirs.norm(dim=1) > COLORFUL
    (cb, cr), (cb_truth, cr_truth) = ours.unbind(1), theirs.unbind(1)
    angle = torch.atan2(cr, cb) - torch.atan2(cr_truth, cb_truth)
    return float(torch.rad2deg(torch.atan2(angle.sin(), angle.cos()).abs())[colorful].mean())


def chroma_psnr(result: Tensor, truth: Tensor) -> float:
    "PSNR of chroma in dB."
    return float(-10 * (color.chroma(result) - color.chroma(truth)).square().mean().log10())


def measure(pairs: list[tuple[Tensor, Tensor]], lpips: Lpips | None = None) -> dict[str, float]:
    "Means over all photos; LPIPS where its network is given."
    rows = []
    for result, truth in pairs:
        row = {
            "chroma_psnr": chroma_psnr(result, truth),
            "hue_error": hue_error(result, truth),
            "colorfulness": float(colorfulness(result)),
        }
        if lpips:
            with torch.inference_mode():
                row["lpips"] = float(lpips(result, truth))
        rows.append(row)
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def recorded() -> dict[str, dict[str, float]]:
    return json.loads(RECORDS.read_text())
