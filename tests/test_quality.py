"""A floor: the shipped generators are as good on a few photos as was recorded (`python tools/record_quality.py`)."""

import pytest

from deoldify_lite.models import shipped
from helpers import quality

RECORDED = quality.recorded()


@pytest.fixture(scope="module", params=sorted(RECORDED))
def pairs(request):
    return request.param, quality.colorized(request.param)


def test_all_that_ships_is_recorded():
    assert RECORDED.keys() == {model.name for model in shipped()}, "run tools/record_quality.py"


def test_colours_are_as_near_to_the_photos_as_they_were(pairs):
    name, pairs = pairs
    measured = quality.measure(pairs)
    assert measured["chroma_psnr"] > RECORDED[name]["chroma_psnr"] - 0.2
    assert measured["hue_error"] < RECORDED[name]["hue_error"] + 1.5
    assert measured["colorfulness"] == pytest.approx(RECORDED[name]["colorfulness"], rel=0.1)


def test_colour_is_better_than_none(pairs):
    gray = [(truth.mean(1, keepdim=True).expand_as(truth), truth) for _, truth in pairs[1]]
    measured, without = quality.measure(pairs[1]), quality.measure(gray)
    assert measured["chroma_psnr"] > without["chroma_psnr"] + 1.5  # more colour costs PSNR wherever it is wrong
    assert measured["hue_error"] < 60, "90 is chance"


def test_lpips_is_as_low_as_it_was(pairs, lpips):
    name, pairs = pairs
    assert quality.measure(pairs, lpips)["lpips"] < RECORDED[name]["lpips"] + 0.004
