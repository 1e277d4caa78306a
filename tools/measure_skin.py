"""How much of the colour of skin weights give to hands, and to the faces in the same photos.

    python tools/measure_skin.py old/ --weights lite

Hands are what a network leaves gray first. docs/skin.yaml says where hands and faces are in photos of DeOldify's
collection (test_images of github.com/jantic/DeOldify). In each such box it measures the mean chroma towards the hue of
skin, in levels of 255: 0 is gray, negative is green or blue. Under a veil of one warm colour hands have colour as well,
so the colour cast, how far the mean chroma of a whole photo is from gray, belongs to the result.
"""

import math
from pathlib import Path
from statistics import mean
from typing import Annotated

import numpy as np
import typer
import yaml
from PIL import Image

from deoldify_lite.cli.common import script
from deoldify_lite.errors import UsageError

BOXES = Path(__file__).parent.parent / "docs" / "skin.yaml"
SIDE = 768  # of a measured picture at most
HUE = math.radians(120)  # of skin, as an angle of Cb and Cr
GRAY = 1 / 3  # a hand with less than this part of its photo's faces' colour is gray

Box = tuple[float, float, float, float]  # left, top, right, bottom, as fractions of width and height


def skin_color(picture: np.ndarray, box: Box) -> float:
    "Mean chroma towards skin's hue, in levels, in a `box` of a YCbCr picture (H, W, 3), uint8."
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    rows = slice(int(top * height), math.ceil(bottom * height))
    columns = slice(int(left * width), math.ceil(right * width))
    _, cb, cr = picture[rows, columns].reshape(-1, 3).mean(0) - 128
    return float(math.cos(HUE) * cb + math.sin(HUE) * cr)


def color_cast(picture: np.ndarray) -> float:
    "How far the mean chroma of a YCbCr picture (H, W, 3), uint8, is from gray, in levels."
    return float(np.hypot(*(picture[..., 1:].reshape(-1, 2).mean(0) - 128)))


def main(
    photos: Annotated[Path, typer.Argument(help="Folder with the photos that the boxes are for.")],
    weights: Annotated[str, typer.Option(help="What colorizes them.")] = "lite",
    boxes: Annotated[Path, typer.Option(help="Where hands and faces are.")] = BOXES,
    each: Annotated[bool, typer.Option("--each", help="Print each photo's, too.")] = False,
) -> None:
    "Print means over all photos: of hands, faces and the whole, and how many hands are gray beside the faces."
    from deoldify_lite import Colorizer

    colorizer, hands, faces, casts, gray, count = Colorizer(weights, precision="float32"), [], [], [], 0, 0
    files = sorted(photos.iterdir())
    for name, places in yaml.safe_load(boxes.read_text(encoding="utf-8")).items():
        file = next((f for f in files if f.name.endswith(name)), None)
        if file is None:
            raise UsageError(f"{photos} has no {name}, which {boxes} is about")
        with Image.open(file) as image:
            image = image.convert("RGB")
        image.thumbnail((SIDE, SIDE))
        picture = np.asarray(colorizer.colorize(image).convert("YCbCr"))
        of_hands, of_faces = ([skin_color(picture, box) for box in places[kind]] for kind in ("hands", "faces"))
        if each:
            typer.echo(f"{name}: hands {', '.join(f'{v:.1f}' for v in of_hands)}; faces {mean(of_faces):.1f}")
        gray += sum(hand < GRAY * mean(of_faces) for hand in of_hands)
        count += len(of_hands)
        hands.append(mean(of_hands))
        faces.append(mean(of_faces))
        casts.append(color_cast(picture))
    typer.echo(
        f"{weights}, {len(hands)} photos: hands {mean(hands):.1f}, faces {mean(faces):.1f}, cast {mean(casts):.1f}; "
        f"{gray} of {count} hands have less than a third of the colour of the faces beside them"
    )


if __name__ == "__main__":
    script(main)
