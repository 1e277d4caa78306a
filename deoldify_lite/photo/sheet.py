"Images side by side on one sheet, to compare them."

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN, TEXT = 4, 14  # pixels: between images, and of the names


def sheet(rows: Mapping[str, Sequence[Image.Image]], height: int = 160) -> Image.Image:
    "Rows of images, all scaled to `height` pixels, each with its name above it."
    scaled = {name: [_scaled(image, height) for image in images] for name, images in rows.items()}
    step = TEXT + height + 3 * MARGIN
    width = max(sum(p.width + MARGIN for p in images) for images in scaled.values())
    page = Image.new("RGB", (width + MARGIN, step * len(rows)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for i, (name, images) in enumerate(scaled.items()):
        x, y = MARGIN, i * step + MARGIN
        draw.text((x, y), name, "black", font)
        for image in images:
            page.paste(image, (x, y + TEXT + MARGIN))
            x += image.width + MARGIN
    return page


def _scaled(image: Image.Image, height: int) -> Image.Image:
    return image.convert("RGB").resize(
        (max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS, reducing_gap=3
    )
