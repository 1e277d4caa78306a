"""How well weights colorize what film saw that is less sensitive to red, or to green as well, than the eye.

    python tools/measure_film.py photos-valid.tar --weights lite

Each photo is made gray as panchromatic, orthochromatic and the earliest film would have it (`training.degradation`).
What is compared with the photo's own colours is the prediction's chroma: its root mean square error in levels of 255,
and its colour, the mean distance from gray.
"""

import io
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from deoldify_lite.cli.common import script
from deoldify_lite.sources import list_sources, read_sources

SIDE = 256


def on_film(photo: np.ndarray, weights: tuple[float, float, float]) -> Image.Image:
    "A photo, RGB (H, W, 3), uint8, as film with such a sensitivity to red, green and blue has it (mode L)."
    seen = photo @ (np.array(weights) / sum(weights))
    return Image.fromarray(seen.round().astype(np.uint8))


def chroma(image: Image.Image) -> np.ndarray:
    "Cb and Cr (H, W, 2), in levels from gray."
    return np.asarray(image.convert("YCbCr"), np.float64)[..., 1:] - 128


def main(
    photos: Annotated[list[Path], typer.Argument(help="Folders, photos or tar archives.")],
    weights: Annotated[str, typer.Option(help="What colorizes them.")] = "lite",
    limit: Annotated[int, typer.Option(min=1, help="The first so many photos.")] = 120,
) -> None:
    "Print both for each kind of film, means over the photos."
    from deoldify_lite import Colorizer
    from deoldify_lite.training.degradation import FILMS

    colorizer = Colorizer(weights, precision="float32")
    errors, colors = [], []
    for _, found in islice(read_sources(list_sources(photos)), limit):
        with Image.open(io.BytesIO(found) if isinstance(found, bytes) else found) as image:
            image = image.convert("RGB")
        image.thumbnail((SIDE, SIDE))
        predicted = [chroma(colorizer.colorize(on_film(np.asarray(image), film))) for film in FILMS.values()]
        errors.append([np.sqrt(((each - chroma(image)) ** 2).sum(-1).mean()) for each in predicted])
        colors.append([np.linalg.norm(each, axis=-1).mean() for each in predicted])
    for film, error, color in zip(FILMS, np.mean(errors, 0), np.mean(colors, 0)):
        typer.echo(f"{weights}, {film} film, n = {len(errors)}: error {error:.2f}, colour {color:.2f}")


if __name__ == "__main__":
    script(main)
