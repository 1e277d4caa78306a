"""Several answers for one photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.colorize.folder import find_jobs
from deoldify_lite.colorize.hints import Hint
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.colorize.variants import Region, choose_moves, find_regions
from deoldify_lite.errors import UsageError
from deoldify_lite.samples import sample_photos
from helpers.photo_files import mean_difference


@pytest.fixture(scope="module")
def colorizer(weights) -> Colorizer:
    return Colorizer(weights, "cpu", "float32", 4)


@pytest.fixture(scope="module")
def gray() -> Image.Image:
    with Image.open(sample_photos()["china.jpg"]) as image:
        return image.convert("L").resize((120, 80))


def test_the_first_is_what_colorize_gives_and_the_others_differ(colorizer, gray):
    variants = colorizer.colorize_variants(gray, 4)
    assert len(variants) == 4 and variants[0] == colorizer.colorize(gray)
    for i, one in enumerate(variants):
        assert all(mean_difference(one, other) > 1 for other in variants[:i])


def test_fewer_are_the_first_of_more(colorizer, gray):
    prepared = colorizer.prepare(gray)
    assert prepared.variants(2) == prepared.variants(4)[:2]
    assert prepared.variants(1) == [[]]


def test_hints_of_a_person_stay_in_every_variant(colorizer, gray):
    hint = Hint(60, 20, (200, 30, 30))
    prepared = colorizer.prepare(gray)
    variants = prepared.variants(3, [hint])
    assert all(variant[0] == hint for variant in variants)
    at = [np.asarray(prepared.colorize(v).crop((58, 18, 63, 23)), np.float64).mean((0, 1)) for v in variants]
    assert all(np.abs(color - at[0]).max() < 25 for color in at), "near what was asked for"


@pytest.mark.parametrize("n", [0, -1, 9])
def test_how_many_there_can_be(colorizer, gray, n):
    with pytest.raises(UsageError, match="1 to 8 variants"):
        colorizer.colorize_variants(gray, n)


def test_regions_cover_the_photo_and_have_places_inside(colorizer, gray):
    prepared = colorizer.prepare(gray)
    regions = find_regions(prepared, prepared.prediction, [])
    assert len(regions) >= 2 and sum(region.area for region in regions) == pytest.approx(1)
    for region in regions:
        assert ((region.places >= 0) & (region.places <= 1)).all() and len(region.places) >= 1
        assert np.linalg.norm(region.shift) > 0.05


def test_a_region_with_a_hint_is_left_out(colorizer, gray):
    prepared = colorizer.prepare(gray)
    everything = find_regions(prepared, prepared.prediction, [])
    taken = everything[0].places[0]
    assert len(find_regions(prepared, prepared.prediction, [taken])) == len(everything) - 1


def test_moves_are_far_from_none_and_from_each_other():
    region = Region(np.array([[0.5, 0.5]]), 0.5, np.array([-0.05, 0.05]), np.array([-0.08, 0.06]), 1.0)
    assert choose_moves([region], 2) == [(-1,), (1,)], "first the one with less chroma"
    moves = choose_moves([region, region], 4)
    assert len(set(moves)) == 4 and moves[0] == (-1, -1) and (0, 0) not in moves


@pytest.mark.slow
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(2, 8), st.booleans())
def test_any_photo(colorizer, size, n, flat):
    noise = np.random.default_rng(0).integers(0, 256, size[::-1]).astype(np.uint8)
    variants = colorizer.colorize_variants(Image.new("L", size, 100) if flat else Image.fromarray(noise), n)
    assert len(variants) == n and all(variant.size == size for variant in variants)


def test_a_reference_gives_colors_and_leaves_room_for_others(colorizer, gray):
    with Image.open(sample_photos()["china.jpg"]) as image:
        reference = colorizer.reference(image.convert("RGB").resize((120, 80)))
    prepared = colorizer.prepare(gray)
    variants = prepared.variants(4, [], reference)
    assert variants[0] == prepared.hints_from(reference)
    pictures = [prepared.colorize(hints) for hints in variants]
    for i, one in enumerate(pictures):
        assert all(mean_difference(one, other) > 1 for other in pictures[:i])


def test_more_variants_than_there_are_ways_to_move_are_told(colorizer, gray):
    prepared = colorizer.prepare(gray)
    everywhere = [Hint(x, y, (90, 80, 70)) for x in range(2, 120, 6) for y in range(2, 80, 6)]
    variants = prepared.variants(3, everywhere)
    assert (
        len(variants) == 3 and "only 1 of 3 variants differ: nearly every part of it has a hint" in prepared.photo.notes
    )


def test_a_variant_never_replaces_an_original(colorizer, gray, tmp_path):
    gray.save(tmp_path / "photo_1.png")
    before = (tmp_path / "photo_1.png").read_bytes()
    jobs = find_jobs(tmp_path / "photo_1.png", tmp_path / "photo.png")
    (result,) = colorize_all(jobs, colorizer, variants=2, overwrite=True)
    assert result.status == "failed" and "photo_1.png is the original" in result.error
    assert (tmp_path / "photo_1.png").read_bytes() == before


def test_files_of_variants_are_numbered_and_skipped_when_all_are_there(colorizer, gray, tmp_path):
    (tmp_path / "in").mkdir()
    gray.save(tmp_path / "in" / "a.png")
    jobs = find_jobs(tmp_path / "in", tmp_path / "out")
    (result,) = colorize_all(jobs, colorizer, variants=3)
    assert result.variants == [str(tmp_path / "out" / f"a_{i}.png") for i in (1, 2, 3)]
    assert result.output == result.variants[0]
    for path, expected in zip(result.variants, colorizer.colorize_variants(gray, 3)):
        with Image.open(path) as made:
            assert made.tobytes() == expected.tobytes()
    assert [r.status for r in colorize_all(jobs, colorizer, variants=3)] == ["skipped"]
    (tmp_path / "out" / "a_2.png").unlink()
    assert [r.status for r in colorize_all(jobs, colorizer, variants=3)] == ["done"]
