"""`log.jsonl` of a run folder: what every stage recorded, a line of JSON for each step."""

import json
import time
from bisect import bisect_left
from operator import itemgetter
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


def append_row(run_folder: Path, stage: str, step: int, metrics: dict[str, float]) -> None:
    "Add what `stage` recorded at `step`; step 0 with no metrics says that the stage begins."
    row = {"stage": stage, "step": step, "time": round(time.time(), 1)} | metrics
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / LOG).open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_logs(run_folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What each stage recorded, a row for each step, in their order.

    Where a stage went back, to a checkpoint or to its beginning, what it did from there counts.
    """
    path, stages = run_folder / LOG, {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:  # a kill cut it off
            continue
        rows = stages.setdefault(row["stage"], [])
        if rows and rows[-1]["step"] == row["step"]:  # recorded in parts
            rows[-1] |= row
        else:
            del rows[bisect_left(rows, row["step"], key=itemgetter("step")) :]
            if row["step"]:  # 0 is but its beginning
                rows.append(row)
    return stages


def read_log(run_folder: Path, stage: str) -> list[dict[str, Any]]:
    "What one stage recorded, as `read_logs` has it."
    return read_logs(run_folder).get(stage, [])
