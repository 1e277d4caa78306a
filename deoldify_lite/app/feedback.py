"""The visitors' ratings: one line of JSON each, summed up by `deoldify-lite feedback`."""

import json
import math
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import UsageError
from ..files import atomic_path, sha256

if TYPE_CHECKING:  # the summary needs no torch
    from .service import Colorized

VERDICTS = ("good", "poor")
MAX_REMARK = 1000
FILE_NAME = "feedback.jsonl"


def save(folder: Path, result: "Colorized", verdict: str, remark: str = "", with_photo: bool = False) -> None:
    """Append one line to `feedback.jsonl` in `folder`; with `with_photo`, keep a copy of the upload beside it.

    The line has the time, the result's id, verdict and remark, the model with the hash of its weights, the settings and
    the photo's size, but not the photo's name, nor anything about the visitor.

    Raises:
        UsageError: an unknown verdict.
        OSError: the folder cannot be written to, or the photo has been deleted.
    """
    if verdict not in VERDICTS:
        raise UsageError(f"the verdict is one of {', '.join(VERDICTS)}")
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "result": result.id,
        "verdict": verdict,
        "remark": "".join(c for c in " ".join(remark.split()) if c.isprintable())[:MAX_REMARK],
        "model": result.settings.model,
        "sha256": result.weights,
        "strength": result.settings.strength,
        "render_factor": result.settings.render_factor,
        "size": list(result.size),
        "version": __version__,
        "photo": _copy_photo(folder / "photos", result.upload).name if with_photo else None,
    }
    _append(folder / FILE_NAME, json.dumps(line, ensure_ascii=False))


def _append(path: Path, line: str) -> None:
    "Append a line by one call to `write`, so that lines of several threads never mix."
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, f"{line}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def _copy_photo(folder: Path, upload: Path) -> Path:
    "Copy the photo into the folder under a name that follows from its content, so that there is one copy of it."
    copy = folder / (sha256(upload)[:16] + upload.suffix.lower())
    if not copy.exists():
        with atomic_path(copy) as temporary:
            shutil.copyfile(upload, temporary)
    return copy


def read(path: Path) -> tuple[list[dict], int]:
    "The last rating of each result, in order of time, and the number of damaged lines, which are left out."
    by_result, damaged = {}, 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            if line["verdict"] not in VERDICTS:
                raise ValueError(line["verdict"])
            by_result.pop(line["result"], None)
            by_result[line["result"]] = line
        except (ValueError, KeyError, TypeError):
            damaged += bool(text.strip())
    return list(by_result.values()), damaged


def summary(lines: Iterable[dict]) -> Iterator[str]:
    "A table of the ratings by weights and settings, then the remarks."
    lines = list(lines)
    groups = defaultdict(list)
    for line in lines:
        settings = (line.get(key) for key in ("model", "sha256", "render_factor", "strength"))
        groups[tuple(map(str, settings))].append(line["verdict"] == "good")
    row = "{:<16} {:<12} {:>13} {:>8} {:>8} {:>5} {:>14}".format
    yield row("model", "sha256", "render factor", "strength", "results", "good", "95 % interval")
    for settings, verdicts in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        good = sum(verdicts) / len(verdicts)
        low, high = wilson(sum(verdicts), len(verdicts))
        yield row(*settings, len(verdicts), f"{good:.0%}", f"{low:.0%} to {high:.0%}")
    for line in lines:
        if line.get("remark"):
            kept = f" (photos/{line['photo']})" if line.get("photo") else ""
            yield f"{line.get('time', '')[:10]} {line.get('model')} {line['verdict']}: {line['remark']}{kept}"


def wilson(good: int, n: int, z: float = 1.96) -> tuple[float, float]:
    "The 95 % confidence interval of the fraction of good results (Wilson 1927)."
    middle = (good + z * z / 2) / (n + z * z)
    half = z * math.sqrt(good * (n - good) / n + z * z / 4) / (n + z * z)
    return max(0.0, middle - half), min(1.0, middle + half)
