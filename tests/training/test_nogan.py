"""The whole of NoGAN on a few small photos: through the command, stage by stage, and killed on the way."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.colorize.colorizer import Colorizer
from deoldify_lite.files import TEMPORARY, FolderInUse, lock_folder
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.samples import sample_photos
from deoldify_lite.schedule import Schedule
from deoldify_lite.training import networks
from deoldify_lite.training.callbacks import Checkpoint
from deoldify_lite.training.data import is_validation, open_pack
from deoldify_lite.training.errors import WrongCheckpoint
from deoldify_lite.training.networks import untrained_generator
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.stages import generator_learner
from helpers.scripts import start_script
from helpers.smoke import SMALL, run_in
from helpers.trainings import nogan, start

SCRIPT = "scripts/nogan.py"
CHANGES = [f"--set={field}={value}" for field, value in SMALL.items()]
CRITIC = "{name: c, size: 64, batch: 4, lr: 1.0e-3}"


def command(folder: Path, photos: Path, *more: str) -> list[str]:
    return [
        *(
            "--preset",
            "smoke",
            "--photos",
            str(photos),
            "--run",
            str(folder),
            "--device",
            "cpu",
            "--precision",
            "float32",
        ),
        *CHANGES,
        *more,
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, photos) -> Path:
    """A run folder in which every stage ran, each by its own call, two cycles."""
    folder = tmp_path_factory.mktemp("nogan") / "run"
    for stage in ("generator", "generate", "critic", "gan", "all"):
        result = CliRunner().invoke(program, ["nogan", *command(folder, photos, "--stage", stage, "--cycles", "2")])
        assert result.exit_code == 0, result.output
        assert str(folder / "generator.safetensors") in result.output
    return folder


def test_every_stage_leaves_its_result(finished):
    done = {p.parent.relative_to(finished).as_posix() for p in finished.rglob("done.json")}
    assert done == {
        "generator/1-a",
        "generator/2-b",
        *(f"cycle-{c}/{part}" for c in (1, 2) for part in ("generate", "critic-c", "gan")),
    }
    assert not list(finished.rglob("checkpoint.pt")), "what was for resuming only is gone"
    metrics = json.loads((finished / "cycle-1/gan/done.json").read_text())
    assert metrics["samples_per_second"] > 0 and metrics["all_steps"] > metrics["generator_steps"] >= 1


def test_the_result_colorizes(finished):
    from PIL import Image

    generator = load_generator(finished / "generator.safetensors")
    assert generator.config == {"architecture": "lite", "encoder": "test_efficientnet"}
    with safe_open(finished / "generator.safetensors", "pt") as file:
        about = json.loads(file.metadata()["deoldify_lite"])
    assert (about["render_factor"], about["training_size"]) == (12, 32)
    colour = Colorizer(finished / "generator.safetensors", device="cpu").colorize(
        Image.open(sample_photos()["flower.jpg"]).resize((64, 48)).convert("L")
    )
    assert colour.size == (64, 48) and colour.mode == "RGB"


def test_a_second_call_does_nothing_again(finished, photos):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("weights.safetensors")}
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished)])
    assert result.exit_code == 0, result.output
    assert before == {p: p.stat().st_mtime_ns for p in finished.rglob("weights.safetensors")}


def test_other_photos_need_another_run(finished, photos, tmp_path):
    kept = (finished / "photos.json").read_bytes()
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished), "--photos", str(tmp_path)])
    assert result.exit_code == 2 and f"was trained on {photos}: leave --photos out to go on" in result.output
    assert (finished / "photos.json").read_bytes() == kept


def test_a_checkpoint_of_more_steps_is_refused(tmp_path, photos):
    """As when photos were added or removed in between."""
    run = run_in(tmp_path, photos)
    learn = generator_learner(run, 0)
    saver = Checkpoint(learn.stage)
    learn.add_cb(saver)
    saver.save(1)
    learn.dls.train.steps += 1
    with pytest.raises(WrongCheckpoint, match="fewer photos or processes"):
        saver.resume()


def test_a_folder_that_another_process_trains_in_is_left_alone(finished, photos):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    arguments = ["nogan", *command(finished, photos, "--cycles", "2")]
    with lock_folder(finished):
        result = CliRunner().invoke(program, arguments)
        assert result.exit_code == 1 and f"another process works in {finished}" in result.output
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert CliRunner().invoke(program, arguments).exit_code == 0


def test_settings_changed_in_a_folder_in_use_are_no_reason_to_delete_anything(tmp_path, photos):
    run = run_in(tmp_path, photos)
    run.generator_stage(0).save(step=1)
    with lock_folder(tmp_path), pytest.raises(FolderInUse):
        run_nogan(run_in(tmp_path, photos, **{"generator_stages.a.lr": "0.5"}), "generator")


def test_an_early_stage_again_does_not_undo_a_later_one(finished):
    kept = (finished / "generator.safetensors").read_bytes()
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished), "--stage", "generator"])
    assert result.exit_code == 0, result.output
    assert (finished / "generator.safetensors").read_bytes() == kept


def test_another_schedule_is_refused_and_harms_nothing(finished):
    kept = (finished / "schedule.yaml").read_bytes()
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished), "--set", "generator_stages.a.lr=0.5"])
    assert result.exit_code == 1
    assert "made with other settings: stages.0.lr was 0.001 and is now 0.5" in result.output
    assert (finished / "schedule.yaml").read_bytes() == kept


def test_a_schedule_changed_in_the_middle_of_a_stage_is_refused_and_harms_nothing(tmp_path, photos):
    """The message names the file with the settings to go on with, so they must still be there."""
    run = run_in(tmp_path, photos)
    run.keep()
    run.generator_stage(0).save(step=1)
    changed = run_in(tmp_path, photos, **{"generator_stages.a.lr": "0.5"})
    with pytest.raises(WrongCheckpoint, match=r"lr was 0\.001 and is now 0\.5\. Go on with the settings in"):
        run_nogan(changed, "generator")
    assert Schedule.from_yaml((tmp_path / "schedule.yaml").read_text()) == run.schedule


def test_a_critic_that_is_pretrained_in_the_first_cycle_alone(tmp_path, photos):
    """The second cycle's GAN phase goes on with the critic of the first."""
    critic = f"[{{{CRITIC[1:-1]}, first_cycle_only: true}}]"
    run = run_in(tmp_path, photos, **{"critic_stages": critic, "cycles": "2"})
    run_nogan(run)
    assert [path.name for path in (tmp_path / "cycle-2").iterdir()] == ["gan"], "and nothing is colorized for a critic"
    assert (tmp_path / "cycle-2/gan/done.json").is_file()


