"""Hints by the trained branch that lies beside a generator's weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.colorize.hints import pixel_at, wanted_chroma
from deoldify_lite.errors import UsageError
from deoldify_lite.files import sha256
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.hint_branch import HintBranch
from deoldify_lite.modeling.weights import BadWeights, save_hint_branch, save_weights
from deoldify_lite.models import hint_branch_file
from deoldify_lite.samples import sample_photos
from helpers.networks import excited

HINTS = [(60, 40, "#a01818"), (10, 50, "#888888")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small generator with a branch beside it."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    torch.manual_seed(0)
    generator = excited(build_generator("lite", "test_efficientnet"))
    save_weights(generator, path)
    save_hint_branch(HintBranch.of(generator), hint_branch_file(path), sha256(path))
    return path


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    with Image.open(sample_photos()["flower.jpg"]) as image:
        return image.convert("L").resize((96, 64))


def colorizer(weights, method="auto", precision="float32") -> Colorizer:
    return Colorizer(weights, "cpu", precision, render_factor=4, hint_method=method)


def test_without_hints_nothing_changes(weights, photo):
    with_branch = colorizer(weights)
    plain = colorizer(weights, "least squares").colorize(photo)
    for image in (with_branch.colorize(photo), with_branch.prepare(photo).colorize()):
        assert np.array_equal(image, plain)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_hints_are_met(weights, photo, precision):
    prepared = colorizer(weights, "trained", precision).prepare(photo)
    chroma = prepared.chroma(HINTS)
    for x, y, css in HINTS:
        place = np.array([x, y]) / photo.size
        wanted = wanted_chroma(tuple(bytes.fromhex(css[1:])), prepared.luma_at(place))
        assert chroma[(slice(None), *pixel_at(place, prepared.luma.shape))] == pytest.approx(wanted, abs=0.01)


def test_the_method_is_chosen(weights, photo):
    auto, trained, spread = (
        colorizer(weights, m).colorize(photo, hints=HINTS) for m in ("auto", "trained", "least squares")
    )
    assert np.array_equal(auto, trained)
    assert not np.array_equal(auto, spread)
    with pytest.raises(UsageError, match="hint_method is one of auto, trained, least squares, not 'best'"):
        colorizer(weights, "best")


def test_the_encoder_runs_once_for_all_hints(weights, photo):
    ours = colorizer(weights)
    runs = []
    ours.engine.generator.encoder.register_forward_hook(lambda *_: runs.append(1))
    prepared = ours.prepare(photo)
    pictures = [np.asarray(prepared.colorize([(x, 30, "red")])) for x in (10, 50, 90)]
    assert len(runs) == 1
    assert not np.array_equal(pictures[0], pictures[1])


def test_hints_at_one_place_are_averaged(weights, photo):
    prepared = colorizer(weights).prepare(photo)
    place = np.array([[0.5, 0.5], [0.5, 0.5]])
    both = prepared.engine.predict_hinted(prepared.seen, place, np.array([[0.2, 0.0], [0.0, 0.1]]))
    mean = prepared.engine.predict_hinted(prepared.seen, place[:1], np.array([[0.1, 0.05]]))
    assert both == pytest.approx(mean, abs=1e-6)


def test_weights_without_a_branch(weights, photo, tmp_path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(weights.read_bytes())
    spread = colorizer(weights, "least squares").colorize(photo, hints=HINTS)
    assert np.array_equal(colorizer(alone).colorize(photo, hints=HINTS), spread)
    with pytest.raises(UsageError, match=r"alone\.safetensors have no trained branch"):
        colorizer(alone, "trained").colorize(photo, hints=HINTS)


def test_a_branch_of_other_weights_is_refused_when_there_are_hints(weights, photo, tmp_path):
    other = tmp_path / "other.safetensors"
    save_weights(excited(build_generator("lite", "test_efficientnet")), other)
    hint_branch_file(other).write_bytes(hint_branch_file(weights).read_bytes())
    ours = colorizer(other)
    ours.colorize(photo)
    with pytest.raises(BadWeights, match="trained for other weights"):
        ours.colorize(photo, hints=HINTS)
    colorizer(other, "least squares").colorize(photo, hints=HINTS)
