"""What TensorBoard shows of a run, read back by TensorBoard itself."""

import inspect
import io
import json
import time
from functools import partialmethod

import numpy as np
import pytest
from PIL import Image

from deoldify_lite.training import callbacks
from deoldify_lite.training.log import read_log
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.run import Run

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

GENERATOR, CRITIC, GAN = "generator/2-b", "cycle-1/critic-c", "cycle-1/gan"


def read(run: Run, stage: str):
    """A stage's events, every one of them."""
    keep_all = dict.fromkeys(("scalars", "images", "tensors"), 0)
    return accumulator.EventAccumulator(str(run.folder / stage), size_guidance=keep_all).Reload()


def values(run: Run, stage: str, tag: str) -> list[float]:
    return [event.value for event in read(run, stage).Scalars(tag)]


@pytest.mark.parametrize("stage", [GENERATOR, CRITIC, GAN])
def test_every_stage_that_trains_shows_speed_memory_and_who_trains(finished_run, stage):
    scalars = read(finished_run, stage).Tags()["scalars"]
    assert {"samples_per_second", "memory/process_mb", "generator_trains"} <= set(scalars)
    assert all(v > 0 for v in values(finished_run, stage, "samples_per_second"))
    assert all(100 < v < 100_000 for v in values(finished_run, stage, "memory/process_mb"))


def test_generating_shows_speed_and_memory(finished_run):
    assert values(finished_run, "cycle-1/generate", "samples_per_second")[0] > 0
    assert values(finished_run, "cycle-1/generate", "memory/process_mb")[0] > 100


def test_the_generators_losses_stand_apart(finished_run):
    parts = [f"generator/{name}" for name in ("pixel", "feature_3", "feature_4", "feature_5")]
    losses = [values(finished_run, GENERATOR, tag)[-1] for tag in parts]
    assert all(loss > 0 for loss in losses)
    assert sum(losses) == pytest.approx(values(finished_run, GENERATOR, "generator/loss")[-1], rel=1e-4)
    assert values(finished_run, GENERATOR, "generator/validation_loss")[0] > 0
    steps = {tag: len(values(finished_run, GAN, tag)) for tag in [*parts, "generator/adversarial", "generator/loss"]}
    assert set(steps.values()) == {json.loads((finished_run.folder / GAN / "done.json").read_text())["generator_steps"]}


def test_learning_rates(finished_run):
    groups = ("rate/encoder_start", "rate/encoder_end", "rate/decoder")
    start, end, decoder = (values(finished_run, GENERATOR, tag)[-1] for tag in groups)
    assert 0 < start < end < decoder < finished_run.schedule.generator_stages[1].lr
    assert 0 < values(finished_run, CRITIC, "rate/critic")[-1] < finished_run.schedule.critic_stages[0].lr
    assert values(finished_run, GAN, "rate/decoder")[-1] == pytest.approx(1e-5)
    assert values(finished_run, GAN, "rate/critic")[-1] == pytest.approx(5e-5)


@pytest.mark.parametrize("stage", [CRITIC, GAN])
def test_critic_accuracy_on_real_and_on_generated(finished_run, stage):
    for kind in ("real", "fake"):
        found = values(finished_run, stage, f"critic/accuracy_{kind}")
        assert found and all(0 <= v <= 1 for v in found)
    assert all(v > 0 for v in values(finished_run, stage, "critic/loss"))


def test_which_network_trains_at_each_step(finished_run):
    """In the GAN phase at every one: a step has the metrics of the network that had its turn, and of no other."""
    assert set(values(finished_run, GENERATOR, "generator_trains")) == {1.0}
    assert set(values(finished_run, CRITIC, "generator_trains")) == {0.0}
    events = read(finished_run, GAN)
    turns = {e.step: e.value for e in events.Scalars("generator_trains")}
    assert sorted(turns) == list(range(1, len(turns) + 1))
    assert {e.step for e in events.Scalars("generator/adversarial")} == {s for s, v in turns.items() if v == 1}
    assert {e.step for e in events.Scalars("critic/loss")} == {s for s, v in turns.items() if v == 0}


def picture(event) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB"), int)


@pytest.mark.parametrize("stage", [GENERATOR, "cycle-1/generate", CRITIC, GAN])
def test_grids_of_grey_ours_and_target(finished_run, stage):
    """Three rows: the first without colour, the last with the most; the same photos each time."""
    found = [picture(event) for event in read(finished_run, stage).Images("input_prediction_target")]
    assert found
    for grid in found:
        colour = [(row.max(-1) - row.min(-1)).mean() for row in np.array_split(grid, 3)]
        assert colour[0] < 1 < colour[2]
        assert np.array_equal(*(np.array_split(g, 3)[2] for g in (grid, found[0])))


def test_a_grid_every_200_steps(run, monkeypatch):
    """And one at the end; here every two steps."""
    shown, pictures = [], callbacks.Pictures.__init__
    assert inspect.signature(pictures).parameters["every"].default == 200
    monkeypatch.setattr(callbacks.Pictures, "__init__", partialmethod(pictures, every=2))
    monkeypatch.setattr(callbacks.Pictures, "show", lambda self, step: shown.append(step))
    run.schedule = run.schedule.override({"generator_stages.a.epochs": "1.5"})
    run_nogan(run, "generator")
    steps = json.loads((run.folder / "generator/1-a/done.json").read_text())["steps"]
    assert steps == 5
    assert shown[:3] == [2, 4, 5]


def test_verdicts_of_the_critic(finished_run):
    assert read(finished_run, CRITIC).Images("logits_prediction_target")


def test_the_inflection_curve(finished_run):
    events = read(finished_run, GAN)
    steps = [e.step for e in events.Scalars("inflection/colorfulness_gap")]
    rows = json.loads((finished_run.folder / GAN / "inflection.json").read_text())["rows"]
    assert steps == [row["step"] for row in rows]
    assert len(steps) >= 3
    assert "inflection/feature_distance" in events.Tags()["scalars"]
    assert picture(events.Images("inflection")[0]).std() > 0


@pytest.mark.parametrize("stage", [GENERATOR, "cycle-1/generate", CRITIC, GAN])
def test_the_schedule_as_text(finished_run, stage):
    text = read(finished_run, stage).Tensors("schedule/text_summary")[0].tensor_proto.string_val[0].decode()
    assert finished_run.schedule.to_yaml() in text


def test_steps_done_again_after_a_kill_are_shown_once(run):
    """TensorBoard shows those of the second time; so does `read_log`."""
    stage = run.stage("twice", {})
    for step in range(1, 7):
        stage.tracker.scalars(step, {"loss": step})
    stage.tracker.writer.close()
    time.sleep(1.1)  # files of events are named by the second
    again = run.stage("twice", {})
    again.first_step = 3  # three are in the checkpoint
    for step in range(4, 6):
        again.tracker.scalars(step, {"loss": 10 * step})
    again.tracker.writer.close()
    assert values(run, "twice", "loss") == [1, 2, 3, 40, 50]
    assert [row["loss"] for row in read_log(run.folder, "twice")] == [1, 2, 3, 40, 50]
