"""The stage `hints`: a branch learns beside a generator that stays as it is."""

import json

import pytest
import torch
from typer.testing import CliRunner

from deoldify_lite import color
from deoldify_lite.cli import program
from deoldify_lite.errors import UsageError
from deoldify_lite.files import sha256
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import load_hint_branch, save_weights
from deoldify_lite.presets import preset
from deoldify_lite.training import hints
from deoldify_lite.training.errors import StageMissing, WrongCheckpoint
from deoldify_lite.training.hints import HintBatches, fixed_hints, hint_learner, train_hints
from deoldify_lite.training.log import read_log
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.run import Run, open_run
from helpers.networks import excited, moved, snapshot

STAGE = "[{name: a, size: 32, batch: 4, lr: 3.0e-3, epochs: 4, score_every: 8, score_photos: 4}]"
CHANGES = ("loss.network=untrained", "validation=0.2", f"hint_stages={STAGE}")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    "Of a small generator whose random weights stand for those of a trained one."
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    torch.manual_seed(0)
    save_weights(excited(build_generator("lite", "test_efficientnet")), path, dtype=torch.float16)
    return path


def run_in(folder, photos, weights, *changes: str) -> Run:
    options = {"device": "cpu", "precision": "float32", "cache": photos / ".packs"}
    return open_run(folder, [photos], "hints", (*CHANGES, *changes), init_from=str(weights), **options)


@pytest.fixture
def run(tmp_path, photos, weights) -> Run:
    return run_in(tmp_path / "run", photos, weights)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, photos, weights) -> Run:
    run = run_in(tmp_path_factory.mktemp("hints") / "run", photos, weights)
    run_nogan(run)
    return run


def test_the_run_ends_with_a_generator_and_its_branch(finished, weights):
    result = finished.folder / "generator.safetensors"
    assert result.read_bytes() == weights.read_bytes(), "the generator stays as it is"
    branch = load_hint_branch(result)
    assert branch is not None and load_hint_branch(finished.folder / "init_from.safetensors") is None
    done = json.loads((finished.folder / "hints/1-a/done.json").read_text())
    assert done["samples_per_second"] > 0 and {"psnr/0_hints", "psnr/1_hints", "psnr/10_hints"} <= done.keys()


def test_it_learns(finished):
    rows = read_log(finished.folder, "hints/1-a")
    scores = [row for row in rows if "psnr/10_hints" in row]
    assert scores[-1]["step"] == rows[-1]["step"] and len(scores) >= 2
    assert len({row["psnr/0_hints"] for row in scores}) == 1, "without hints nothing changes"
    assert scores[-1]["psnr/10_hints"] > scores[-1]["psnr/0_hints"] + 0.3
    assert all(row["hints/loss"] > 0 for row in rows if "hints/loss" in row)


def test_pictures_and_curves(finished):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(finished.folder / "hints/1-a"), size_guidance={"images": 0}).Reload()
    assert events.Images("hints_without_with_target")
    assert {"psnr/10_hints", "hints/loss", "rate/hints"} <= set(events.Tags()["scalars"])
    assert (finished.folder / "curves.png").exists()


def test_a_second_call_does_nothing_again(finished, monkeypatch):
    monkeypatch.setattr(hints, "hint_learner", lambda *_: pytest.fail("it is done"))
    assert run_nogan(finished, "hints") == finished.folder / "generator.safetensors"


def test_only_the_branch_moves(run):
    learn = hint_learner(run, 0)
    generator, branch = snapshot(learn.model.generator), snapshot(learn.model.branch)
    learn.fit(1, 1e-3)
    assert not moved(generator, learn.model.generator), "not even statistics of BatchNorm"
    assert len(moved(branch, learn.model.branch)) > 0.8 * len(branch)
    assert not any(module.training for module in learn.model.generator.modules())


