"""Made damage: the mask covers what changed, a seed decides all, kinds for validation are not trained on."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deoldify_lite import color
from deoldify_lite.modeling.restorer import HOLE
from deoldify_lite.presets import preset
from deoldify_lite.samples import sample_photos
from deoldify_lite.schedule import Damage, Degradation
from deoldify_lite.training.damage import (
    HELD_OUT,
    HELD_OUT_STRENGTHS,
    KINDS,
    VISIBLE,
    _trained_strength,
    add_damage,
    add_kind,
    restoration_pair,
)
from deoldify_lite.training.data import step_generator

ALL = [*KINDS, *HELD_OUT]
NO_KIND = dict.fromkeys(KINDS, 0.0)


@pytest.fixture(scope="module")
def luma() -> torch.Tensor:
    images = [Image.open(path).convert("L").resize((96, 96)) for path in sample_photos().values()]
    return torch.from_numpy(np.stack([np.asarray(i) for i in images] * 4))[:, None].float() / 255


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(24, 90), st.integers(24, 90)),
    scale=st.floats(0.5, 4),
    strength=st.floats(0, 1),
)
def test_the_mask_covers_exactly_what_changed(kind, seed, shape, scale, strength):
    y = np.random.default_rng(seed).random(shape, np.float32)
    damaged, mask = add_kind(y, kind, np.random.default_rng(seed), scale, strength)
    assert damaged.shape == mask.shape == shape and mask.dtype == bool
    assert np.array_equal(damaged[~mask], y[~mask])
    assert (np.abs(damaged - y)[mask] > VISIBLE).all()
    assert damaged.min() >= 0 and damaged.max() <= 1


@pytest.mark.parametrize("kind", ALL)
def test_each_kind_shows_and_spares_most_of_the_photo(kind, luma):
    parts = [add_kind(y.numpy(), kind, np.random.default_rng(i), 1.0, 0.7)[1].mean() for i, y in enumerate(luma[:, 0])]
    assert 0.001 < np.mean(parts) < 0.5


def test_batches_are_equal_outside_of_their_masks(luma):
    damaged, clean, mask = add_damage(luma, Damage(), step_generator(0, "damage"))
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(damaged[mask == 0], clean[mask == 0])
    changed = (damaged - clean).abs()[mask > 0]
    assert ((changed > VISIBLE) | (damaged[mask > 0] == HOLE)).all()


def test_damage_hangs_on_the_generator_alone(luma):
    first = add_damage(luma, Damage(), step_generator(3))
    assert all(torch.equal(a, b) for a, b in zip(first, add_damage(luma, Damage(), step_generator(3))))
    assert not torch.equal(first[2], add_damage(luma, Damage(), step_generator(4))[2])


def test_one_photos_damage_does_not_hang_on_another(luma):
    others = luma.clone()
    others[1:] = others[1:].flip(-1)
    first, second = (add_damage(x, Damage(), step_generator(5))[2][0] for x in (luma, others))
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schedule_decides_which_kinds(kind, luma, monkeypatch):
    drawn = []
    for name, function in KINDS.items():
        monkeypatch.setitem(KINDS, name, lambda *a, name=name, function=function: drawn.append(name) or function(*a))
    add_damage(luma, replace(Damage(probability=1.0), **NO_KIND | {kind: 1.0}), step_generator(0))
    assert drawn == [kind] * len(luma)


def test_clean_photos_stay_clean(luma):
    damage = replace(Damage(), probability=0, frames=0, captions=0, holes=0, scan_blur=0, scan_jpeg=0)
    damaged, clean, mask = add_damage(luma, damage, step_generator(0))
    assert not mask.any() and torch.allclose(damaged, luma, atol=1e-6) and torch.equal(damaged, clean)


def test_frames_and_captions_are_no_damage(luma):
    damage = replace(Damage(), probability=0, frames=1, captions=1, holes=0, scan_blur=0, scan_jpeg=0)
    damaged, clean, mask = add_damage(luma, damage, step_generator(0))
    assert not mask.any() and torch.equal(damaged, clean)
    assert ((damaged - luma).abs().amax((1, 2, 3)) > 0.2).all()


def test_holes_are_masked_and_hide_the_photo(luma):
    damaged, _, mask = add_damage(luma, replace(Damage(), probability=0, holes=2), step_generator(0))
    hole = damaged == HOLE
    assert hole.any() and torch.equal(hole, mask > 0)


def test_training_never_sees_what_validation_is_for(luma):
    assert not KINDS.keys() & HELD_OUT.keys()
    assert {f.name for f in fields(Damage)} >= KINDS.keys() and not {f.name for f in fields(Damage)} & HELD_OUT.keys()
    strengths = np.array([_trained_strength(np.random.default_rng(i)) for i in range(500)])
    low, high = HELD_OUT_STRENGTHS
    assert not ((strengths > low) & (strengths < high)).any()
    assert strengths.min() < 0.05 and strengths.max() > 0.95


def test_input_and_target_of_a_restorer(luma):
    schedule = replace(preset("restore"), degradation=Degradation(probability=1.0))
    gray, target = restoration_pair(luma.expand(-1, 3, -1, -1), schedule, step_generator(0))
    assert gray.shape == (len(luma), 3, 96, 96) and target.shape == (len(luma), 4, 96, 96)
    given, mask = color.denormalize(gray), target[:, 3:] > 0
    assert (given[:, :1] - given).abs().max() < 1e-5
    difference = (given[:, :1] - target[:, :1]).abs()
    assert difference[~mask].max() < 1e-5 < difference[mask].mean()
    assert target.min() >= 0 and target.max() <= 1
