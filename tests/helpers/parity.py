"""What DeOldify's own networks answer, with weights that a rule makes from each key's name and shape.

The published checkpoints are large and cannot be had everywhere; a checkpoint of the same layout tests the same code.
`fixtures/parity` holds the keys of DeOldify's two generators, inputs, and the outputs of the original network and its
image pipeline; `tools/make_parity_fixtures.py` makes them from recordings of the original.
"""

import ast
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "fixtures" / "parity"
SIZES = ("176x176", "160x224")
PICTURES = tuple(f"rf{factor}_{stage}" for factor in (11, 12) for stage in ("raw", "merged"))


def checkpoint(architecture: str) -> dict[str, Tensor]:
    """A state dict in DeOldify's layout, `architecture` being `deep` (artistic) or `wide` (stable, video).

    He's normal distribution for weights, uniform biases, each drawn from a generator that the key's name seeds;
    spectral norm's vectors by power iteration, weight norm's gains from the weights.
    """
    rows = [line.split("\t") for line in (FOLDER / f"{architecture}_keys.tsv").read_text().splitlines()]
    shapes = {key: ast.literal_eval(shape) for key, shape in rows}
    state = {key: torch.from_numpy(array) for key, shape in shapes.items() if (array := _draw(key, shape)) is not None}
    for key in shapes:
        stem, name = key.rsplit(".", 1)
        if name == "weight_u":
            state[key], state[f"{stem}.weight_v"] = _singular_vectors(state[f"{stem}.weight_orig"].flatten(1))
        elif name == "weight_g":
            state[key] = state[f"{stem}.weight_v"].flatten(1).norm(dim=1).reshape(shapes[key])
    return {key: state[key] for key in shapes}


def _draw(key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    "The numbers of one key; None for those that follow from others."
    random = np.random.default_rng(zlib.crc32(key.encode()))
    match key.rsplit(".", 1)[1]:
        case "num_batches_tracked":
            return np.zeros(shape, np.int64)
        case "gamma":
            values = np.full(shape, 0.7)
        case "running_mean":
            values = random.normal(0, 0.05, shape)
        case "running_var":
            values = random.uniform(0.5, 1.5, shape)
        case "bias":
            values = random.uniform(-0.2, 0.2, shape)
        case "weight" if len(shape) == 1:  # BatchNorm, small where it closes a residual branch
            values = random.uniform(0.6, 1.4, shape) * (0.2 if ".bn2." in key or ".bn3." in key else 1)
        case "weight" | "weight_orig":
            values = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        case "weight_v" if len(shape) > 1:  # of weight norm; spectral norm's is a vector
            values = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        case _:
            return None
    return values.astype(np.float32)


def _singular_vectors(weight: Tensor) -> tuple[Tensor, Tensor]:
    "Thirty steps of power iteration from a fixed vector."
    v = torch.from_numpy(np.random.default_rng(0).normal(size=weight.shape[1])).float()
    for _ in range(30):
        u = torch.nn.functional.normalize(weight @ v, dim=0)
        v = torch.nn.functional.normalize(weight.T @ u, dim=0)
    return u, v


def network_input(size: str) -> Tensor:
    "Noise in place of a normalised photo, (1, 3, H, W)."
    return torch.from_numpy(np.load(FOLDER / f"noise_{size}.npz")["noise"])


def network_output(architecture: str, size: str) -> Tensor:
    "What the original network makes of it: float16, (1, 3, H, W)."
    return torch.from_numpy(np.load(FOLDER / f"{architecture}.npz")[f"output_{size}"])


def photo() -> Image.Image:
    "What the original's pipeline was given."
    return Image.open(FOLDER / "photo.png")


def picture(architecture: str, name: str) -> Image.Image:
    "What that pipeline answered; `PICTURES` lie one below the other in one file."
    with Image.open(FOLDER / f"{architecture}.png") as sheet:
        height = sheet.height // len(PICTURES)
        top = PICTURES.index(name) * height
        return sheet.crop((0, top, sheet.width, top + height))
