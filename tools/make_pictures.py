"""Make the docs' pictures from photos that come with libraries.

python tools/make_pictures.py                         before_after.jpg and options.jpg, by the weights in the package
python tools/make_pictures.py --card lite             lite/photos.jpg of the model card (pip install scikit-image)
python tools/make_pictures.py --hints                 hints*.jpg of docs/hints.md (pip install scikit-image gradio)
python tools/make_pictures.py --compare NAME=WEIGHTS --compare NAME=WEIGHTS     comparison.jpg
python tools/make_pictures.py --address http://localhost:8000/    web.jpg, a screenshot of the site of deoldify-lite web
"""

import io
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw

from deoldify_lite import Colorizer
from deoldify_lite.cli.common import script
from deoldify_lite.evaluate.methods import split_name
from deoldify_lite.files import write_atomically
from deoldify_lite.photo.sheet import sheet
from deoldify_lite.samples import sample_photos, write_samples

DOCS = Path(__file__).parent.parent / "docs"


def main(
    docs: Annotated[Path, typer.Option(help="Folder to write to.")] = DOCS,
    compare: Annotated[
        list[str] | None, typer.Option(metavar="NAME=WEIGHTS", help="Instead, put these generators side by side.")
    ] = None,
    render_factor: Annotated[int | None, typer.Option(help="Of those among them that are files.")] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Instead, a screenshot of the site that is served there (pip install playwright)."),
    ] = None,
    card: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead, the picture of this one's model card.")
    ] = None,
    hints: Annotated[bool, typer.Option("--hints", help="Instead, the pictures of hints and variants.")] = False,
) -> None:
    "Write pictures, and print where they are."
    if hints:
        colorizer = Colorizer()
        write(docs / "hints.jpg", with_hints(colorizer))
        write(docs / "hints_like.jpg", like_others(colorizer))
        write(docs / "hints_variants.jpg", variants(colorizer))
        return
    if address:
        write(docs / "web.jpg", of_site(address))
        return
    if card:
        write(docs / card / "photos.jpg", of_model_card(card))
        return
    truth = [Image.open(path).convert("RGB") for path in sample_photos().values()]
    grey = [photo.convert("L") for photo in truth]
    if compare:
        write(docs / "comparison.jpg", side_by_side(dict(map(split_name, compare)), render_factor, grey, truth))
        return
    colorizer = Colorizer()
    colour = colorize(colorizer, grey)
    rows = {"the input": grey, "what deoldify-lite colorize makes of it": colour, "as it was taken": truth}
    write(docs / "before_after.jpg", sheet(rows, height=240))
    write(docs / "options.jpg", options(colorizer, colour, grey))


def of_site(address: str) -> Image.Image:
    "The site in Chromium with the samples, one of them half in colour."
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 760})
        page.set_default_timeout(600_000)
        page.goto(address)
        page.wait_for_selector("#backend:not(:empty)")
        page.set_input_files("#files", write_samples(Path(folder)))
        page.wait_for_selector("#download-all:visible")
        box = page.locator("#stage").bounding_box()  # how long it took on this machine stands below it
        shot = page.screenshot(clip={"x": 0, "y": 0, "width": 900, "height": box["y"] + box["height"] + 16})
        browser.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def of_model_card(weights: str) -> Image.Image:
    "What a generator makes of photos in which there are things that it knows and things that it does not."
    from skimage import data

    taken = (data.astronaut, data.coffee, data.cat, data.rocket, data.retina)
    truth = [Image.fromarray(photo()).convert("RGB") for photo in taken]
    grey = [photo.convert("L") for photo in truth]
    rows = {"the input": grey, f"what {weights} makes of it": colorize(Colorizer(weights), grey)}
    return sheet(rows | {"as it was taken": truth}, height=150)


