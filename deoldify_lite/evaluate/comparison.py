"""Tables in Markdown, made of `metrics.json` files and of nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .figures import arrow, best, figure, text

COLUMNS = (
    "lpips_alex",
    "psnr",
    "ssim",
    "ab_histogram",
    "colourfulness",
    "colourfulness_gap",
    "inception_score",
    "fid",
    "fd_vgg16",
    "kid_vgg16",
)
IDENTITY = ("photos_sha256", "sha256", "folder", "render_factor")  # in which a subject of two files agrees
PUBLISHED_COLUMNS = ("fid", "colourfulness_abs", "colourfulness_abs_gap", "psnr")
BEGIN, END = "<!-- begin: made by scripts/{}.py -->", "<!-- end: made by scripts/{}.py -->"


class NotComparable(UsageError):
    "Files that cannot make one table. The message says which and why."


def read_subjects(files: list[Path]) -> list[dict[str, Any]]:
    """What was judged, out of several `metrics.json`, each subject once.

    Raises:
        NotComparable: a file is no `metrics.json`, the photos or their size differ, or two subjects share a name.
    """
    subjects: dict[str, dict[str, Any]] = {}
    first: dict[str, Any] = {}
    for file in files:
        try:
            metrics = json.loads(file.read_text(encoding="utf-8"))
            truth = next(subject for subject in metrics["subjects"] if subject["kind"] == "photos")
            judged_on = {"photos": truth["photos_sha256"], "size": metrics["size"], "crop": metrics["crop"]}
        except OSError as error:
            raise NotComparable(f"{file}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise NotComparable(f"{file}: not a metrics.json of scripts/evaluate.py") from error
        first = first or judged_on
        if other := [what for what in first if judged_on[what] != first[what]]:
            raise NotComparable(
                f"{file}: judged on other photos than {files[0]}, or at another size "
                f"({other[0]} {judged_on[other[0]]} instead of {first[other[0]]})"
            )
        for subject in metrics["subjects"]:
            subject = {"size": metrics["size"], "crop": metrics["crop"], **subject}
            known = subjects.setdefault(subject["name"], subject)
            if any(known.get(what) != subject.get(what) for what in IDENTITY):
                raise NotComparable(f"{file}: another {subject['name']!r} than in a file before; name them differently")
    return list(subjects.values())


def figures_table(subjects: list[dict[str, Any]], apart: Sequence[str] = ()) -> str:
    """The figures of subjects as they stand in `metrics.json`; grey comes first, the photos themselves last.

    The best of each column is bold. Who was judged on fewer photos than the others says so, and does not compete, nor
    do those whose names are in `apart`.
    """
    subjects = sorted(subjects, key=lambda subject: {"grey": 0, "photos": 2}.get(subject["kind"], 1))
    there = {name for subject in subjects for name in subject["figures"] if _value(subject, name) is not None}
    others = sorted(name for name in there.difference(COLUMNS) if name.startswith(("fd_", "kid_")))
    names = [name for name in (*COLUMNS, *others) if name in there]
    total = max(subject["n"] for subject in subjects)
    judged = [subject for subject in subjects if subject["kind"] not in ("grey", "photos")]
    rivals = [subject for subject in judged if subject["n"] == total and subject["name"] not in apart]
    winners = {name: best(name, (_value(rival, name) for rival in rivals)) for name in names}

    def label(subject: dict[str, Any]) -> str:
        return subject["name"] if subject["n"] == total else f"{subject['name']} ({subject['n']} of {total} photos)"

    def cell(subject: dict[str, Any], name: str) -> str:
        value = _value(subject, name)
        is_best = subject in rivals and value is not None and value == winners[name]
        return f"**{text(name, value)}**" if is_best else text(name, value)

    return markdown_table([[label(subject), *(cell(subject, name) for name in names)] for subject in subjects], names)


def published_table(subjects: list[dict[str, Any]], published: dict[str, Any]) -> str:
    "Our figures and published ones in the columns that both have, each row with the photos that it is about."
    ours = [
        [
            subject["name"],
            f"ours, {subject['n']}",
            _millions(subject),
            *(text(name, _value(subject, name)) for name in PUBLISHED_COLUMNS),
        ]
        for subject in subjects
        if subject["kind"] != "photos"
    ]
    theirs = [
        [
            system["name"],
            published["short"],
            str(system["millions"]),
            *(text(name, system[name]) for name in PUBLISHED_COLUMNS),
        ]
        for system in published["systems"]
    ]
    return markdown_table(ours + theirs, PUBLISHED_COLUMNS, "photos", "million weights")


def _millions(subject: dict[str, Any]) -> str:
    return f"{subject['parameters'] / 1e6:.0f}" if "parameters" in subject else "-"


def markdown_table(rows: list[list[str]], names: Sequence[str], *more: str) -> str:
    "A Markdown table. Each row: a name, then the columns `more`, then one for each of the figures `names`."
    head = ["", *more, *(figure(name).title + arrow(name) for name in names)]
    lines = [head, ["---"] * (1 + len(more)) + ["---:"] * len(names), *rows]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines)


def _value(subject: dict[str, Any], name: str) -> float | None:
    value = subject["figures"].get(name, {}).get("value")
    return None if value is None else float(value)  # "Infinity" is a float in words


def comparison(subjects: list[dict[str, Any]], published: dict[str, Any], apart: Sequence[str] = ()) -> str:
    "What stands between the markers of the docs page: our table, what it depends on, then the published figures."
    first = subjects[0]
    side = first["size"]
    return "\n\n".join(
        [
            f"{first['n']} photos (set {first['photos_sha256'][:12]}): {first['crop']}, to {side} x {side}.",
            figures_table(subjects, apart),
            _small_print(subjects),
            "### Beside published figures",
            "**Rows about different photos cannot be ranked against each other.** Ours are about the photos above, the "
            f"others about {published['photos']}. Source: {published['source']}. Colourfulness {published['cf']}. FID, "
            f"there: {published['fid']}.",
            published_table(subjects, published),
        ]
    )


def _small_print(subjects: list[dict[str, Any]]) -> str:
    "Weights, networks and versions behind the figures, each once."
    weights = [
        f"{s['name']} {s['sha256'][:12]} (render factor {s['render_factor']}, {s['precision']}, {s['device']})"
        for s in subjects
        if s["kind"] == "generator"
    ]
    behind = [value["depends_on"] for s in subjects for value in s["figures"].values() if value["value"] is not None]
    networks = {f"{d['network']} ({d['network_sha256'][:12]})": None for d in behind if "network" in d}
    versions = {f"{name} {number}": None for d in behind for name, number in d["versions"].items()}
    lines = {"Weights, by SHA-256": weights, "Feature networks": networks, "Versions": versions}
    return "\n".join(f"{title}: {'; '.join(entries)}.<br>" for title, entries in lines.items() if entries)


def write_between_markers(page: str, block: str, script: str = "compare") -> str:
    """`page` with `block` in the place of what was between the markers of the script that made it.

    Raises:
        NotComparable: the page does not have the two markers, in this order.
    """
    begins, ends = BEGIN.format(script), END.format(script)
    before, begin, rest = page.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise NotComparable(f"the page has no place for the table: it needs the lines {begins} and {ends}")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"
