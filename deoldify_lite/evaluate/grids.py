"""Grids of pictures: photos below each other, the methods' predictions side by side."""

import re
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from ..metrics.info import as_text, metric_info
from ..sources import spread
from .evaluation import Evaluation
from .evaluator import MethodScores
from .references import Reference

SPREAD, EXTREMES = 8, 4  # photos in the grid of all methods; best and worst ones of each method
MARGIN, FONT_SIZE, SMALLEST = 6, 15, 192  # pixels: between pictures, of the text, of a picture


@dataclass(frozen=True)
class Grid:
    title: str
    photos: list[Reference]
    columns: list[MethodScores]


def make_grids(evaluation: Evaluation) -> dict[str, tuple[str, Image.Image]]:
    "Title and image of each grid, by file name. The few predictions that are shown are made once more."
    metric = "lpips_alex" if "lpips_alex" in evaluation.ground_truth.image_scores else "psnr"
    grids = choose_grids(evaluation, metric)
    pictures = {}
    for row in evaluation.rows:
        shown = {photo for grid in grids.values() if row in grid.columns for photo in grid.photos}
        shown.intersection_update(row.references)
        predict = row.method.open() if shown else None
        pictures |= {(row, photo): predict(photo, photo.crop(evaluation.protocol.size)) for photo in shown}
    return {f"{name}.png": (grid.title, _draw(grid, pictures, metric)) for name, grid in grids.items()}


def choose_grids(evaluation: Evaluation, metric: str) -> dict[str, Grid]:
    "`grid` of evenly spread photos by all methods; `best-NAME` and `worst-NAME` photos of each method by `metric`."
    gray, truth = evaluation.grayscale, evaluation.ground_truth
    photos = [truth.references[i] for i in spread(SPREAD, len(truth.references))]
    grids = {"grid": Grid("All methods", photos, [gray, *evaluation.methods, truth])}
    info = metric_info(metric)
    for number, row in enumerate(evaluation.methods):
        if not row.references:
            continue
        order = row.image_scores[metric].argsort(descending=info.better == "higher", stable=True)
        ranked = [row.references[i] for i in order]
        few = min(EXTREMES, len(ranked) // 2) or len(ranked)  # so that no photo is both
        name = re.sub(r"[^\w.-]+", "-", row.method.name).strip("-.") or "unnamed"
        name += f"-{number}" if f"best-{name}" in grids else ""
        for kind, photos in (("best", ranked[:few]), ("worst", ranked[::-1][:few])):
            title = f"{row.method.name}: {kind} photos by {info.title}"
            grids[f"{kind}-{name}"] = Grid(title, photos, [gray, row, truth])
    return grids


def _draw(grid: Grid, pictures: dict[tuple[MethodScores, Reference], Image.Image], metric: str) -> Image.Image:
    "A row for each photo, a column for each method; below each picture its score and method, or the photo's name."
    font = ImageFont.load_default(FONT_SIZE)
    side = max(SMALLEST, next(iter(pictures.values())).width)
    width, height = side + MARGIN, side + FONT_SIZE + 2 * MARGIN
    sheet = Image.new("RGB", (len(grid.columns) * width, len(grid.photos) * height), "white")
    for i, row in enumerate(grid.columns):
        for j, photo in enumerate(grid.photos):
            cell, score = Image.new("RGB", (side, height), "white"), "no picture"
            if (row, photo) in pictures:
                cell.paste(pictures[row, photo].resize((side, side)))
                score = as_text(metric, float(row.image_scores[metric][row.references.index(photo)]))
            caption = photo.name if row.method.kind == "ground_truth" else f"{score}  {row.method.name}"
            ImageDraw.Draw(cell).text((0, side + 2), caption, fill="dimgray", font=font)
            sheet.paste(cell, (i * width, j * height))
    return sheet
