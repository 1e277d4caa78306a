"""Make the README's pictures from the sample photos, with the weights in the package.

python scripts/make_pictures.py                 into docs/
python scripts/make_pictures.py --docs FOLDER
"""

import io
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.cli import script
from deoldify_lite.files import write_atomically
from deoldify_lite.photo.sheet import sheet
from deoldify_lite.samples import sample_photos

DOCS = Path(__file__).parent.parent / "docs"


def main(docs: Annotated[Path, typer.Option(help="Folder to write to.")] = DOCS) -> None:
    "Write before_after.jpg and options.jpg, and print where they are."
    truth = [Image.open(path).convert("RGB") for path in sample_photos().values()]
    grey = [photo.convert("L") for photo in truth]
    colorizer = Colorizer()
    colour = colorize(colorizer, grey)
    rows = {"the input": grey, "what deoldify-lite colorize makes of it": colour, "as it was taken": truth}
    write(docs / "before_after.jpg", sheet(rows, height=240))

    rows = {}
    for factor in (4, 16, 32):
        rows[f"--render-factor {factor}"] = colorize(Colorizer(render_factor=factor), grey)
        if factor == 4:
            rows[f"by default: --render-factor {colorizer.render_factor} --strength 1"] = colour
    for strength in (0.6, 1.5):
        rows[f"--strength {strength}"] = colorize(colorizer, grey, strength)
    write(docs / "options.jpg", sheet(rows, height=130))


def colorize(colorizer: Colorizer, photos: list[Image.Image], strength: float = 1.0) -> list[Image.Image]:
    return [colorizer.colorize(photo, strength=strength) for photo in photos]


def write(path: Path, picture: Image.Image) -> None:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    write_atomically(path, file.getvalue())
    typer.echo(path)


if __name__ == "__main__":
    script(main)
