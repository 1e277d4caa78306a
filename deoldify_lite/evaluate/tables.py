"""Tables of scores, from the `methods` of `metrics.json`."""

from collections.abc import Sequence
from typing import Any

from ..metrics.info import as_text, best, title

COLUMNS = ("lpips_alex", "psnr", "ssim", "ab_histogram", "colorfulness", "colorfulness_gap", "colorfulness_abs")
COLUMNS += ("colorfulness_abs_gap", "inception_score", "fid", "fd_vgg16", "kid_vgg16")
Method = dict[str, Any]


def value(method: Method, metric: str) -> float | None:
    number = method["scores"].get(metric, {}).get("value")
    return None if number is None else float(number)  # "Infinity" is a float in words


def score_rows(methods: list[Method], metrics: Sequence[str], apart: Sequence[str] = ()) -> list[list[str]]:
    """A row for each method, the grayscale input first, the ground truth last: its name, then a cell for each metric.

    The best of a column is in Markdown's bold. Neither those two compete for it, nor methods with fewer photos than
    others (their rows say so) or with names in `apart`.
    """
    total = max(method["n"] for method in methods)
    rivals = [
        m for m in methods if m["kind"] in ("generator", "results") and m["n"] == total and m["name"] not in apart
    ]
    winners = {name: best(name, (value(rival, name) for rival in rivals)) for name in metrics}
    rows = []
    for method in sorted(methods, key=lambda method: {"grayscale": 0, "ground_truth": 2}.get(method["kind"], 1)):
        rows.append([method["name"] + ("" if method["n"] == total else f" ({method['n']} of {total} photos)")])
        for name, winner in winners.items():
            number = value(method, name)
            text = as_text(name, number)
            rows[-1].append(f"**{text}**" if method in rivals and number is not None and number == winner else text)
    return rows


def score_table(methods: list[Method], apart: Sequence[str] = ()) -> str:
    "The scores as a Markdown table: `COLUMNS` and distances of further networks, as far as they are available."
    there = {name for method in methods for name in method["scores"] if value(method, name) is not None}
    others = sorted(name for name in there.difference(COLUMNS) if name.startswith(("fd_", "kid_")))
    metrics = [name for name in (*COLUMNS, *others) if name in there]
    return markdown_table(score_rows(methods, metrics, apart), metrics)


def markdown_table(rows: list[list[str]], metrics: Sequence[str], *more: str) -> str:
    "A Markdown table. Each row: a name, then the columns `more`, then one for each of the metrics."
    head = ["", *more, *map(title, metrics)]
    lines = [head, ["---"] * (1 + len(more)) + ["---:"] * len(metrics), *rows]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines)


def notes(methods: list[Method]) -> dict[str, list[str]]:
    "What is behind the scores, each once: weights, feature networks and versions."
    weights = [
        f"{m['name']} {m['sha256'][:12]} (render factor {m['render_factor']}, {m['precision']}, {m['device']})"
        for m in methods
        if m["kind"] == "generator"
    ]
    behind = [score["depends_on"] for m in methods for score in m["scores"].values() if score["value"] is not None]
    networks = {f"{d['network']} ({d['network_sha256'][:12]})": None for d in behind if "network" in d}
    versions = {f"{name} {number}": None for d in behind for name, number in d["versions"].items()}
    return {"Weights, by SHA-256": weights, "Feature networks": list(networks), "Versions": list(versions)}
