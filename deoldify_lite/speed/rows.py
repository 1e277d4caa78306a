"What was measured, and tables of it for people and programs."

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from ..errors import DeoldifyError
from ..files import write_atomically


class MeasurementFailed(DeoldifyError, RuntimeError):
    "What was to be measured did not work. The message says why."


@dataclass
class Row:
    """One line of a table: the same thing measured some times.

    title: what the lines of one table have in common.
    about: the settings that the figure depends on.
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
    "Seconds by the clock, seconds of processor time on all cores of this process, and what `work` gave."
    began, began_processor = time.perf_counter(), time.process_time()
    made = work()
    return time.perf_counter() - began, time.process_time() - began_processor, made


def ratio_row(title: str, what: str, above: list[float], below: list[float], **more: Any) -> Row:
    "How many times `above` is `below`, which were measured in turns: the ratio of medians; spread over the turns."
    middle = statistics.median(above) / statistics.median(below)
    return Row(title, what, "x", [a / b for a, b in zip(above, below)], middle=middle, **more)


def table(rows: Iterable[Row]) -> str:
    "Rows under their titles: what, median, unit, smallest and largest, number of measurements."
    blocks = []
    for title, group in groupby(rows, lambda row: row.title):
        lines = [
            [
                row.what,
                number(row.middle),
                row.unit,
                " - ".join(map(number, row.spread)),
                str(len(row.values)),
                row.note,
            ]
            for row in group
        ]
        lines.insert(0, ["", "median", "", "min - max", "n", ""])
        widths = [max(map(len, column)) for column in zip(*lines)]
        sides = (str.ljust, str.rjust, str.ljust, str.rjust, str.rjust, str.ljust)
        body = ("  ".join(side(cell, w) for side, cell, w in zip(sides, line, widths)).rstrip() for line in lines)
        blocks.append("\n".join([title, *(f"  {line}" for line in body)]))
    return "\n\n".join(blocks)


def number(value: float) -> str:
    "Three digits, which is more than such measurements are good for."
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_json(path: Path, about: dict[str, Any], rows: Iterable[Row]) -> None:
    "All measurements and what they depend on, atomically."
    entries = [asdict(row) | {"n": len(row.values), "min": min(row.values), "max": max(row.values)} for row in rows]
    for entry in entries:
        entry["median"] = entry.pop("middle")
    write_atomically(path, json.dumps(about | {"rows": entries}, indent=1) + "\n")
