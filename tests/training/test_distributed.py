"""Two processes on the CPU train as one."""

import os
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import read_safetensors, save_weights
from helpers.scripts import free_port
from helpers.smoke import SMALL
from helpers.trainings import fit_both_networks, nogan, start_pair

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "scripts" / "nogan.py"
CHANGES = SMALL | {
    "generator_stages": "[{name: a, size: 32, batch: BATCH, lr: 1.0e-3, lr_encoder: 1.0e-4, epochs: 2}]",
    "critic_stages": "[{name: c, size: 32, batch: BATCH, lr: 1.0e-3, epochs: 2}]",
    "gan.size": "32",
    "gan.batch": "BATCH",
    "gan.fraction": "1.5",
    "gan.adversarial_ratio": "0.5",
    "networks.critic": "projected",  # without dropout, whose draws no two batches share
    "networks.critic_backbone": "test_efficientnet",
    "networks.critic_width": "8",
    "degradation.probability": "0.0",  # whose draws depend on the place in a batch
}


def options(folder: Path, photos: Path, init_from: Path, batch: int) -> list[str]:
    "Of scripts/nogan.py."
    changes = [f"--set={field}={value.replace('BATCH', str(batch))}" for field, value in CHANGES.items()]
    return [
        *("--preset", "smoke", "--device", "cpu", "--precision", "float32", "--checkpoint-seconds", "0"),
        *("--photos", str(photos), "--run", str(folder), "--init-from", str(init_from)),
        *("--set=networks.frozen_statistics=true", *changes),
    ]


@pytest.fixture(scope="module")
def init_weights(tmp_path_factory) -> Path:
    """Weights to start from, whose BatchNorm statistics stay."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("start") / "weights.safetensors"
    save_weights(build_generator("lite", "test_efficientnet"), path)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, photos, init_weights) -> Path:
    """A run of two processes with batches of two each, launched as the README says."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("pair") / "run"
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--mixed_precision=no"]
    launcher += ["--num_processes=2", "--dynamo_backend=no", f"--main_process_port={free_port()}"]
    command = [sys.executable, *launcher, str(SCRIPT), *options(folder, photos, init_weights, batch=2)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


RESULTS = (
    "generator/1-a/weights.safetensors",
    "cycle-1/critic-c/weights.safetensors",
    "cycle-1/gan/critic.safetensors",
)


def test_two_processes_are_one_with_twice_the_batch(tmp_path, photos, init_weights, pair):
    """In every stage, the GAN phase with its turns included, where BatchNorm keeps its statistics."""
    result = CliRunner().invoke(program, ["nogan", *options(tmp_path / "run", photos, init_weights, batch=4)])
    assert result.exit_code == 0, result.output
    for name in (*RESULTS, "generator.safetensors"):
        ours, theirs = (read_safetensors(folder / name)[1] for folder in (pair, tmp_path / "run"))
        assert ours.keys() == theirs.keys()
        worst = max(float((ours[k].float() - theirs[k].float()).abs().max()) for k in ours)
        assert worst < (1e-4 if name in RESULTS else 1e-3), (name, worst)


def test_a_killed_pair_goes_on_to_the_same_bits(tmp_path, photos, init_weights, pair):
    arguments, log = options(tmp_path / "run", photos, init_weights, batch=2), tmp_path / "log"
    processes = start_pair(log, nogan, *arguments)
    checkpoint, deadline = tmp_path / "run/generator/1-a/checkpoint.pt", time.monotonic() + 120
    while not checkpoint.exists() and all(p.is_alive() for p in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(process.is_alive() for process in processes), log.read_text()
    for process in processes:
        process.kill()
        process.join()
    finish(start_pair(log, nogan, *arguments), log)
    for name in RESULTS:
        assert (tmp_path / "run" / name).read_bytes() == (pair / name).read_bytes(), name


def test_ranks_agree(tmp_path, photos):
    """All processes end with the same weights, whichever batches they saw."""
    log = tmp_path / "log"
    finish(start_pair(log, fit_both_networks, photos, tmp_path), log)
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    assert first.keys() == second.keys() and all(torch.equal(v, second[k]) for k, v in first.items())


def finish(processes: list[BaseProcess], log: Path) -> None:
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0], log.read_text()[-3000:]
