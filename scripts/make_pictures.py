"""Make the pictures of README and docs from the sample photos, with the weights in the package.

python scripts/make_pictures.py
"""

from pathlib import Path

from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.files import atomic_path
from deoldify_lite.samples import sample_photos

DOCS = Path(__file__).parent.parent / "docs"
HEIGHT = 300


def main() -> None:
    colorizer = Colorizer()
    rows = []
    for path in sample_photos().values():
        image = Image.open(path)
        image = image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS)
        grey = image.convert("L")
        rows.append([grey.convert("RGB"), colorizer.colorize(grey)])
    sheet = Image.new("RGB", (sum(row[0].width for row in rows), 2 * HEIGHT))
    x = 0
    for before, after in rows:
        sheet.paste(before, (x, 0))
        sheet.paste(after, (x, HEIGHT))
        x += before.width
    with atomic_path(DOCS / "before_after.jpg") as temporary:
        sheet.save(temporary, "JPEG", quality=88)


if __name__ == "__main__":
    main()
