"""Hints made of photos: as many, as large and where Zhang et al. (2017) have them."""

import pytest
import torch

from deoldify_lite.training.simulated_hints import LARGEST, reveal, reveal_patches, simulate_hints

SIZE = 64


@pytest.fixture(scope="module")
def many() -> tuple[torch.Tensor, torch.Tensor]:
    "2000 pictures and their hints."
    chroma = torch.rand(2000, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) - 0.5
    return chroma, simulate_hints(chroma, torch.Generator().manual_seed(1))


def test_some_pictures_have_no_hints_and_a_few_all_colours(many):
    chroma, hints = many
    area = hints[:, 2].mean((1, 2))
    assert (area == 0).float().mean() == pytest.approx(1 / 8, abs=0.03), "geometric with p = 1/8"
    everything = area == 1
    assert everything.float().mean() == pytest.approx(0.01, abs=0.008)
    assert torch.equal(hints[everything, :2], chroma[everything])
    # 7 patches of 31.7 pixels on average, of which some overlap.
    assert 100 < float(area[~everything].mean()) * SIZE**2 < 7 * 31.7


def test_a_hint_is_the_mean_chroma_of_its_patch():
    chroma = torch.rand(2, SIZE, SIZE)
    hints = torch.zeros(3, SIZE, SIZE)
    reveal(hints, chroma, [0.5, 0.25], 5)
    rows, columns = hints[2].nonzero().unbind(1)
    top, left = int(rows.min()), int(columns.min())
    assert (top, left) == (round(0.5 * (SIZE - 5)), round(0.25 * (SIZE - 5)))
    assert hints[2].sum() == 25 and int(rows.max()) == top + 4 and int(columns.max()) == left + 4
    patch = hints[:2, top : top + 5, left : left + 5]
    assert torch.allclose(patch, chroma[:, top : top + 5, left : left + 5].mean((1, 2), keepdim=True).expand_as(patch))


def test_chroma_is_zero_where_there_is_no_hint(many):
    _, hints = many
    assert (hints[:, :2] * (1 - hints[:, 2:])).abs().max() == 0
    assert set(hints[:, 2].unique().tolist()) == {0.0, 1.0}


def test_places_are_around_the_middle_and_everywhere(many):
    _, hints = many
    where = hints[hints[:, 2].mean((1, 2)) < 1, 2].mean(0)
    inner, corner = where[24:40, 24:40].mean(), where[4:12, 4:12].mean()
    assert inner > 1.5 * corner > 0, "normally distributed in one half of the pictures"


def test_the_same_generator_gives_the_same_hints():
    chroma = torch.rand(8, 2, SIZE, SIZE)
    first, second, third = (simulate_hints(chroma, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_patches_for_scores():
    chroma = torch.rand(3, 2, SIZE, SIZE)
    assert reveal_patches(chroma, 0, 4, torch.Generator()).abs().max() == 0
    hints = reveal_patches(chroma, 3, 4, torch.Generator().manual_seed(0))
    assert all(16 <= area <= 48 for area in hints[:, 2].sum((1, 2)))


def test_pictures_smaller_than_a_patch():
    chroma = torch.rand(4, 2, LARGEST - 4, LARGEST - 2)
    hints = simulate_hints(chroma, torch.Generator().manual_seed(0))
    assert hints.isfinite().all()
