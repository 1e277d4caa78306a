"""Pixels change only under the mask; tiles leave no seams; any size, either depth."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deoldify_lite.modeling.restorer import RestorerUnet
from deoldify_lite.photo import BadPhoto, Photo
from deoldify_lite.restore import engine as module
from deoldify_lite.restore.engine import Restoration, opacity, tiles
from deoldify_lite.restore.restorer import Restorer
from deoldify_lite.samples import sample_photos


@pytest.fixture(scope="module")
def luma() -> np.ndarray:
    return np.asarray(Image.open(sample_photos()["flower.jpg"]).convert("L").resize((230, 170)))


def test_pixels_change_only_under_the_mask(restorer, luma):
    found = restorer.engine.find(luma)
    restorer.engine.tone = False
    restored = restorer.engine.restored(Photo(luma), found).luma
    assert 0.02 < (found.mask > 0).mean() < 0.98, "a test of nothing"
    assert np.array_equal(restored[found.mask == 0], luma[found.mask == 0])
    full = found.mask == 255
    assert np.array_equal(restored[full], found.fill[full]) and not np.array_equal(restored[full], luma[full])


def test_16_bit_is_restored_in_16_bit(restorer, luma):
    deep = luma.astype(np.uint16) * 257 + 3
    restorer.engine.tone = False
    found = restorer.engine.find(deep)
    restored = restorer.engine.restored(Photo(deep), found).luma
    assert restored.dtype == np.uint16 and np.array_equal(restored[found.mask == 0], deep[found.mask == 0])
    shallow = restorer.engine.find(luma)
    assert (found.mask == shallow.mask).mean() > 0.98
    both = (found.mask == 255) & (shallow.mask == 255)
    assert np.abs(found.fill[both] / 257 - shallow.fill[both]).mean() < 1
    assert len(np.unique(found.fill[both] % 257)) > 10, "not 8 bit in disguise"


def test_strength_is_a_part_of_the_way(restorer, luma):
    restorer.engine.tone = False
    found, photo = restorer.engine.find(luma), Photo(luma)
    assert np.array_equal(restorer.engine.restored(photo, found, 0.0).luma, luma)
    half, whole = (restorer.engine.restored(photo, found, s).luma.astype(float) for s in (0.5, 1.0))
    assert np.abs(half - (luma + whole) / 2).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (170, 33)])
def test_odd_sizes(restorer, shape):
    found = restorer.engine.find(np.full(shape, 90, np.uint8))
    assert found.mask.shape == found.fill.shape == shape


def test_tiles_leave_no_seams(restorer, luma, monkeypatch):
    """In tiles as in one piece, to rounding: what the network sees around a tile suffices."""
    photo = np.tile(luma, (3, 2))
    whole = restorer.engine.find(photo)
    monkeypatch.setattr(module, "TILE", 224)
    tiled = restorer.engine.find(photo)
    assert len(list(tiles(photo.shape))) == 9
    assert (tiled.mask != whole.mask).mean() < 1e-3
    both = (tiled.mask == 255) & (whole.mask == 255)
    assert np.abs(tiled.fill[both].astype(int) - whole.fill[both]).max() <= 1


@settings(deadline=None)
@given(st.integers(1, 9000), st.integers(1, 9000))
def test_tiles_cover_each_pixel_once(height, width):
    rows, columns = set(), set()
    for (row, column), (wide_row, wide_column) in tiles((height, width)):
        assert wide_row.start <= row.start and row.stop <= wide_row.stop <= height
        assert wide_row.start % 32 == wide_column.start % 32 == 0, "else squares of pixels are not the photo's"
        assert wide_row.stop - wide_row.start <= module.TILE + 2 * module.MARGIN
        rows.add((row.start, row.stop))
        columns.add((column.start, column.stop))
    for parts, side in ((rows, height), (columns, width)):
        ordered = sorted(parts)
        assert ordered[0][0] == 0 and ordered[-1][1] == side
        assert all(a[1] == b[0] for a, b in pairwise(ordered))


def test_a_given_mask_is_used_as_it_is(restorer, luma):
    mask = np.zeros_like(luma)
    mask[40:60, 50:90] = 255
    restored = restorer.restore_photo(Photo(luma), mask=mask).luma
    restorer.engine.tone = False
    restored = restorer.restore_photo(Photo(luma), mask=mask).luma
    assert np.array_equal(restored[mask == 0], luma[mask == 0]) and (restored != luma)[mask > 0].mean() > 0.9


def test_what_is_under_a_given_mask_has_no_influence(restorer, luma):
    mask = np.zeros_like(luma)
    mask[40:60, 50:90] = 255
    other = luma.copy()
    other[mask > 0] = 255
    first, second = (restorer.engine.find(y, mask).fill for y in (luma, other))
    assert np.array_equal(first, second)


def test_large_photos_are_seen_in_half_first(restorer, luma, monkeypatch):
    """... and still change under the mask alone."""
    sizes, look = [], restorer.engine._opacity
    monkeypatch.setattr(restorer.engine, "_opacity", lambda y: sizes.append(y.shape) or look(y))
    monkeypatch.setattr(module, "LARGE", 50)
    restorer.engine.tone = False
    found = restorer.engine.find(luma)
    assert sizes == [(42, 57), (85, 115), (170, 230)]
    restored = restorer.engine.restored(Photo(luma), found).luma
    assert np.array_equal(restored[found.mask == 0], luma[found.mask == 0]) and (found.mask > 0).any()


def test_the_copys_mask_and_fill_are_enlarged_in_place(luma):
    mask, fill = np.zeros((50, 60), np.uint8), np.zeros((50, 60), np.uint8)
    mask[20:30, 10:40], fill[20:30, 10:40] = 255, 200
    small = Restoration(mask, fill)
    whole, under = small.enlarged((100, 120), (slice(0, 100), slice(0, 120)))
    assert (whole[42:58, 22:78] == 1).all() and whole[:37].max() == 0 and whole[:, 84:].max() == 0
    assert np.abs(under[whole > 0.1] - 200 / 255).max() < 1e-3
    part, _ = small.enlarged((100, 120), (slice(32, 100), slice(16, 120)))
    assert np.abs(part - whole[32:, 16:]).max() < 1e-3, "tiles fit together"


def test_wide_given_masks_are_filled_to_their_middle(restorer, luma):
    mask = np.zeros_like(luma)
    mask[30:140, 40:200] = 255
    found = restorer.engine.find(np.where(mask > 0, luma, np.uint8(120)), mask)
    assert np.array_equal(found.mask, mask) and np.abs(found.fill[mask > 0].astype(int) - 120).max() < 2


def test_a_mask_of_another_size_is_refused(restorer, luma):
    with pytest.raises(BadPhoto, match=r"mask is of 10 x 20 pixels and the photo of 230 x 170"):
        restorer.engine.find(luma, np.zeros((20, 10), np.uint8))


def test_what_is_not_finite_is_refused(restorer, luma):
    with torch.no_grad():
        restorer.engine.restorer.head.bias.fill_(float("nan"))
    with pytest.raises(BadPhoto, match="not finite"):
        restorer.engine.find(luma)


def test_a_lower_threshold_finds_more(restorer_weights, luma):
    low, high = (Restorer(restorer_weights, "cpu", "float32", threshold=t).engine.find(luma).mask for t in (0.2, 0.8))
    assert ((low > 0) | (high == 0)).all() and (low > 0).sum() > (high > 0).sum()


def test_bfloat16_finds_about_the_same(restorer_weights, luma):
    masks = [Restorer(restorer_weights, "cpu", p).engine.find(luma).mask > 0 for p in ("float32", "bfloat16")]
    assert (masks[0] == masks[1]).mean() > 0.9


def test_edges_are_soft_and_damage_is_covered():
    chance = torch.zeros(1, 1, 20, 20)
    chance[..., 8:12, 8:12] = 0.9
    alpha = opacity(chance, 0.5)[0, 0]
    assert (alpha[8:12, 8:12] == 1).all() and 0 < alpha[7, 7] < 1 and alpha[:7].max() == 0


def test_the_usual_network_sees_no_farther_than_the_margin():
    """... as far as it matters: a pixel beyond it moves nothing by a hundredth of a level."""
    torch.manual_seed(0)
    network = RestorerUnet().eval()
    y = torch.rand(1, 1, 512, 64)
    other = y.clone()
    other[..., module.MARGIN + 32 :, :] = 1 - other[..., module.MARGIN + 32 :, :]
    with torch.inference_mode():
        first, second = network(y), network(other)
    for a, b in zip(first, second):
        assert (a - b)[..., :32, :].abs().max() < 1 / 25500
