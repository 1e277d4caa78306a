"What was measured, and tables of it for people and programs."

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from deoldify_lite.errors import DeoldifyError
from deoldify_lite.files import write_atomically


class BenchmarkFailed(DeoldifyError):
    "What was to be measured did not work. The message says why."


@dataclass
class Result:
    """One line of a table: the same thing measured several times.

    title: what the lines of one table have in common.
    about: the settings that the value depends on.
    middle: the median of the values, unless something else stands for them, say the ratio of two medians.
    """

    title: str
    what: str
    unit: str
    values: list[float]
    note: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    middle: float | None = None

    def __post_init__(self):
        if self.middle is None:
            self.middle = statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    "Wall-clock seconds, processor seconds on all cores of this process, and what `work` returned."
    began, began_processor = time.perf_counter(), time.process_time()
    returned = work()
    return time.perf_counter() - began, time.process_time() - began_processor, returned


def ratio(title: str, what: str, above: list[float], below: list[float], **more: Any) -> Result:
    "`above` divided by `below`, which were measured alternately: the ratio of medians; spread over the pairs."
    middle = statistics.median(above) / statistics.median(below)
    return Result(title, what, "x", [a / b for a, b in zip(above, below)], middle=middle, **more)


def table(results: Iterable[Result]) -> str:
    "Results under their titles: what, median, unit, smallest and largest, number of measurements."
    blocks = []
    for title, group in groupby(results, lambda result: result.title):
        lines = [["", "median", "", "min - max", "n", ""]]
        for r in group:
            spread = " - ".join(map(number, r.spread))
            lines.append([r.what, number(r.middle), r.unit, spread, str(len(r.values)), r.note])
        widths = [max(map(len, column)) for column in zip(*lines)]
        sides = (str.ljust, str.rjust, str.ljust, str.rjust, str.rjust, str.ljust)
        body = ("  ".join(side(cell, w) for side, cell, w in zip(sides, line, widths)).rstrip() for line in lines)
        blocks.append("\n".join([title, *(f"  {line}" for line in body)]))
    return "\n\n".join(blocks)


def number(value: float) -> str:
    "Three digits, which is more than such measurements are good for."
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_json(path: Path, about: dict[str, Any], results: Iterable[Result]) -> None:
    """All measurements and what they depend on, atomically.

    Raises:
        BenchmarkFailed: the file cannot be written.
    """
    entries = [asdict(r) | {"n": len(r.values), "min": min(r.values), "max": max(r.values)} for r in results]
    for entry in entries:
        entry["median"] = entry.pop("middle")
    try:
        write_atomically(path, json.dumps(about | {"results": entries}, indent=1) + "\n")
    except OSError as error:
        raise BenchmarkFailed(f"{path}: {error.strerror}") from error
