"""The comparison page of the docs, made of `metrics.json` files and published scores, and of nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_atomically
from ..metrics.info import as_text
from .tables import Method, markdown_table, notes, score_table

IDENTITY = ("photos_sha256", "sha256", "folder", "render_factor")  # in which a method of two files agrees
PUBLISHED = ("fid", "colorfulness_abs", "colorfulness_abs_gap", "psnr")
BEGIN, END = "<!-- begin: made by {} -->", "<!-- end: made by {} -->"


def write_comparison(page: Path, files: Sequence[Path], published: Path, apart: Sequence[str] = ()) -> None:
    """Write the comparison of `metrics.json` files, and of the scores in `published` (YAML), into a Markdown page.

    Methods whose names are in `apart` are never bold.

    Raises:
        UsageError: a file is missing, or cannot be compared with the others; the page lacks the markers.
    """
    import yaml

    try:
        systems = yaml.safe_load(published.read_text(encoding="utf-8"))
        block = comparison(read_methods(files), systems, apart)
        write_atomically(page, write_between_markers(page.read_text(encoding="utf-8"), block))
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error


def read_methods(files: Sequence[Path]) -> list[Method]:
    """The methods of several `metrics.json`, each once.

    Raises:
        UsageError: a file is no `metrics.json`, the photos or their size differ, or two methods share a name.
    """
    methods: dict[str, Method] = {}
    first = None
    for file in files:
        try:
            metrics = json.loads(file.read_text(encoding="utf-8"))
            truth = next(method for method in metrics["methods"] if method["kind"] == "ground_truth")
            basis = truth["photos_sha256"], metrics["size"], metrics["crop"]
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise UsageError(f"{file}: not a metrics.json of scripts/evaluate.py") from error
        first = first or basis
        if basis != first:
            raise UsageError(f"{file}: about other photos than {files[0]}, or at another size ({basis}, not {first})")
        for method in metrics["methods"]:
            known = methods.setdefault(method["name"], {"size": metrics["size"], "crop": metrics["crop"], **method})
            if any(known.get(what) != method.get(what) for what in IDENTITY):
                raise UsageError(f"{file}: another {method['name']!r} than in a file before; name them differently")
    return list(methods.values())


def comparison(methods: list[Method], published: dict[str, Any], apart: Sequence[str] = ()) -> str:
    "The part of the page between the markers: our table, what it depends on, then the published scores."
    first = methods[0]
    behind = "<br>\n".join(f"{title}: {'; '.join(entries)}." for title, entries in notes(methods).items() if entries)
    return f"""{first["n"]} photos (set {first["photos_sha256"][:12]}): {first["crop"]}, to {first["size"]} pixels.

{score_table(methods, apart)}

{behind}

### Published scores, on other photos

**These rows cannot be ranked against the table above**: they are about {published["photos"]}. Source: \
{published["source"]}. Colourfulness {published["cf"]}. FID: {published["fid"]}.

{published_table(published)}"""


def published_table(published: dict[str, Any]) -> str:
    rows = [[s["name"], str(s["millions"]), *(as_text(k, s[k]) for k in PUBLISHED)] for s in published["systems"]]
    return markdown_table(rows, PUBLISHED, "million weights")


def write_between_markers(page: str, block: str, script: str = "scripts/compare.py") -> str:
    """`page` with `block` in place of what was between the markers of the script that made it.

    Raises:
        UsageError: the page does not have the two markers, in this order.
    """
    begins, ends = BEGIN.format(script), END.format(script)
    before, begin, rest = page.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise UsageError(f"the page has no place for the table: it needs the lines {begins} and {ends}")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"
