"""The weights in the package, and the README's words about them."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite import Colorizer
from deoldify_lite.cli import app
from deoldify_lite.evaluate.metrics import colourfulness
from deoldify_lite.modeling.weights import SHIPPED, load_generator
from deoldify_lite.samples import sample_photos
from deoldify_lite.schedule import Schedule, preset

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(device="cpu")


def test_they_load_by_name_and_are_small():
    generator = load_generator("lite")
    assert not generator.training
    assert (SHIPPED / "lite.safetensors").stat().st_size < 90e6
    assert all(torch.isfinite(p).all() for p in generator.parameters())


def test_the_preset_is_the_recipe_of_what_ships():
    assert Schedule.from_yaml((ROOT / "docs" / "lite" / "schedule.yaml").read_text()) == preset("lite")


@pytest.mark.parametrize("name", sorted(sample_photos()))
def test_samples_get_colour_and_keep_their_luma(colorizer, name):
    """More colour than a grey picture has, none that is garish, and not a single patch of the same."""
    grey = Image.open(sample_photos()[name]).convert("L").resize((240, 200))
    colour = colorizer.colorize(grey)
    assert colour.size == grey.size
    rgb = torch.from_numpy(np.array(colour)).permute(2, 0, 1)[None].float() / 255
    assert 5 < float(colourfulness(rgb)) < 100
    difference = np.asarray(colour, float) @ [0.299, 0.587, 0.114] - np.asarray(grey, float)
    assert np.abs(difference).max() <= 1.0


def test_readme_names_only_commands_and_options_that_exist():
    """Every `deoldify-lite` and `scripts/` call in the README, by its command's own help."""
    readme = (ROOT / "README.md").read_text()
    for command in ("colorize", "nogan"):
        text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
        known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))
        script = {"colorize": "colorize_dir"}.get(command, command)
        pattern = rf"(?:deoldify-lite {command}|scripts/{script}\.py)([^\n#]*)"
        for call in re.findall(pattern, readme):
            used = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", call))
            assert used <= known, call
    for script in re.findall(r"scripts/[\w.]+", readme):
        assert (ROOT / script).exists(), script
    for link in re.findall(r"\]\(([\w./]+)\)", readme):
        assert (ROOT / link).exists(), link


def test_shell_scripts_are_valid():
    for script in ("scripts/setup.sh", "scripts/try.sh", "scripts/test.sh", ".ci/run"):
        subprocess.run(["bash" if script == ".ci/run" else "sh", "-n", str(ROOT / script)], check=True)