def test_batches_have_hints_that_follow_from_their_number(run):
    learn = hint_learner(run, 0)
    batches: HintBatches = learn.dls.train
    gray, luma, planes, target = batches.batch(3)
    assert (gray.shape, luma.shape, planes.shape) == ((4, 3, 32, 32), (4, 1, 32, 32), (4, 3, 32, 32))
    assert all(torch.equal(a, b) for a, b in zip(batches.batch(3), (gray, luma, planes, target)))
    assert not torch.equal(batches.batch(4)[2], planes)
    validation = [b[2] for b in learn.dls.valid]
    assert all(torch.equal(a, b[2]) for a, b in zip(validation, learn.dls.valid))


def test_shown_hints_have_their_colour():
    target = torch.rand(2, 3, 32, 32)
    planes = fixed_hints(target, 3)
    shown = hints.drawn_hints(color.normalize(torch.full((2, 3, 32, 32), 0.5)), planes)
    chroma = color.chroma(shown)
    assert chroma[:, :, :][(planes[:, 2:] == 0).expand_as(chroma)].abs().max() < 1e-5
    assert chroma.abs().max() > 0.02


class Killed(Exception):
    pass


def test_a_killed_stage_ends_with_the_same_bits(tmp_path, photos, weights, finished):
    run = run_in(tmp_path / "run", photos, weights)
    run.checkpoint_seconds = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints, "score", lambda *_: (_ for _ in ()).throw(Killed("at the end")))
        with pytest.raises(Killed):
            run_nogan(run)
    assert (run.folder / "hints/1-a/checkpoint.pt").exists()
    run = run_in(tmp_path / "run", photos, weights)
    run_nogan(run)
    for name in ("hints/1-a/weights.safetensors", "generator_hints.safetensors"):
        assert (run.folder / name).read_bytes() == (finished.folder / name).read_bytes()


def test_another_generator_or_schedule_is_refused(finished, photos, weights):
    other = run_in(finished.folder, photos, weights, "hint_stages.a.lr=0.1")
    with pytest.raises(WrongCheckpoint, match=r"lr was 0\.003 and is now 0\.1"):
        run_nogan(other)


def test_a_run_that_trains_its_own_generator(finished_copy):
    "The stage takes what the run gave so far, and is asked for by name or comes last."
    run = finished_copy
    run.schedule = run.schedule.override({"hint_stages": STAGE})
    run_nogan(run, "hints")
    path = run.folder / "generator.safetensors"
    assert load_hint_branch(path) is not None
    fingerprint = json.loads((run.folder / "hints/1-a/done.json").read_text())["fingerprint"]
    assert fingerprint["generator"] == sha256(path)[:12]


def test_mistakes(tmp_path, photos, run, weights):
    with pytest.raises(UsageError, match=r"preset hints\) has no stage gan"):
        run_nogan(run, "gan")
    with pytest.raises(UsageError, match=r"preset hints\) has no stage generator"):
        run_nogan(run, "generator")
    with pytest.raises(UsageError, match="name its weights with --init-from"):
        run_nogan(Run(tmp_path / "none", run.schedule.override({"networks.init_from": "''"}), (photos,)))
    own = preset("smoke").override({"hint_stages": STAGE})
    with pytest.raises(StageMissing, match="run --stage generator first"):
        run_nogan(Run(tmp_path / "own", own, (photos,), device="cpu"), "hints")
    rgb = tmp_path / "rgb.safetensors"
    save_weights(build_generator("lite-rgb", "test_efficientnet"), rgb)
    with pytest.raises(UsageError, match="not lite-rgb"):
        train_hints(run_in(tmp_path / "rgb", photos, rgb))


def test_the_command(tmp_path, photos, weights):
    command = ["nogan", "--preset", "hints", "--stage", "hints", "--run", str(tmp_path / "run"), "--device", "cpu"]
    command += ["--photos", str(photos), "--init-from", str(weights), *(f"--set={change}" for change in CHANGES)]
    result = CliRunner().invoke(program, [*command, "--set=hint_stages.a.epochs=0.5"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run/generator_hints.safetensors").exists()
