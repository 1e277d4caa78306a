"""How far the colour of a hint spreads, on pictures whose borders are known."""

import numpy as np
import pytest

from deoldify_lite.colorize import spreading
from deoldify_lite.colorize.spreading import Spreading

RED = np.array([[-0.1, 0.2]])
LEFT, RIGHT = np.array([[0.2, 0.5]]), np.array([[0.8, 0.5]])


@pytest.fixture(scope="module")
def halves() -> np.ndarray:
    "A darker left half and a lighter right half, with grain and folds as real things have them."
    x = np.linspace(0, 1, 64)
    luma = np.where(x < 0.5, 0.35, 0.6) + 0.04 * np.sin(x * 60)
    return luma[None].repeat(48, 0).astype(np.float32) + np.random.default_rng(0).normal(0, 0.01, (48, 64)).astype(
        np.float32
    )


def flat_features(luma: np.ndarray) -> np.ndarray:
    return np.zeros((1, *luma.shape), np.float32)


def of_halves(luma: np.ndarray) -> np.ndarray:
    "Features by which the halves differ."
    return (np.arange(luma.shape[1]) < luma.shape[1] / 2)[None, None].repeat(luma.shape[0], 1).astype(np.float32)


def means(spread: np.ndarray) -> tuple[float, float]:
    "Mean Cr of the left and of the right half."
    return float(spread[1, :, :30].mean()), float(spread[1, :, 34:].mean())


def spread_on(luma: np.ndarray, features: np.ndarray, places: np.ndarray, differences: np.ndarray) -> np.ndarray:
    return Spreading(luma, np.zeros((2, *luma.shape), np.float32), features).spread(places, differences)


def test_the_hint_itself_is_met(halves):
    spread = spread_on(halves, of_halves(halves), LEFT, RED)
    assert spread.shape == (2, 48, 64) and spread.dtype == np.float32
    assert np.allclose(spread[:, 24, 12], RED[0], rtol=0.02)


def test_the_color_spreads_over_the_thing_and_stops_at_its_border(halves):
    left, right = means(spread_on(halves, of_halves(halves), LEFT, RED))
    assert left > 0.75 * RED[0, 1]
    assert abs(right) < 0.25 * left


def test_luma_alone_stops_it_less(halves):
    left, right = means(spread_on(halves, flat_features(halves), LEFT, RED))
    assert 0 < right < left


def test_two_hints_each_have_their_thing(halves):
    places, colors = np.concatenate([LEFT, RIGHT]), np.concatenate([RED, -RED])
    left, right = means(spread_on(halves, of_halves(halves), places, colors))
    assert left > 0.7 * RED[0, 1] and right < -0.7 * RED[0, 1]


def test_a_second_hint_that_wants_the_prediction_holds_the_other_side(halves):
    features = flat_features(halves)
    _, bleeding = means(spread_on(halves, features, LEFT, RED))
    places, colors = np.concatenate([LEFT, RIGHT]), np.concatenate([RED, 0 * RED])
    _, held = means(spread_on(halves, features, places, colors))
    assert abs(held) < bleeding / 3


def test_hints_that_agree_do_not_add_up_and_those_that_contradict_average(halves):
    features = of_halves(halves)
    once = spread_on(halves, features, LEFT, RED)
    twice = spread_on(halves, features, np.concatenate([LEFT, LEFT]), np.concatenate([RED, RED]))
    assert np.allclose(once, twice, atol=1e-3)
    against = spread_on(halves, features, np.concatenate([LEFT, LEFT]), np.concatenate([RED, -RED]))
    assert np.abs(against).max() < 1e-3


def test_alike_things_that_do_not_touch_take_some():
    luma = np.full((48, 96), 0.5, np.float32)
    luma[:, 32:64] = 0.9
    features = np.zeros((1, 48, 96), np.float32)
    features[..., 32:64] = 1
    spread = spread_on(luma, features, np.array([[0.1, 0.5]]), RED)[1]
    assert spread[:, 64:].mean() > 2 * abs(spread[:, 34:62].mean())


def test_adding_and_removing_hints_gives_what_all_at_once_gives(halves):
    make = lambda: Spreading(halves, np.zeros((2, *halves.shape), np.float32), of_halves(halves))  # noqa: E731
    kept = make()
    first = kept.spread(LEFT, RED)
    both = np.concatenate([LEFT, RIGHT]), np.concatenate([RED, -RED])
    assert np.array_equal(kept.spread(*both), make().spread(*both))
    assert np.array_equal(kept.spread(LEFT, RED), first)


def test_the_result_is_linear_in_what_is_wanted(halves):
    spread = spread_on(halves, of_halves(halves), LEFT, RED)
    assert np.allclose(spread_on(halves, of_halves(halves), LEFT, -2 * RED), -2 * spread, atol=1e-5)


def test_a_large_picture_is_spread_on_a_smaller_grid(halves, monkeypatch):
    whole = spread_on(halves, of_halves(halves), LEFT, RED)
    monkeypatch.setattr(spreading, "MOST_PIXELS", 24 * 32)
    reduced = spread_on(halves, of_halves(halves), LEFT, RED)
    assert reduced.shape == whole.shape
    assert np.abs(means(reduced)[0] - means(whole)[0]) < 0.05


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_the_smallest_pictures(shape):
    spread = spread_on(np.full(shape, 0.5, np.float32), np.zeros((3, *shape), np.float32), np.array([[1.0, 1.0]]), RED)
    assert spread.shape == (2, *shape) and np.isfinite(spread).all()