def test_what_killed_trainings_left_half_written_goes(tmp_path, photos):
    run = run_in(tmp_path / "run", photos)
    leftover = run.generator_stage(0).folder / f"{TEMPORARY}x.pt"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    with run.lock():
        assert not leftover.exists()


def test_deoldifys_encoder_is_its_own_whatever_the_schedule_says_of_lites(run, monkeypatch):
    asked = []
    monkeypatch.setattr(networks, "load_pretrained_encoder", lambda encoder, name, file: asked.append(name))
    small = untrained_generator(run.schedule.networks)
    monkeypatch.setattr(networks, "untrained_generator", lambda networks: small)
    run.schedule = run.schedule.override({"networks.generator": "deep", "networks.pretrained": "true"})
    networks.trainable_generator(run, None)
    assert asked == ["resnet34"]


def test_the_user_may_choose_another_step(finished):
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished), "--use-step", "0"])
    assert result.exit_code == 0, result.output
    step = load_generator(finished / "cycle-2/gan/step-000000.safetensors").state_dict()
    ours = load_generator(finished / "generator.safetensors").state_dict()
    assert all(torch.equal(v.half(), ours[k].half()) for k, v in step.items())
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished), "--use-step", "999"])
    assert result.exit_code == 2 and "no generator was saved at step 999" in result.output
    averaging = ["--set", "postprocess.average_last=1"]
    result = CliRunner().invoke(program, ["nogan", "--run", str(finished), "--use-step", "0", *averaging])
    assert result.exit_code == 2 and "postprocess.average_last=0" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--stage", "critic"], 2, "run --stage generator first"),
        (["--stage", "generator"], 2, "give --photos PATH"),
        (["--photos", "/nowhere/photos", "--stage", "generator"], 2, "no such file or folder"),
        (["--preset", "huge"], 2, "preset 'huge' is unknown"),
        (["--set", "gan.speed=3"], 2, "no field 'speed'"),
        (["--set", "gan.batch=0"], 2, "gan.batch is at least 1, not 0"),
        (["--set", "generator_stages.0.size=0"], 2, "generator_stages.0.size is at least 1"),
        (["--set", "critic_stages=[]"], 2, "needs stages of generator and critic"),
        (["--set", "gan.size=48"], 2, "gan.size is at least 64 for the patch critic, not 48"),
        (["--set", "cycles=-1"], 2, "cycles is at least 0, not -1"),
        (["--set", "loss.network=vgg19"], 2, "choose vgg16, vgg16_bn, untrained"),
        (["--set", "loss.features=[1,1,1,1,1,1]"], 2, "loss.features has 6 weights; vgg16 has 5 activations"),
        (["--set", "networks.critic=hinge"], 2, "choose patch or projected"),
        (["--set", f"critic_stages=[{CRITIC}, {CRITIC}]"], 2, "c, c are not all different"),
        (["--precision", "float16"], 2, "bfloat16 or float32"),
        (["--device", "cuda:77"], 3, "cuda:77"),
        (["--encoder-weights", "nowhere.safetensors", "--photos", "PHOTOS"], 3, "nowhere.safetensors"),
    ],
)
def test_mistakes_get_one_clear_line(tmp_path, photos, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    arguments = [str(photos) if a == "PHOTOS" else a for a in arguments]
    result = CliRunner().invoke(program, ["nogan", *arguments])
    assert result.exit_code == code, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0]


