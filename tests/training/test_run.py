"""What a run folder remembers: the log of its stages, and how long they took."""

import json

import pytest

from deoldify_lite.training import stage as stage_module
from deoldify_lite.training.errors import WrongCheckpoint
from deoldify_lite.training.log import read_log, read_logs


def write_log(folder, *rows, torn=""):
    lines = [json.dumps({"stage": stage, "step": step} | metrics) for stage, step, metrics in rows]
    (folder / "log.jsonl").write_text("".join(line + "\n" for line in lines) + torn)


def test_a_log_has_a_row_for_each_step_of_each_stage(tmp_path):
    write_log(tmp_path, ("a", 1, {"x": 1}), ("b", 1, {"x": 2}), ("a", 5, {"x": 3}), ("a", 5, {"y": 4}))
    assert read_logs(tmp_path) == {
        "a": [{"stage": "a", "step": 1, "x": 1}, {"stage": "a", "step": 5, "x": 3, "y": 4}],
        "b": [{"stage": "b", "step": 1, "x": 2}],
    }
    assert read_log(tmp_path, "b") == read_logs(tmp_path)["b"]
    assert read_log(tmp_path, "c") == []


def test_what_a_stage_did_again_counts_and_nothing_after_it(tmp_path):
    """... and a line that a kill cut off is left out."""
    steps = [(1, {"x": 1}), (4, {"x": 2}), (7, {"x": 3}), (4, {"y": 4}), (5, {"y": 5})]
    write_log(tmp_path, *(("a", *step) for step in steps), torn='{"stage": "a", "step": 6, "lo')
    metrics = [{k: v for k, v in row.items() if k != "stage"} for row in read_log(tmp_path, "a")]
    assert metrics == [{"step": 1, "x": 1}, {"step": 4, "y": 4}, {"step": 5, "y": 5}]


def test_of_a_stage_that_began_anew_nothing_is_left(tmp_path):
    """... also where it records at other steps than before."""
    steps = [(5, {"x": 1}), (10, {"x": 2}), (0, {}), (20, {"x": 3})]
    write_log(tmp_path, ("b", 3, {"x": 0}), *(("a", *step) for step in steps))
    assert [row["step"] for row in read_log(tmp_path, "a")] == [20]
    assert [row["step"] for row in read_log(tmp_path, "b")] == [3]


def test_no_log_no_rows(tmp_path):
    assert read_logs(tmp_path) == {}


@pytest.fixture
def now(monkeypatch):
    """The time by the stages' clock, to be moved on."""
    now = [100.0]
    monkeypatch.setattr(stage_module.time, "monotonic", lambda: now[0])
    return now


def test_the_seconds_of_a_stage_are_those_of_all_its_sittings(run, now):
    """... but neither preparations, nor the time between, nor work after the last checkpoint, which is done again."""
    first = run.stage("a", {"lr": 1})
    assert first.resume() == {}
    now[0] += 5
    first.begin()
    now[0] += 30
    first.save(step=3)
    now[0] += 1000
    second = run.stage("a", {"lr": 1})
    second.first_step = second.resume()["step"]
    now[0] += 5
    second.begin()
    now[0] += 10
    assert second.throughput(80) == {"samples_seen": 80, "seconds": 40.0, "samples_per_second": 2.0}
    assert (run.folder / "log.jsonl").read_text().count('"step": 0') == 1, "it began once"
    with pytest.raises(WrongCheckpoint, match="lr was 1 and is now 2"):
        run.stage("a", {"lr": 2}).resume()
