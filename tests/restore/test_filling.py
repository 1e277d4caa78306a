"What is unknown is filled in from around it, smoothly, and nothing else changes."

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deoldify_lite.restore.filling import NOTHING, fill_smoothly


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_only_the_unknown_changes_and_stays_between_the_known(height, width, part, seed):
    generator = torch.Generator().manual_seed(seed)
    luma = torch.rand(1, 1, height, width, generator=generator)
    unknown = torch.rand(1, 1, height, width, generator=generator) < part
    filled = fill_smoothly(luma, unknown)
    assert torch.equal(filled[~unknown], luma[~unknown])
    known = luma[~unknown] if not unknown.all() else torch.tensor([NOTHING])
    assert known.min() - 1e-5 <= filled.min() and filled.max() <= known.max() + 1e-5
    assert torch.equal(filled, fill_smoothly(torch.where(unknown, 9.0, luma), unknown)), "the unknown has no influence"


@pytest.mark.parametrize("hole", [slice(30, 33), slice(20, 44)])
def test_a_slope_goes_on_under_a_hole(hole):
    slope = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    unknown = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    unknown[..., hole] = True
    error = (fill_smoothly(slope, unknown) - slope).abs().max()
    width = (hole.stop - hole.start) / 64
    assert error < width / 4, "a quarter of what the slope rises there; the mean of all would be off by more"
