"""The weights in the package, and the README's words about them."""

import colorsys
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite import Colorizer, Restorer, color
from deoldify_lite.cli import program
from deoldify_lite.metrics.image import colorfulness
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.models import MODELS, RESTORERS, shipped
from deoldify_lite.presets import preset
from deoldify_lite.samples import sample_photos
from deoldify_lite.schedule import Schedule
from deoldify_lite.training.damage import add_kind

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(device="cpu")


NAMES = [model.name for model in shipped()]


@pytest.mark.parametrize("name", NAMES)
def test_they_load_by_name_and_are_small(name):
    generator = load_generator(name)
    assert not generator.training
    assert MODELS[name].path.stat().st_size < 30e6
    assert all(torch.isfinite(p).all() for p in generator.parameters())


def test_together_they_are_no_burden():
    assert sum(model.path.stat().st_size for model in [*shipped(), *RESTORERS.values()]) < 30e6


@pytest.mark.parametrize(
    "schedule, name",
    [
        ("lite/schedule", "lite"),
        ("lite/projected", "projected"),  # how it went on from there
        ("resnet34/schedule", "resnet34"),
        ("restore/schedule", "restore"),
    ],
)
def test_the_preset_is_the_recipe_in_the_docs(schedule, name):
    assert Schedule.from_yaml((ROOT / f"docs/{schedule}.yaml").read_text()) == preset(name)


@pytest.mark.parametrize("name", ["lite", "resnet34"])
def test_the_model_cards_have_their_pictures(name):
    assert all((ROOT / "docs" / name / picture).exists() for picture in ("curves.png", "inflection.png", "photos.jpg"))


@pytest.mark.parametrize("name", sorted(sample_photos()))
def test_samples_get_colour_and_keep_their_luma(colorizer, name):
    """More colour than a grey picture has, none that is garish, and not a single patch of the same."""
    grey = Image.open(sample_photos()[name]).convert("L").resize((240, 200))
    colour = colorizer.colorize(grey)
    assert colour.size == grey.size
    rgb = torch.from_numpy(np.array(colour)).permute(2, 0, 1)[None].float() / 255
    assert 5 < float(colorfulness(rgb)) < 100
    difference = np.asarray(colour, float) @ [0.299, 0.587, 0.114] - np.asarray(grey, float)
    assert np.abs(difference).max() <= 1.0


@pytest.mark.parametrize(
    "photo, place, hues, least",
    [
        ("china.jpg", (0.02, 0.03, 0.28, 0.30), (170, 260), 4),  # a clear sky
        ("flower.jpg", (0.36, 0.35, 0.60, 0.68), (0, 70), 15),  # petals: red, orange or yellow
        ("grace_hopper.jpg", (0.47, 0.28, 0.66, 0.52), (5, 50), 10),  # a face
    ],
)
def test_things_have_the_colours_that_a_person_expects(colorizer, photo, place, hues, least):
    """The mean colour of a place, shares of width and height: its hue in degrees, its colour in 8-bit levels."""
    grey = Image.open(sample_photos()[photo]).convert("L")
    grey.thumbnail((512, 512))
    left, top, right, bottom = (round(v * side) for v, side in zip(place, grey.size * 2))
    pixels = np.asarray(colorizer.colorize(grey), float)[top:bottom, left:right]
    red, green, blue = pixels.reshape(-1, 3).mean(0)
    assert max(red, green, blue) - min(red, green, blue) > least, "that is grey"
    hue = 360 * colorsys.rgb_to_hsv(red, green, blue)[0]
    assert hues[0] <= hue <= hues[1], f"red {red:.0f}, green {green:.0f}, blue {blue:.0f}"


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(device="cpu", precision="float32", tone=False)


def gray_sample(name: str) -> Image.Image:
    gray = Image.open(sample_photos()[name]).convert("L")
    gray.thumbnail((512, 512))
    return gray


@pytest.mark.parametrize("name", sorted(sample_photos()))
def test_samples_without_damage_are_left_alone(restorer, name):
    assert np.mean(np.asarray(restorer.find_mask(gray_sample(name))) > 0) < 0.01


@pytest.mark.parametrize("kind", ["cracks", "dust", "scratches"])
def test_damage_is_found_and_filled_in(restorer, kind):
    """Where it is, the error falls by three tenths at least; elsewhere hardly a pixel changes."""
    before, after, changed = [], [], []
    for name in sorted(sample_photos()):
        clean = np.asarray(gray_sample(name), np.float32) / 255
        damaged, mask = add_kind(clean, kind, np.random.default_rng(0), 1.4, 0.5)
        damaged = np.rint(damaged * 255)
        restored = np.asarray(restorer.restore(Image.fromarray(damaged.astype(np.uint8))), float)
        before.extend(np.abs(damaged - clean * 255)[mask])
        after.extend(np.abs(restored - clean * 255)[mask])
        changed.append(np.mean((restored != damaged)[~mask]))
    assert np.mean(after) < 0.7 * np.mean(before)
    assert np.mean(changed) < 0.02


def test_colours_stay_within_what_a_picture_can_hold(colorizer):
    """Few pixels need their predicted colour cut because red, green or blue would leave 0 to 255."""
    for path in sample_photos().values():
        grey = Image.open(path).convert("L").resize((256, 192))
        luma = torch.from_numpy(np.array(grey))[None, None].float() / 255
        x = color.normalize(luma.expand(1, 3, -1, -1))
        with torch.inference_mode():
            rgb = color.merge(luma, colorizer.engine.generator.chroma(x))
        beyond = (rgb - rgb.clamp(0, 1)).abs().amax(1)
        assert float((beyond > 4 / 255).float().mean()) < 0.05, path


def test_readme_names_only_commands_and_options_that_exist():
    """Every `deoldify-lite` and `scripts/` call in the README, by its command's own help."""
    readme = (ROOT / "README.md").read_text()
    for command in ("colorize", "nogan"):
        text = CliRunner().invoke(program, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
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
