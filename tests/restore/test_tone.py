"""The curve of tone: smooth, monotone, and deaf to frames, stamps and burnt corners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deoldify_lite.restore.tone import BLACK, LARGEST_GAIN, WHITE, apply_curve, tone_curve, tone_points
from deoldify_lite.samples import sample_photos
from helpers.photo_files import noise


@pytest.fixture(scope="module", params=["grace_hopper.jpg", "china.jpg", "flower.jpg"])
def photo(request) -> np.ndarray:
    return np.asarray(Image.open(sample_photos()[request.param]).convert("L"))


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_curve_is_monotone_and_smooth_and_keeps_black_and_white(a, b, strength):
    curve = tone_curve(min(a, b), max(a, b), strength)
    step = np.diff(curve)
    assert curve[0] == 0 and curve[-1] == pytest.approx(1) and (step >= 0).all()
    if min(a, b) > 0.01 and max(a, b) < 0.99:
        assert step.max() * len(step) < 4 / min(1 - max(a, b), min(a, b), 0.25)
        assert np.abs(np.diff(step)).max() < step.max() / 10, "no corner"


def test_strength_nothing_is_the_identity():
    assert np.abs(tone_curve(0.3, 0.6, 0.0) - np.linspace(0, 1, 65536)).max() == 0


def test_full_tones_stay():
    curve = tone_curve(0.01, 0.99)
    assert np.abs(curve - np.linspace(0, 1, len(curve))).max() < 0.01


def test_faded_photos_get_black_and_white_back(photo):
    faded = np.rint(60 + photo * 0.45).astype(np.uint8)
    black, white = tone_points(photo)
    restored = apply_curve(faded, tone_curve(*tone_points(faded)))
    low, high = tone_points(restored)
    assert low < max(black, BLACK) + 0.05 and high > min(white, WHITE) - 0.05
    before, after = (np.abs(y.astype(float) - photo).mean() for y in (faded, restored))
    assert after < before / 2


def test_never_steeper_than_grain_allows():
    curve = tone_curve(0.45, 0.55)
    middle = len(curve) // 2
    assert (curve[middle + 300] - curve[middle - 300]) / (600 / len(curve)) < 1.3 * LARGEST_GAIN


def _with(photo: np.ndarray, what: str) -> np.ndarray:
    y = np.rint(70 + photo * 0.4).astype(np.uint8)  # faded
    height, width = y.shape
    if what == "white frame":
        return np.pad(y, 40, constant_values=250)
    if what == "black frame":
        return np.pad(y, ((30, 50), (20, 20)), constant_values=3)
    if what == "stamp":
        y[height - 60 : height - 20, 20 : 20 + width // 6] = 0
    elif what == "burnt corner":
        y[: height // 8, : width // 8] = 255
    elif what == "specks":
        y[np.random.default_rng(0).random(y.shape) < 0.003] = 255
    return y


@pytest.mark.parametrize("what", ["white frame", "black frame", "stamp", "burnt corner", "specks"])
def test_what_is_not_the_picture_does_not_count(photo, what):
    assert tone_points(_with(photo, what)) == pytest.approx(tone_points(_with(photo, "")), abs=0.06)


def test_both_depths_alike(photo):
    deep = photo.astype(np.uint16) * 257
    assert tone_points(deep) == tone_points(photo)
    curve = tone_curve(0.2, 0.7)
    assert np.abs(apply_curve(deep, curve) / 257 - apply_curve(photo, curve)).max() <= 0.51


@pytest.mark.parametrize("shape", [(4, 384), (5, 40), (6, 384), (8, 384), (9, 9)])
def test_tiny_pictures_with_flat_edges(shape):
    y = np.full(shape, 200, np.uint8)
    y[shape[0] // 2 - 1 : shape[0] // 2 + 1] = noise(2, shape[1])
    assert 0 <= tone_points(y)[0] <= tone_points(y)[1] <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (5, 3)])
def test_tiny_and_flat_pictures(shape):
    flat = np.full(shape, 128, np.uint8)
    assert np.array_equal(apply_curve(flat, tone_curve(*tone_points(flat))), flat)
