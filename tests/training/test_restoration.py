"""NoGAN of a restorer: the same stages, records and resume as of a colorizer."""

import json
from dataclasses import replace

import pytest
import torch
from fastai.callback.core import Callback
from PIL import Image

from deoldify_lite import color
from deoldify_lite.errors import UsageError
from deoldify_lite.modeling.restorer import RestorerUnet
from deoldify_lite.modeling.weights import default_threshold, load_restorer
from deoldify_lite.presets import preset
from deoldify_lite.schedule import Loss, Postprocess
from deoldify_lite.training.batches import CriticBatches, GeneratorBatches, ValidationBatches
from deoldify_lite.training.data import open_pack
from deoldify_lite.training.gan import train_gan
from deoldify_lite.training.inflection import read_rows
from deoldify_lite.training.init_from import keep_init_weights
from deoldify_lite.training.losses import RestorationLoss
from deoldify_lite.training.networks import RestorationPredictor
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.postprocess import check
from deoldify_lite.training.run import Run, open_run
from deoldify_lite.training.stages import generated_photos, generated_targets, generator_learner, pretrain_generator
from helpers.shared import shared_folder

SMALL = {
    "generator_stages": "[{name: a, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-3, features: 0.0},"
    " {name: b, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-3, ema: 0.9}]",
    "critic_stages": "[{name: c, size: 64, batch: 4, lr: 1.0e-3, epochs: 2}]",
    "networks.width": "4",
    "networks.encoder": "test_efficientnet",
    "networks.pretrained": "false",
    "networks.critic_width": "8",
    "loss.network": "untrained",
    "generate": "{fraction: 1.0, batch: 4}",
    "gan.size": "64",
    "gan.batch": "4",
    "gan.fraction": "1.0",
    "gan.max_critic_steps": "2",
    "gan.save_every": "2",
    "gan.score_photos": "4",
    "validation": "0.2",
}


def run_in(folder, photos, **changes: str) -> Run:
    schedule = preset("restore").override(SMALL | changes)
    return Run(folder, schedule, (photos,), device="cpu", precision="float32", cache=photos / ".packs")


@pytest.fixture(scope="session")
def restored_run(tmp_path_factory, photos) -> Run:
    """Of which all stages are done. Only to be read."""
    fill = lambda folder: run_nogan(run_in(folder, photos))  # noqa: E731
    return run_in(shared_folder(tmp_path_factory, "restored run", fill), photos)


def test_every_stage_leaves_its_result(restored_run):
    done = {p.parent.relative_to(restored_run.folder).as_posix() for p in restored_run.folder.rglob("done.json")}
    assert done == {"generator/1-a", "generator/2-b", *(f"cycle-1/{part}" for part in ("generate", "critic-c", "gan"))}


def test_the_result_restores(restored_run):
    path = restored_run.folder / "generator.safetensors"
    assert load_restorer(path).config == {"architecture": "restorer", "width": 4, "encoder": "test_efficientnet"}
    assert 0.3 <= default_threshold(path) < 1


def test_the_log_has_the_losses_of_mask_and_fill(restored_run):
    rows = [json.loads(line) for line in (restored_run.folder / "log.jsonl").read_text().splitlines()]
    for stage, names in {
        "generator/1-a": {"generator/loss", "generator/pixel", "generator/mask", "generator/fill"},
        "generator/2-b": {"generator/feature_3", "generator/mask"},
        "cycle-1/critic-c": {"critic/loss", "critic/accuracy_real"},
        "cycle-1/gan": {"generator/adversarial", "generator/mask", "generator/fill"},
    }.items():
        assert names <= set().union(*(row for row in rows if row["stage"] == stage)), stage


def test_tensorboard_shows_masks(restored_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(restored_run.folder / "generator/2-b"), {"images": 0})
    events.Reload()
    picture = events.Images("input_prediction_target")[-1]
    valid = len(restored_run.split(restored_run.pack(32)).valid)
    rows = round(picture.height / picture.width * min(8, valid))
    assert rows == 5, "input, prediction, target, mask, true mask"


def test_the_scores_of_the_phase_are_of_masks(restored_run):
    rows = read_rows(restored_run.gan_stage(1).folder / "scores.jsonl")
    assert len(rows) > 1
    assert all(0 <= row["mask_error"] <= 1 and row["luma_error"] > 0 and "colorfulness" not in row for row in rows)


def test_the_critic_compares_with_the_targets(restored_run):
    """Both as grey and as grainy as each other, so it learns from damage alone."""
    generated, targets = (open_pack(f(restored_run, 1)) for f in (generated_photos, generated_targets))
    assert generated.names == targets.names
    spec = restored_run.schedule.critic_stages[0]
    batches = CriticBatches(restored_run.critic_stage(1, "c"), spec, restored_run.schedule, generated, targets)
    pictures, labels = batches.batch(0)
    rgb = color.denormalize(pictures)
    assert (rgb - rgb[:, :1]).abs().max() < 1e-4 and labels.mean() == 0.5
    predicted, target = batches.fixed(4)
    assert torch.nn.functional.l1_loss(predicted, target) < 0.3


