"""Two processes on the CPU train as one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import read_safetensors, save_weights
from helpers.scripts import free_port
from helpers.smoke import SMALL

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


def launch(*arguments: str) -> list[str]:
    "The command that starts two processes of scripts/nogan.py."
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--mixed_precision=no"]
    launcher += ["--num_processes=2", "--dynamo_backend=no", f"--main_process_port={free_port()}"]
    return [sys.executable, *launcher, str(SCRIPT), *arguments]


def run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """Weights to start from, whose BatchNorm statistics stay."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("start") / "weights.safetensors"
    save_weights(build_generator("lite", "test_efficientnet"), path)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, photos, start) -> Path:
    """A run of two processes with batches of two each."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("pair") / "run"
    run(launch(*options(folder, photos, start, batch=2)))
    return folder


RESULTS = (
    "generator/1-a/weights.safetensors",
    "cycle-1/critic-c/weights.safetensors",
    "cycle-1/gan/critic.safetensors",
)


def test_two_processes_are_one_with_twice_the_batch(tmp_path, photos, start, pair):
    """In every stage, the GAN phase with its turns included, where BatchNorm keeps its statistics."""
    result = CliRunner().invoke(program, ["nogan", *options(tmp_path / "run", photos, start, batch=4)])
    assert result.exit_code == 0, result.output
    for name in (*RESULTS, "generator.safetensors"):
        ours, theirs = (read_safetensors(folder / name)[1] for folder in (pair, tmp_path / "run"))
        assert ours.keys() == theirs.keys()
        worst = max(float((ours[k].float() - theirs[k].float()).abs().max()) for k in ours)
        assert worst < (1e-4 if name in RESULTS else 1e-3), (name, worst)


def test_a_killed_pair_goes_on_to_the_same_bits(tmp_path, photos, start, pair):
    arguments = launch(*options(tmp_path / "run", photos, start, batch=2))
    process = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    checkpoint, deadline = tmp_path / "run/generator/1-a/checkpoint.pt", time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run(arguments)
    for name in RESULTS:
        assert (tmp_path / "run" / name).read_bytes() == (pair / name).read_bytes(), name


def test_ranks_agree(tmp_path, photos, start):
    """All processes end with the same weights, whichever batches they saw."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    run([sys.executable, *launcher, str(script), str(photos), str(start), str(tmp_path)])
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    assert first.keys() == second.keys() and all(torch.equal(v, second[k]) for k, v in first.items())


RANKS = """
import sys
from pathlib import Path
import torch
from deoldify_lite.presets import preset
from deoldify_lite.training import distributed
from deoldify_lite.training.gan import gan_learner
from deoldify_lite.training.run import Run
from deoldify_lite.training.stages import generator_learner
from helpers.smoke import SMALL

photos, start, folder = map(Path, sys.argv[1:])
run = Run(folder / "run", preset("smoke").override(SMALL | {"gan.fraction": "1"}), (photos,), "cpu")
state = {}
for name, learn in (("generator", generator_learner(run, 1)), ("gan", gan_learner(run, 1, None, None))):
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    learn.fit(1)
    after = learn.model.state_dict()
    assert any(not torch.equal(v, before[k]) for k, v in after.items())
    state |= {f"{name}.{k}": v for k, v in after.items()}
torch.save(state, folder / f"rank-{distributed.rank()}.pt")
"""
