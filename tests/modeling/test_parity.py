"""DeOldify's answers reproduced: a checkpoint in its layout gives the outputs of the original network and pipeline."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite.colorize.deoldify_colorizer import DeOldifyColorizer
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.photo import photo_from_image
from helpers import parity

WIDE = pytest.param("wide", marks=pytest.mark.slow)  # 218 million parameters


@pytest.fixture(scope="module", params=["deep", WIDE])
def checkpoint(request, tmp_path_factory) -> Path:
    """A file as DeOldify published them."""
    path = tmp_path_factory.mktemp("parity") / f"{request.param}.pth"
    torch.save(parity.checkpoint(request.param), path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def colorizer(checkpoint) -> DeOldifyColorizer:
    return DeOldifyColorizer(checkpoint, "cpu", "float32")


def test_answers_as_the_original(checkpoint):
    """Within 1e-4, and what the recording lost to float16."""
    generator = load_generator(checkpoint)
    assert not generator.training
    for size in parity.SIZES:
        with torch.inference_mode():
            output = generator(parity.network_input(size)).numpy()
        expected = parity.network_output(checkpoint.stem, size).numpy()
        rounding = np.spacing(np.abs(expected)).astype(float) / 2
        assert (np.abs(output - expected) < 1e-4 + rounding).all()


@pytest.mark.parametrize("render_factor", [11, 12])
@pytest.mark.slow
def test_photo_pipeline_as_the_original(checkpoint, colorizer, render_factor):
    """From photo to photo within one level, in the mode that squashes to a square."""
    photo = parity.photo()
    engine = colorizer.engine
    (raw,) = engine.predict([engine.preprocess(photo_from_image(photo), render_factor)])
    raw = Image.fromarray(raw).resize(photo.size, Image.Resampling.BILINEAR)
    for ours, stage in ((raw, "raw"), (colorizer.colorize(photo, render_factor=render_factor), "merged")):
        theirs = parity.picture(checkpoint.stem, f"rf{render_factor}_{stage}")
        difference = np.abs(np.asarray(ours, int) - np.asarray(theirs))
        assert (difference <= 1).mean() >= 0.999
