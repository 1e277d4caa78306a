"""The registry of models says of each file what is so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.files import sha256
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import (
    METADATA_KEY,
    BadWeights,
    default_render_factor,
    find_weights,
    load_generator,
    load_hint_branch,
    read_safetensors,
    save_weights,
)
from deoldify_lite.models import MODELS, RESTORERS, SHIPPED, shipped, usual_render_factor

ROOT = Path(__file__).parents[1]


def test_lite_is_the_default_and_all_files_in_the_package_are_known():
    assert next(iter(MODELS)) == shipped()[0].name == "lite"
    known = [*shipped(), *RESTORERS.values()]
    assert {path for model in known for path in model.files} == set(SHIPPED.glob("*.safetensors"))


@pytest.mark.parametrize("model", [*shipped(), *RESTORERS.values()], ids=lambda model: model.name)
def test_the_file_is_the_one_that_was_registered(model):
    assert all(sha256(path) == digest for path, digest in model.files.items())
    config, _ = read_safetensors(model.path)
    assert (config["architecture"], config["encoder"]) == (model.architecture, model.encoder)
    assert find_weights(model.name) == model.path
    if model.render_factor:
        assert default_render_factor(model.path, config) == model.render_factor


@pytest.mark.parametrize("model", shipped(), ids=lambda model: model.name)
def test_a_branch_for_hints_belongs_to_its_generator(model):
    assert (load_hint_branch(model.name) is not None) == (model.hints_sha256 is not None)


@pytest.mark.parametrize("model", [*MODELS.values(), *RESTORERS.values()], ids=lambda model: model.name)
def test_there_is_a_model_card(model):
    assert model.card.startswith("https://") or f"`{model.name}`" in (ROOT / model.card).read_text()


@pytest.mark.parametrize(
    "config, factor",
    [
        ({"architecture": "lite", "encoder": "tf_efficientnet_lite2"}, 12),
        ({"architecture": "lite", "encoder": "resnet34"}, 12),
        ({"architecture": "lite", "encoder": "resnet18"}, 12),
        ({"architecture": "lite-rgb", "encoder": "resnet34"}, 12),
        ({"architecture": "deep"}, 35),
        ({"architecture": "wide"}, 35),
        ({"architecture": "pix2pix", "network": "unet", "size": 256}, 16),
        ({"architecture": "pix2pix", "network": "unet", "size": 16}, 2),
    ],
)
def test_render_factors_of_files_that_record_none(config, factor):
    assert usual_render_factor(config) == factor


def test_a_file_may_record_its_own_render_factor(tmp_path):
    generator = build_generator("lite", "test_resnet")
    about = {"render_factor": 7, "training_size": 80}
    save_weights(generator, tmp_path / "mine.safetensors", about=about)
    config, _ = read_safetensors(tmp_path / "mine.safetensors")
    assert config == generator.config, "that is not part of the network"
    assert default_render_factor(tmp_path / "mine.safetensors", config) == 7


@pytest.mark.parametrize("description", ["", "[1]", '{"architecture": "lite", "render_factor": "12"}'])
def test_a_damaged_description_is_refused(tmp_path, description):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, {METADATA_KEY: description}))
    with pytest.raises(BadWeights, match=r"mine\.safetensors: its description"):
        load_generator(path)


def test_the_registry_is_quick_to_import():
    code = "import sys, deoldify_lite.models; assert not {'torch', 'fastai', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_lists_them(monkeypatch, tmp_path):
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    (tmp_path / MODELS["deep"].file).touch()
    table = CliRunner().invoke(program, ["models"], env={"COLUMNS": "300"})
    listed = json.loads(CliRunner().invoke(program, ["models", "--json"]).stdout)
    assert [entry["name"] for entry in listed] == [*MODELS, *RESTORERS]
    assert [entry["present"] for entry in listed][: len(MODELS)] == [True, True, False]
    for name, model in MODELS.items():
        assert name in table.stdout and model.trained_on in table.stdout
