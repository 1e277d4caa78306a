"""What an evaluation leaves behind: `metrics.json`, picture grids, `report.html`."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from ..files import write_atomically
from .evaluation import Evaluation, measure_of
from .figures import figure
from .pictures import make_gallery, write_grids
from .report import report
from .scores import Judged, versions
from .truths import CROP, Truth


def write_all(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    "Write `metrics.json`, the grids and `report.html` into `folder`. Returns what is in the first."
    metrics = as_json(evaluation)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    gallery = make_gallery(evaluation)
    write_grids(evaluation, gallery, folder)
    write_atomically(folder / "report.html", report(evaluation, gallery))
    return metrics


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """All of it, for `metrics.json`. Each figure carries what it depends on.

    Infinity, which JSON has no number for, is the string "Infinity"; a figure that could not be had is null, with the
    reason beside it.
    """
    protocol = evaluation.protocol
    shared = {
        "protocol": protocol.name,
        "size": protocol.size,
        "crop": CROP,
        "device": evaluation.device,
        "versions": versions(),
    }
    return {
        "n": len(evaluation.photos.truths),
        **shared,
        "limit": protocol.limit,
        "missing": evaluation.missing,
        "problems": evaluation.problems,
        "figures": {name: vars(figure(name)) for name in evaluation.names},
        "subjects": [_subject(evaluation, judged, shared) for judged in evaluation.judged],
    }


def _subject(evaluation: Evaluation, judged: Judged, shared: dict[str, Any]) -> dict[str, Any]:
    about = judged.subject.about | {"n": len(judged.truths), "photos_sha256": _hash_of(judged.truths)}
    figures = {name: _figure(evaluation, judged, name, shared | about) for name in evaluation.names}
    return {"name": judged.subject.name, "kind": judged.subject.kind, **about, "figures": figures}


def _hash_of(truths: list[Truth]) -> str:
    "Names a set of photos by their content, whatever their names and order."
    return hashlib.sha256("".join(sorted(truth.sha256 for truth in truths)).encode()).hexdigest()


def _figure(evaluation: Evaluation, judged: Judged, name: str, depends_on: dict[str, Any]) -> dict[str, Any]:
    value = evaluation.value(judged, name)
    told = {"value": "Infinity" if value.value == math.inf else value.value}
    told |= {k: v for k, v in vars(value).items() if k != "value" and v}  # only what there is to tell
    network = next((measure.about for measure in evaluation.measures if measure.name == measure_of(name)), {})
    return told | {"depends_on": depends_on | network}
