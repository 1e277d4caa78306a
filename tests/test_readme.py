"""The README's commands: those that can, run as they stand; of the others the options must exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import save_weights
from deoldify_lite.samples import sample_photos

ROOT = Path(__file__).parents[1]
NOT_HERE = {
    "pip install": "installs",
    "sh scripts/": "sets up an environment",
    "tensorboard": "a server",
    "deoldify-lite app": "a server; tests/app has it",
    "deoldify-lite web": "needs ONNX Runtime Web; tests/web has it",
    "deoldify-lite video": "tests/video has it",
    "deoldify-lite ray": "needs Ray; tests/cli/test_ray.py has it",
    "ColorizeArtistic_gen.pth": "not to be had everywhere",
    "nogan --photos": "hours",
    "nogan --preset projected": "hours",
    "nogan --stage": "goes on with the one before",
    "accelerate launch": "hours; tests/training/test_distributed.py has it",
    "torchrun": "hours",
    "--preset finetune": "needs pretrained weights",
    "--preset hints": "needs photos, tests/training/test_hints.py has it",
    "deoldify-lite evaluate": "needs pretrained weights",
    "deoldify-lite pix2pix": "hours",
}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [shlex.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def reason_against(command: str) -> str | None:
    return next((why for part, why in NOT_HERE.items() if part in command), None)


def split(command: str) -> tuple[str, list[str]]:
    "A command of the command line, or the path of a script; and its arguments."
    words = shlex.split(command)
    if words[0] == "deoldify-lite":
        return words[1], words[2:]
    script = next(i for i, word in enumerate(words) if word.endswith(".py"))
    return words[script], words[script + 1 :]


def run(name: str, arguments: list[str], folder: Path, monkeypatch) -> tuple[int, str]:
    "Exit code and output. Commands run in this process, which has imported torch."
    environment = {"COLUMNS": "200", "TERM": "dumb"}
    if name.endswith(".py"):
        words = [sys.executable, str(ROOT / name), *arguments]
        environment |= {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
        return done.returncode, done.stdout + done.stderr
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(program, [name, *arguments], env=environment)
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    "A folder in which what the README speaks of is there."
    folder = tmp_path_factory.mktemp("readme")
    photos = list(sample_photos().values())
    for name in ("photos", "photos/more", "archive", "old", "PATH"):
        (folder / name).mkdir()
        for photo in photos:
            shutil.copy(photo, folder / name)
    for i in range(12):
        with Image.open(photos[i % len(photos)]) as image:
            image.convert("RGB").resize((90 + i, 80)).save(folder / "PATH" / f"{i}.jpg")
    shutil.copy(photos[0], folder / "grandmother.jpg")
    generator = build_generator("lite", "test_resnet")
    for weights in ("mine/generator", "1/generator/1-128/weights", "2/generator/1-128/weights"):
        save_weights(generator, folder / "runs" / f"{weights}.safetensors")
    return folder


@pytest.mark.parametrize("command", [c for c in commands() if not reason_against(c)])
@pytest.mark.slow
def test_command_runs(command, place, monkeypatch):
    code, output = run(*split(command), place, monkeypatch)
    assert code == 0, output


OTHERS = [c for c in commands() if reason_against(c) and (c.startswith("deoldify-lite") or ".py" in c)]


@pytest.mark.parametrize("command", OTHERS)
@pytest.mark.slow
def test_options_of_commands_that_do_not_run_here_exist(command, place, monkeypatch):
    name, arguments = split(command)
    code, known = run(name, ["--help"], place, monkeypatch)
    assert code == 0, known
    for option in (word for word in arguments if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), f"{command}: no {option}"
    for value in re.findall(r"--(?:preset|stage|config) (\S+)", command):
        assert value in known or (ROOT / "README.md").read_text().count(f"`{value}`"), f"{command}: no {value}"


def test_every_command_but_a_few_runs():
    assert sum(reason_against(c) is None for c in commands()) >= 5


def test_scripts_and_documents_that_are_named_exist():
    readme = (ROOT / "README.md").read_text()
    for name in set(re.findall(r"(?:scripts|docs|notebooks)/[\w./]+\w", readme)):
        assert (ROOT / name).exists(), name
    for script in (ROOT / "scripts").glob("*.py"):
        assert script.name in readme or script.name in (ROOT / "CONTRIBUTING.md").read_text(), f"{script} is not named"


def test_pictures_are_there_and_small():
    names = re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / "README.md").read_text())
    assert names and sum((ROOT / name).stat().st_size for name in names) < 400_000
