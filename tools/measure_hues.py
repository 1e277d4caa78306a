"""Which hues pictures have in the dark, in the middle and in the light: their own, or those that weights give them.

    python tools/measure_hues.py photos-valid.tar                                     what is true
    python tools/measure_hues.py photos-valid.tar old/ --weights lite --limit 150     what is predicted

For each source, over pictures of at most 256 x 256 pixels, and for dark, middle and light pixels: the part of their
chroma (the sum of its lengths) that each quarter of the hues has. The hue is the angle of Cb and Cr: 0 degrees is blue,
45 magenta, 90 red, 120 skin, 180 yellow, 225 green, 330 sky.
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
BANDS = {"dark": (0, 64), "middle": (64, 128), "light": (128, 256)}  # of luma
HUES = {"0-90 magenta": (0, 90), "90-180 orange": (90, 180), "180-270 green": (180, 270), "270-360 blue": (270, 360)}


def hue_shares(pictures: list[np.ndarray]) -> dict[str, dict[str, float]]:
    "For each band of luma, the part of the chroma of YCbCr pictures (H, W, 3), uint8, that each range of hues has."
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures]).astype(np.float32)
    luma, cb, cr = pixels[:, 0], pixels[:, 1] - 128, pixels[:, 2] - 128
    chroma, hue = np.hypot(cb, cr), np.degrees(np.arctan2(cr, cb)) % 360
    shares = {}
    for band, (low, high) in BANDS.items():
        inside = (luma >= low) & (luma < high)
        whole = chroma[inside].sum() or 1
        shares[band] = {
            name: float(chroma[inside & (hue >= first) & (hue < last)].sum() / whole)
            for name, (first, last) in HUES.items()
        }
    return shares


def main(
    photos: Annotated[list[Path], typer.Argument(help="Folders, photos or tar archives.")],
    weights: Annotated[str | None, typer.Option(help="Colorize them first, by these.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The first so many of each.")] = 150,
) -> None:
    "Print the shares of each source."
    from deoldify_lite import Colorizer

    colorizer = Colorizer(weights, precision="float32") if weights else None
    for source in photos:
        pictures = []
        for _, found in islice(read_sources(list_sources([source])), limit):
            with Image.open(io.BytesIO(found) if isinstance(found, bytes) else found) as image:
                image = image.convert("RGB")
            image.thumbnail((SIDE, SIDE))
            image = colorizer.colorize(image) if colorizer else image
            pictures.append(np.asarray(image.convert("YCbCr")))
        typer.echo(f"{source}, {weights or 'as they are'}, n = {len(pictures)}")
        for band, shares in hue_shares(pictures).items():
            typer.echo(f"  {band:6s} " + ", ".join(f"{name} {share:.3f}" for name, share in shares.items()))


if __name__ == "__main__":
    script(main)