def test_validation_photos_are_never_trained_on(finished_run):
    """Nor do they reach the critic."""
    photos = finished_run.pack(32)
    split = finished_run.split(photos)
    assert {photos.names[i] for i in split.valid} == {n for n in photos.names if is_validation(n, 0.2)}
    generated = open_pack(finished_run.folder / "cycle-1/generate/generated.bin")
    assert set(generated.names) <= {photos.names[i] for i in split.train}


def kill_when(ready, log: Path, arguments: list[str], seconds: float = 600) -> bool:
    """Start the command and SIGKILL it as soon as `ready()`; whether it was killed rather than finished."""
    process = start(log, nogan, *arguments)
    deadline = time.monotonic() + seconds
    while process.is_alive() and time.monotonic() < deadline:
        if ready():
            process.kill()
            break
        time.sleep(0.002)
    process.join(seconds)
    assert process.exitcode in (-signal.SIGKILL, 0), log.read_text()
    return process.exitcode != 0


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits(tmp_path, photos):
    """SIGKILL in the generator's stage, while a checkpoint is being written, and in the GAN phase: the same command
    goes on, and ends with weights bit-identical to those of a run that was never killed."""
    longer = ("--checkpoint-seconds", "0", "--set=generator_stages.b.epochs=3", "--set=gan.fraction=2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = CliRunner().invoke(program, ["nogan", *command(whole, photos, *longer)])
    assert result.exit_code == 0, result.output

    arguments = command(killed, photos, *longer)
    stage, phase = killed / "generator/2-b", killed / "cycle-1/gan"
    first = stage / "checkpoint.pt"
    log = tmp_path / "log"
    assert kill_when(first.exists, log, arguments)
    begun = first.stat().st_mtime_ns
    assert kill_when(lambda: first.stat().st_mtime_ns > begun and any(stage.glob(".tmp-*")), log, arguments)
    reached = lambda: (phase / "checkpoint.pt").exists() and any(phase.glob("step-000004*"))  # noqa: E731
    assert kill_when(reached, log, arguments)
    result = CliRunner().invoke(program, ["nogan", *arguments])
    assert result.exit_code == 0, result.output

    for name in ("generator.safetensors", "cycle-1/gan/critic.safetensors", "cycle-1/gan/weights.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    scores = [(f / "cycle-1/gan/scores.jsonl").read_text() for f in (whole, killed)]
    assert scores[0] == scores[1]


def test_interrupt_is_not_a_traceback(tmp_path, photos):
    longer = ("--checkpoint-seconds", "0", "--set=generator_stages.a.epochs=500")
    process = start_script(SCRIPT, *command(tmp_path / "run", photos, *longer))
    while not (tmp_path / "run/generator/1-a/checkpoint.pt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert b"Traceback" not in errors
