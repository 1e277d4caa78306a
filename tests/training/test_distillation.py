"""Encoder stages: a student without pretrained weights learns what a teacher sees."""

import json

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.modeling.encoders import build_encoder
from deoldify_lite.modeling.weights import read_safetensors
from deoldify_lite.presets import preset
from deoldify_lite.training.distillation import HintLoss, Student, encoder_learner, pretrain_encoder
from deoldify_lite.training.errors import StageMissing
from deoldify_lite.training.networks import trainable_generator
from deoldify_lite.training.run import Run
from helpers.smoke import SMALL

STAGES = (
    "[{name: a, teacher: test_efficientnet, size: 32, batch: 4, lr: 3.0e-3, epochs: 4},"
    " {name: b, teacher: test_efficientnet, size: 48, batch: 4, lr: 1.0e-3, epochs: 2}]"
)


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """A small network whose random weights stand for ImageNet's."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(build_encoder("test_efficientnet").model.state_dict(), folder / "test_efficientnet.safetensors")
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def run(tmp_path, photos, teacher) -> Run:
    schedule = preset("smoke").override(SMALL | {"networks.encoder": "test_resnet", "encoder_stages": STAGES})
    return Run(tmp_path / "run", schedule, (photos,), device="cpu", cache=photos / ".packs")


def test_the_generator_begins_with_what_the_stages_taught(run):
    pretrain_encoder(run)
    metrics = json.loads((run.folder / "encoder/1-a/done.json").read_text())
    assert metrics["train_loss"] < 0.95, "1 is what a student misses who has learned nothing"
    taught = read_safetensors(run.folder / "encoder/2-b/weights.safetensors")[1]
    state = trainable_generator(run, None).encoder.state_dict()
    assert state.keys() == taught.keys() and all(torch.equal(state[k], taught[k]) for k in taught)


def test_the_second_stage_goes_on_from_the_first(run):
    pretrain_encoder(run)
    first = run.folder / "encoder/1-a/weights.safetensors"
    again = encoder_learner(run, 1, first).model.network.encoder.state_dict()
    assert all(torch.equal(again[k], v) for k, v in read_safetensors(first)[1].items())


def test_hints_are_the_share_that_is_missed():
    torch.manual_seed(0)
    teacher = build_encoder("test_efficientnet")
    hints = HintLoss(teacher)
    target = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        seen = teacher(target)
    nothing = [torch.zeros_like(f) for f in seen]
    all_of_it = [(f - f.mean((0, 2, 3), True)) / (f.std((0, 2, 3), keepdim=True) + 1e-3) for f in seen]
    assert 0.7 < float(hints(nothing, target)) < 1.1
    assert float(hints(all_of_it, target)) < 1e-6
    assert set(hints.parts) == {f"hint_{i}" for i in range(1, len(seen) + 1)}


def test_teacher_and_student_look_at_the_same_strides():
    student, teacher = build_encoder("resnet34"), build_encoder("tf_efficientnet_lite2")
    predictions = Student(student, teacher)(torch.rand(1, 3, 64, 96), torch.rand(1, 1, 64, 96))
    with torch.no_grad():
        assert [g.shape for g in predictions] == [f.shape for f in teacher(torch.rand(1, 3, 64, 96))]


def test_a_generator_stage_alone_asks_for_the_encoder(run):
    with pytest.raises(StageMissing, match="--stage generator"):
        trainable_generator(run, None)


@pytest.mark.slow
def test_the_command_trains_encoder_and_generator(tmp_path, photos, teacher):
    changes = SMALL | {"networks.encoder": "test_resnet", "encoder_stages": STAGES}
    command = ["nogan", "--preset", "smoke", "--stage", "generator", "--run", str(tmp_path / "run")]
    command += ["--photos", str(photos), "--device", "cpu", *(f"--set={k}={v}" for k, v in changes.items())]
    result = CliRunner().invoke(program, command)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run/generator.safetensors").exists()
    # Without its teacher what is done is done; a new run says what is missing.
    (teacher / "test_efficientnet.safetensors").unlink()
    assert CliRunner().invoke(program, command).exit_code == 0
    changed = CliRunner().invoke(program, [*command, "--set=encoder_stages.a.lr=1.0e-4"])
    assert changed.exit_code == 1 and "encoder_stages" not in changed.stdout and "lr" in changed.output