HINTS = {  # of the sample photos, one after the other
    "grace_hopper.jpg": [(440, 60, "#3a5fa8"), (60, 180, "#1c2f6e"), (250, 250, "#d8a080")],
    "china.jpg": [(200, 300, "#8c3020"), (520, 330, "#4f7a35"), (430, 40, "#8fb8e0")],
    "flower.jpg": [(330, 190, "#d02060"), (90, 250, "#1f5a2a"), (375, 410, "#e0c020")],
}


def with_hints(colorizer: Colorizer) -> Image.Image:
    "The sample photos with no hint, one, two and three, which are shown as rings."
    rows = {}
    for count, name in enumerate(("without hints", "one hint", "two hints", "three hints")):
        rows[name] = []
        for photo, hints in HINTS.items():
            image = colorizer.colorize(Image.open(sample_photos()[photo]).convert("L"), hints=hints[:count])
            draw = ImageDraw.Draw(image)
            for x, y, color in hints[:count]:
                draw.circle((x, y), 12, color, "white", 3)
            rows[name].append(image)
    return sheet(rows, height=190)


def like_others(colorizer: Colorizer) -> Image.Image:
    "Photos, references for them, and what becomes of the photos: another pose, another scene, and the same scene."
    from importlib.util import find_spec

    from skimage import data

    media = Path(find_spec("gradio").origin).parent / "media_assets/images"
    left, right, _ = data.stereo_motorcycle()
    pairs = [
        (Image.open(sample_photos()["grace_hopper.jpg"]), Image.fromarray(data.astronaut())),
        (Image.open(media / "cheetah1.jpg"), Image.open(media / "cheetah.jpg")),
        (Image.fromarray(left), Image.fromarray(right)),
    ]
    photos = [photo.convert("RGB") for photo, _ in pairs]
    references = [reference.convert("RGB") for _, reference in pairs]
    grey = [photo.convert("L") for photo in photos]
    rows = {
        "without a reference": colorize(colorizer, grey),
        "the reference": references,
        "with it": [colorizer.colorize(photo, like=reference) for photo, reference in zip(grey, references)],
        "as it was taken": photos,
    }
    return sheet(rows, height=190)


def variants(colorizer: Colorizer) -> Image.Image:
    "Four answers for each of some photos."
    from skimage import data

    photos = [Image.fromarray(photo()).convert("L") for photo in (data.astronaut, data.cat)]
    photos += [Image.open(path).convert("L") for path in sample_photos().values()]
    columns = [colorizer.colorize_variants(photo, 4) for photo in photos]
    return sheet({f"NAME_{i}": row for i, row in enumerate(map(list, zip(*columns)), 1)}, height=150)


def side_by_side(
    weights: dict[str, str], render_factor: int | None, grey: list[Image.Image], truth: list[Image.Image]
) -> Image.Image:
    "What generators, by name, make of photos."
    rows = {"the input": grey}
    for name, file in weights.items():
        factor = render_factor if Path(file).is_file() else None
        rows[name] = colorize(Colorizer(file, render_factor=factor), grey)
    return sheet(rows | {"as it was taken": truth}, height=110)


def options(colorizer: Colorizer, colour: list[Image.Image], grey: list[Image.Image]) -> Image.Image:
    "What render factor and strength do; `colour` is what `colorizer` makes of `grey` without being told."
    rows = {
        "--render-factor 4": colorize(Colorizer(render_factor=4), grey),
        "by default: by its size, --strength 1": colour,
        "--render-factor 32": colorize(Colorizer(render_factor=32), grey),
    }
    for strength in (0.6, 1.5):
        rows[f"--strength {strength}"] = colorize(colorizer, grey, strength)
    return sheet(rows, height=130)


def colorize(colorizer: Colorizer, photos: list[Image.Image], strength: float = 1.0) -> list[Image.Image]:
    return [colorizer.colorize(photo, strength=strength) for photo in photos]


def write(path: Path, picture: Image.Image) -> None:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=84)
    write_atomically(path, file.getvalue())
    typer.echo(path)


if __name__ == "__main__":
    script(main)
