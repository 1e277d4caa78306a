"""Colours from a reference photo."""

import numpy as np
import pytest
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.baselines.networks import Pix2Pix
from deoldify_lite.colorize.folder import find_jobs
from deoldify_lite.colorize.hints import MOST, Hint
from deoldify_lite.colorize.matching import BadReference
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.errors import UsageError
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import save_weights
from deoldify_lite.samples import sample_photos
from helpers.photo_files import mean_difference


@pytest.fixture(scope="module")
def colorizer(weights) -> Colorizer:
    return Colorizer(weights, "cpu", "float32", 6)


@pytest.fixture(scope="module")
def flower() -> Image.Image:
    with Image.open(sample_photos()["flower.jpg"]) as image:
        return image.convert("RGB").resize((160, 108))


def test_a_photo_takes_the_colors_of_the_same_photo(colorizer, flower):
    gray = flower.convert("L")
    without, result = colorizer.colorize(gray), colorizer.colorize(gray, like=flower)
    assert mean_difference(result, flower) < mean_difference(without, flower) / 2


def test_other_colors_of_the_reference_are_taken_as_well(colorizer, flower):
    swapped = Image.merge("RGB", [flower.getchannel(band) for band in "BRG"])
    gray = flower.convert("L")
    result = colorizer.colorize(gray, like=swapped)
    assert mean_difference(result, swapped) < mean_difference(result, flower)


def test_a_reference_is_read_once_for_many(colorizer, flower, tmp_path):
    flower.save(tmp_path / "flower.png")
    gray, reference = flower.convert("L"), colorizer.reference(flower)
    expected = colorizer.colorize(gray, like=flower)
    assert colorizer.colorize(gray, like=reference) == expected
    assert colorizer.colorize(gray, like=tmp_path / "flower.png") == expected
    (tmp_path / "in").mkdir()
    gray.save(tmp_path / "in" / "a.png")
    (result,) = colorize_all(find_jobs(tmp_path / "in", tmp_path / "out"), colorizer, like=reference)
    with Image.open(result.output) as made:
        assert made.tobytes() == expected.tobytes()


def test_hints_of_a_person_come_before_the_reference(colorizer, flower):
    prepared = colorizer.prepare(flower.convert("L"))
    hint = Hint(80, 50, (30, 30, 200))
    hints = prepared.hints_from(colorizer.reference(flower), [hint])
    assert hints[0] == hint and len(hints) > 5
    fractions = [np.hypot((h.x - hint.x) / 160, (h.y - hint.y) / 108) for h in hints[1:]]
    assert min(fractions) >= 0.15


def test_all_hints_of_a_reference_are_used(colorizer, flower):
    """Of a large input the places are more than a photo may have hints."""
    prepared = colorizer.prepare(flower.convert("L"), render_factor=24)
    hint = Hint(80, 50, (30, 30, 200))
    found = prepared.hints_from(colorizer.reference(flower, render_factor=24), [hint])
    assert 50 < len(found) <= MOST and found[0] == hint
    lower = [h for h in found if h.y > 0.9 * prepared.size[1]]
    assert lower, "the foot of the photo as well"


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_a_reference_without_colors(colorizer, mode):
    with pytest.raises(BadReference, match="no colours to take"):
        colorizer.colorize(Image.new("L", (20, 20), 90), like=Image.new("L", (30, 20), 90).convert(mode))


def test_weights_without_an_encoder_take_no_reference(tmp_path, flower):
    save_weights(Pix2Pix("isola", down=3, width=4), tmp_path / "baseline.safetensors")
    with pytest.raises(UsageError, match=r"baseline\.safetensors has no encoder"):
        Colorizer(tmp_path / "baseline.safetensors", "cpu", "float32", 4).reference(flower)


def test_an_encoder_with_four_feature_maps_takes_one(tmp_path, flower):
    save_weights(build_generator("lite", "test_convnext"), tmp_path / "convnext.safetensors")
    colorizer = Colorizer(tmp_path / "convnext.safetensors", "cpu", "float32", 4)
    assert colorizer.reference(flower).features.ndim == 3


def test_a_reference_that_cannot_be_read(colorizer, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    with pytest.raises(BadReference, match=r"letter\.jpg: not a photo"):
        colorizer.reference(tmp_path / "letter.jpg")
    with pytest.raises(BadReference, match=r"none\.jpg: No such file"):
        colorizer.reference(str(tmp_path / "none.jpg"))
