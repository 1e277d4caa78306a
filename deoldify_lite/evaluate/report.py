"""`report.html`: table, plots and pictures in one file that needs nothing from elsewhere. Its form: `report.jinja`."""

import base64
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

from PIL import Image

from .evaluation import Evaluation
from .figures import arrow, best, figure, text
from .pictures import Gallery
from .plots import draw_plots
from .scores import Judged, versions
from .truths import CROP, Truth


def report(evaluation: Evaluation, gallery: Gallery) -> str:
    "The report as HTML: plain elements, inline pictures, no script."
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    rows = (*evaluation.contenders, evaluation.grey, evaluation.photos)
    names = [
        name for name in evaluation.names if any(evaluation.value(judged, name).value is not None for judged in rows)
    ]
    everyone = (evaluation.grey, *evaluation.contenders, evaluation.photos)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"figure": figure, "arrow": arrow}
    return environment.get_template("report.jinja").render(
        evaluation=evaluation,
        crop=CROP,
        versions=versions(),
        names=names,
        rows=[_row(evaluation, judged, names) for judged in rows],
        absent=_absent(evaluation, names),
        plots={title: _inline("image/svg+xml", svg.encode()) for title, svg in draw_plots(evaluation).items()},
        ranked_by=gallery.ranked_by,
        shown=[_pictures(gallery, truth, everyone) for truth in gallery.shown],
        extremes=[
            (judged.subject.name, kind, [_pictures(gallery, truth, (judged, evaluation.photos)) for truth in truths])
            for judged in evaluation.contenders
            for kind, ranked in (("Best", gallery.best), ("Worst", gallery.worst))
            if (truths := ranked[judged.subject.name])
        ],
    )


def _row(evaluation: Evaluation, judged: Judged, names: list[str]) -> dict[str, Any]:
    "A subject's line of the table: each cell with whether it is the best of those that compete."
    rivals = [other for other in evaluation.contenders if evaluation.is_complete(other)]
    cells = []
    for name in names:
        value = evaluation.value(judged, name).value
        winner = best(name, (evaluation.value(rival, name).value for rival in rivals))
        cells.append((text(name, value), judged in rivals and winner is not None and value == winner))
    return {
        "name": judged.subject.name,
        "n": len(judged.truths),
        "apart": judged not in evaluation.contenders,
        "cells": cells,
    }


def _absent(evaluation: Evaluation, names: list[str]) -> dict[str, list[str]]:
    "Titles of the figures that could not be had, by reason."
    absent = defaultdict(list)
    for name in evaluation.names:
        if name not in names:
            absent[evaluation.value(evaluation.photos, name).reason].append(figure(name).title)
    return absent


def _pictures(gallery: Gallery, truth: Truth, columns: tuple[Judged, ...]) -> list[dict[str, Any]]:
    "What the subjects make of a photo, each with the figures that it has by itself."
    return [
        {
            "name": judged.subject.name,
            "photo": truth.name,
            "is_truth": judged.subject.kind == "photos",
            "figures": {name: text(name, value) for name, value in judged.own_figures(truth).items()},
            "src": _inline("image/jpeg", _jpeg(picture)),
        }
        if (picture := gallery.pictures.get((judged.subject.name, truth)))
        else {"name": judged.subject.name, "photo": truth.name, "src": None}
        for judged in columns
    ]


def _inline(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg(picture: Image.Image) -> bytes:
    "Colour in full resolution, as that is what is looked at."
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, subsampling=0)
    return file.getvalue()