def test_batches_follow_from_their_number(restored_run):
    stage, spec = restored_run.generator_stage(0), restored_run.schedule.generator_stages[0]
    first, again = (GeneratorBatches(stage, spec, restored_run.schedule) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.batch(3), again.batch(3)))
    assert [x.shape[1] for x in first.batch(3)] == [3, 1, 4]


def test_validation_has_damage_always_the_same(restored_run):
    first, again = (list(ValidationBatches(restored_run, 32, 4)) for _ in range(2))
    assert all(torch.equal(a, b) for x, y in zip(first, again) for a, b in zip(x, y))
    assert any(target[:, 3].any() for *_, target in first)


def test_a_mask_and_a_fill_that_are_right_cost_nothing():
    target = torch.rand(2, 1, 32, 32).expand(-1, 3, -1, -1)
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., 8:12, :] = 1
    loss = RestorationLoss(Loss(network="untrained", features=(0.0, 0.0, 0.0), mask=1.0, fill=1.0))
    wanted = torch.cat([color.normalize(target), mask], 1)
    luma = color.luma(target)
    right = torch.cat([color.normalize(target), luma, mask * 60 - 30], 1)
    assert loss(right, wanted) < 1e-2
    for name, wrong in {
        "mask": torch.cat([right[:, :4], right[:, 4:] * -1], 1),
        "fill": torch.cat([right[:, :3], 1 - luma, right[:, 4:]], 1),
        "pixel": torch.cat([right[:, :3] + 0.5, right[:, 3:]], 1),
    }.items():
        assert loss(wrong, wanted) > 0.05 and max(loss.parts, key=lambda k: float(loss.parts[k])) == name


def test_what_is_seen_of_the_fill_is_what_the_mask_is_sure_of():
    torch.manual_seed(0)
    predictor = RestorationPredictor(RestorerUnet(4, "test_efficientnet")).eval()
    y = torch.rand(1, 1, 32, 32).expand(-1, 3, -1, -1)
    out = predictor(color.normalize(y))
    chance = torch.sigmoid(out[:, 4:5])
    wanted = y[:, :1] + (out[:, 3:4] - y[:, :1]) * chance
    assert torch.allclose(color.denormalize(out[:, :3]), wanted.expand(-1, 3, -1, -1), atol=1e-5)


class Killed(Exception):
    pass


class Kill(Callback):
    "Ends a fit at a step, after the checkpoint of that step."

    order, run_valid = 56, False

    def __init__(self, step: int):
        self.at = step

    def after_batch(self):
        if self.step_number.step + 1 == self.at:
            raise Killed("here")


@pytest.mark.parametrize("stage", ["generator", "gan"])
def test_a_killed_stage_ends_with_the_same_bits(stage, tmp_path, photos, restored_run, monkeypatch):
    from deoldify_lite.training import gan, stages

    killed = run_in(tmp_path / "killed", photos)
    killed.checkpoint_seconds = 0
    where, work = (stages, pretrain_generator) if stage == "generator" else (gan, _gan_phase)
    if stage == "gan":
        run_nogan(killed, "generator"), run_nogan(killed, "generate"), run_nogan(killed, "critic")
    fit = where.fit_stage
    with monkeypatch.context() as patched:
        patched.setattr(where, "fit_stage", lambda learn, cbs, *a: fit(learn, [*cbs, Kill(3)], *a))
        with pytest.raises(Killed):
            work(killed)
    assert list(killed.folder.rglob("checkpoint.pt"))
    run_nogan(killed)
    ours, whole = (run.folder / "generator.safetensors" for run in (killed, restored_run))
    assert ours.read_bytes() == whole.read_bytes()


def _gan_phase(run: Run):
    critic = run.critic_stage(1, "c")
    return train_gan(run, 1, run.generator_stage(1).weights, critic.weights)


def test_the_learner_shows_and_fits(restored_run):
    learn = generator_learner(restored_run, 0)
    learn.dls.show_batch(max_n=2)
    learn.show_results(max_n=2)
    loss, *_ = learn.validate()
    assert loss > 0
    assert learn.predict(Image.new("L", (40, 30), 99)).size == (40, 30)


def test_it_may_start_from_other_weights(restored_run, photos, tmp_path):
    weights = restored_run.folder / "generator.safetensors"
    changes = [f"{field}={value}" for field, value in SMALL.items() if field != "networks.width"]
    run = open_run(tmp_path / "run", [photos], "restore", changes, init_from=str(weights), device="cpu")
    assert (run.schedule.networks.generator, run.schedule.networks.width) == ("restorer", 4)
    keep_init_weights(run.folder, run.schedule.networks)
    ours, theirs = generator_learner(run, 0).generator.state_dict(), load_restorer(weights).state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in theirs.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batchnorm_photos": 8}, "no BatchNorm|not for a restorer"),
        ({"clean_masked": 2.0}, "fraction"),
        ({"colorfulness": 0.5}, "lite"),
    ],
)
def test_what_a_restorer_cannot_have_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        check(replace(preset("restore"), postprocess=Postprocess(**changes)))
