"""What an evaluation writes: `metrics.json`, picture grids and `report.html`."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from ..files import atomic_path, write_atomically
from ..metrics.info import metric_info
from .evaluation import Evaluation, measurement_of
from .evaluator import MethodScores, versions
from .grids import make_grids
from .references import CROP
from .report import report


def write_all(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    "Write `metrics.json`, the grids and `report.html` into `folder`. Returns the content of the first."
    metrics = as_json(evaluation)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    grids = make_grids(evaluation)
    for name, (_, image) in grids.items():
        with atomic_path(folder / name) as temporary:
            image.save(temporary, "PNG")
    write_atomically(folder / "report.html", report(metrics, grids.values()))
    return metrics


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The content of `metrics.json`. Each score carries what it depends on.

    Infinity, which JSON has no number for, is the string "Infinity"; a score that is not available is null, with the
    reason beside it.
    """
    protocol = evaluation.protocol
    common = {"protocol": protocol.name, "size": protocol.size, "crop": CROP}
    common |= {"device": evaluation.device, "versions": versions()}
    return {
        "n": len(evaluation.ground_truth.references),
        **common,
        "limit": protocol.limit,
        "missing": evaluation.missing,
        "problems": evaluation.problems,
        "metrics": {name: metric_info(name)._asdict() for name in evaluation.metrics},
        "methods": [_method(evaluation, row, common) for row in evaluation.rows],
    }


def _method(evaluation: Evaluation, row: MethodScores, common: dict[str, Any]) -> dict[str, Any]:
    contents = sorted(reference.sha256 for reference in row.references)  # whatever the photos' names and order
    photos_sha256 = hashlib.sha256("".join(contents).encode()).hexdigest()
    about = row.method.about | {"n": len(contents), "photos_sha256": photos_sha256}
    networks = {m.name: m.about for m in evaluation.measurements}
    scores = {}
    for name in evaluation.metrics:
        score = vars(evaluation.score(row, name))
        scores[name] = {"value": "Infinity" if score["value"] == math.inf else score["value"]}
        scores[name] |= {k: v for k, v in score.items() if k != "value" and v}
        scores[name]["depends_on"] = common | about | networks.get(measurement_of(name), {})
    return {"name": row.method.name, "kind": row.method.kind, **about, "scores": scores}
