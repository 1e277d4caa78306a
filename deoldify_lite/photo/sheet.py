"Pictures side by side on one sheet, to compare them."

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN, TEXT = 4, 14  # pixels: between pictures, and of the names


def sheet(rows: Mapping[str, Sequence[Image.Image]], height: int = 160) -> Image.Image:
    "Named rows of pictures, all scaled to `height` pixels; the name of each row stands above it."
    scaled = {name: [_scaled(picture, height) for picture in pictures] for name, pictures in rows.items()}
    step = TEXT + height + 3 * MARGIN
    width = max(sum(p.width + MARGIN for p in pictures) for pictures in scaled.values())
    page = Image.new("RGB", (width + MARGIN, step * len(rows)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for i, (name, pictures) in enumerate(scaled.items()):
        x, y = MARGIN, i * step + MARGIN
        draw.text((x, y), name, "black", font)
        for picture in pictures:
            page.paste(picture, (x, y + TEXT + MARGIN))
            x += picture.width + MARGIN
    return page


def _scaled(picture: Image.Image, height: int) -> Image.Image:
    return picture.convert("RGB").resize(
        (max(1, round(picture.width * height / picture.height)), height), Image.Resampling.LANCZOS, reducing_gap=3
    )
