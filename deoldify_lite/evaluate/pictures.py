"""Which photos are shown, what every subject makes of them, and grids of it as PNG."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..files import atomic_path
from ..sources import spread
from .evaluation import Evaluation
from .figures import figure, text
from .scores import Judged
from .truths import Truth

SHOWN, EXTREMES = 8, 4  # photos in the grid; best and worst ones of each subject


@dataclass(frozen=True)
class Gallery:
    """Pictures to look at.

    ranked_by: the figure by which a subject's photos are good or bad.
    shown: photos for the grid, spread over all.
    best, worst: photos by subject's name, the best and the worst first; none for the photos themselves and their grey.
    pictures: by subject's name and photo.
    """

    ranked_by: str
    shown: list[Truth]
    best: dict[str, list[Truth]]
    worst: dict[str, list[Truth]]
    pictures: dict[tuple[str, Truth], Image.Image]


def make_gallery(evaluation: Evaluation) -> Gallery:
    "Choose photos and make their pictures once more; only those few are kept in memory."
    truths = evaluation.photos.truths
    ranked_by = "lpips_alex" if "lpips_alex" in evaluation.photos.of_photos else "psnr"
    shown = [truths[i] for i in spread(SHOWN, len(truths))]
    best, worst = {}, {}
    for judged in evaluation.contenders:
        ranked = rank(judged, ranked_by)
        few = min(EXTREMES, len(ranked) // 2) or len(ranked)  # so that none is both
        best[judged.subject.name], worst[judged.subject.name] = ranked[:few], ranked[::-1][:few]
    pictures = {}
    needed = {truth for some in (shown, *best.values(), *worst.values()) for truth in some}
    squares = {truth: truth.square(evaluation.protocol.size) for truth in needed}
    for judged in evaluation.judged:
        name = judged.subject.name
        if judged.subject.kind in ("photos", "grey"):
            wanted = needed
        else:
            wanted = {*shown, *best[name], *worst[name]}.intersection(judged.truths)
        paint = judged.subject.open() if wanted else None
        pictures |= {(name, truth): paint(truth, squares[truth]) for truth in wanted}
    return Gallery(ranked_by, shown, best, worst, pictures)


def rank(judged: Judged, by: str) -> list[Truth]:
    "A subject's photos, the best first."
    if not judged.truths:
        return []
    order = judged.of_photos[by].argsort(descending=figure(by).better == "higher", stable=True)
    return [judged.truths[i] for i in order]


def write_grids(evaluation: Evaluation, gallery: Gallery, folder: Path) -> list[Path]:
    """Photos below each other, what the subjects make of them side by side: `grid.png` of all subjects, and for each
    but grey `best-NAME.png` and `worst-NAME.png`. Returns their paths."""
    everyone = [evaluation.grey, *evaluation.contenders, evaluation.photos]
    grids = {"grid": _grid(gallery, gallery.shown, everyone)}
    names = file_names(judged.subject.name for judged in evaluation.contenders)
    for judged, name in zip(evaluation.contenders, names):
        for kind, photos in (("best", gallery.best), ("worst", gallery.worst)):
            if truths := photos[judged.subject.name]:
                columns = [evaluation.grey, judged, evaluation.photos]
                grids[f"{kind}-{name}"] = _grid(gallery, truths, columns)
    paths = [folder / f"{name}.png" for name in grids]
    for path, grid in zip(paths, grids.values()):
        with atomic_path(path) as temporary:
            grid.save(temporary, "PNG")
    return paths


def file_names(names: Iterable[str]) -> list[str]:
    "Subjects' names as parts of files', none twice."
    plain: list[str] = []
    for name in names:
        base = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"
        numbered = (f"{base}-{n}" for n in count(2))
        plain.append(base if base not in plain else next(n for n in numbered if n not in plain))
    return plain


MARGIN, LETTERS, SMALLEST = 6, 15, 192  # pixels: between pictures, of the text, of a picture


def _grid(gallery: Gallery, truths: list[Truth], columns: list[Judged]) -> Image.Image:
    "One row a photo, one column a subject; each picture with its own figure below it."
    font = ImageFont.load_default(LETTERS)
    side = max(SMALLEST, next(iter(gallery.pictures.values())).width)
    line = LETTERS + MARGIN
    row = side + line + MARGIN
    sheet = Image.new("RGB", (MARGIN + len(columns) * (side + MARGIN), line + MARGIN + len(truths) * row), "white")
    draw = ImageDraw.Draw(sheet)
    for x, judged in zip(range(MARGIN, sheet.width, side + MARGIN), columns):
        draw.text((x, MARGIN), _fitting(judged.subject.name, font, side), fill="black", font=font)
        for y, truth in zip(range(line + MARGIN, sheet.height, row), truths):
            if (judged.subject.name, truth) not in gallery.pictures:
                draw.text((x, y), "no picture", fill="grey", font=font)
                continue
            sheet.paste(gallery.pictures[judged.subject.name, truth].resize((side, side)), (x, y))
            below = truth.name
            if judged.subject.kind != "photos":
                value = judged.own_figures(truth)[gallery.ranked_by]
                below = f"{figure(gallery.ranked_by).title} {text(gallery.ranked_by, value)}"
            draw.text((x, y + side + 2), _fitting(below, font, side), fill="dimgrey", font=font)
    return sheet


def _fitting(words: str, font, width: int) -> str:
    "The end of a text that is too long for its place: names differ there."
    return words if font.getlength(words) <= width else _fitting(f"...{words.removeprefix('...')[1:]}", font, width)
