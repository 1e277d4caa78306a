"""Hints: their form, their files, the chroma that they ask for, and what becomes of a photo that has some."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from deoldify_lite import Colorizer, DeOldifyColorizer
from deoldify_lite.bt601 import CHROMA_TO_RGB, LUMA_WEIGHTS
from deoldify_lite.colorize.folder import find_jobs
from deoldify_lite.colorize.hints import (
    MOST,
    BadHints,
    Hint,
    check_hints,
    color_of,
    format_hints,
    hints_beside,
    parse_color,
    parse_hints,
    read_hints,
    wanted_chroma,
    write_hints,
)
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.errors import UsageError
from deoldify_lite.photo import Photo
from deoldify_lite.samples import sample_photos

SIZE = (64, 48)
quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)
channels = st.tuples(*(st.integers(0, 255),) * 3)
hints_inside = st.builds(Hint, st.floats(0, SIZE[0]), st.floats(0, SIZE[1]), channels)


@pytest.fixture(scope="module")
def colorizer(weights) -> Colorizer:
    return Colorizer(weights, "cpu", "float32", 4)


@pytest.fixture(scope="module")
def gray() -> Image.Image:
    with Image.open(sample_photos()["grace_hopper.jpg"]) as image:
        return image.convert("L").resize((128, 150))


# The colour that a hint asks for


@quick
@given(channels)
def test_at_its_own_luma_a_hint_asks_for_its_own_color(color):
    own = sum(weight * channel / 255 for weight, channel in zip(LUMA_WEIGHTS, color))
    assert np.allclose(color_of(own, *wanted_chroma(color, own)), color, atol=1)


@quick
@given(channels, st.floats(0, 1))
def test_at_any_luma_it_keeps_the_hue_and_stays_in_gamut(color, luma):
    cb, cr = wanted_chroma(color, luma)
    rgb = [luma + b * cb + r * cr for b, r in CHROMA_TO_RGB]
    assert min(rgb) >= -1e-9 and max(rgb) <= 1 + 1e-9
    own = sum(weight * channel / 255 for weight, channel in zip(LUMA_WEIGHTS, color))
    own_cb, own_cr = wanted_chroma(color, own)
    assert abs(cb * own_cr - cr * own_cb) < 1e-9 and cb * own_cb + cr * own_cr >= 0


def test_darker_it_keeps_the_saturation():
    cb, cr = wanted_chroma((200, 100, 100), 0.2)
    rgb = [0.2 + b * cb + r * cr for b, r in CHROMA_TO_RGB]
    assert math.isclose(min(rgb) / max(rgb), 0.5, abs_tol=1e-6)


# Their form


@pytest.mark.parametrize(
    ("given_as", "color"),
    [
        ("#a01818", (160, 24, 24)),
        ("#f00", (255, 0, 0)),
        (" DarkRed ", (139, 0, 0)),
        ("rgb(1, 2, 3)", (1, 2, 3)),
        ("hsl(0, 100%, 50%)", (255, 0, 0)),
        ("#a0181880", (160, 24, 24)),
        ((1, 2, 3), (1, 2, 3)),
        ([254.6, 0, 0], (255, 0, 0)),
        (np.array([7, 8, 9], np.uint8), (7, 8, 9)),
    ],
)
def test_colors(given_as, color):
    assert parse_color(given_as) == color


@pytest.mark.parametrize(
    "nonsense",
    ["reddish", "", "#12", None, 7, (1, 2), (1, 2, 3, 4), (0, 0, 256), (-1, 0, 0), (math.nan, 0, 0), "x" * 999],
)
def test_what_is_no_color_is_said_in_one_sentence(nonsense):
    with pytest.raises(BadHints, match=r"hint 1: .* is no colour") as caught:
        check_hints([(1, 1, nonsense)], SIZE)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("place", [(-1, 0), (65, 0), (0, 48.5), (math.nan, 0), (math.inf, 0)])
def test_a_hint_outside_of_the_photo(place):
    with pytest.raises(BadHints, match=r"hint 2 at .* is outside of the photo, which has 64 x 48 pixels"):
        check_hints([(0, 0, "red"), (*place, "red")], SIZE)


@pytest.mark.parametrize("nonsense", [(1, 2), None, 5, "abc", (1, None, "red"), ("left", 2, "red")])
def test_a_hint_of_another_form(nonsense):
    with pytest.raises(BadHints, match="hint 1 is not of the form"):
        check_hints([nonsense], SIZE)


def test_thousands_of_hints_are_clipped_with_a_note():
    checked, notes = check_hints([(1, 1, "red")] * 5000, SIZE)
    assert len(checked) == MOST and notes == [f"has more than {MOST} hints, of which the first {MOST} were used"]


# Their files


@quick
@given(st.lists(hints_inside, max_size=5))
def test_a_file_gives_back_what_was_written(hints):
    assert parse_hints(format_hints(hints, SIZE), SIZE) == (hints, [])


def test_a_file_is_written_and_read(tmp_path):
    write_hints(tmp_path / "a.hints.json", [(1.5, 2, "red")], SIZE)
    assert read_hints(tmp_path / "a.hints.json", SIZE) == ([Hint(1.5, 2, (255, 0, 0))], [])
    assert json.loads((tmp_path / "a.hints.json").read_text()) == {
        "version": 1,
        "width": 64,
        "height": 48,
        "hints": [{"x": 1.5, "y": 2.0, "color": "#ff0000"}],
    }


def test_a_file_written_by_hand_may_be_a_list():
    assert parse_hints('[[1, 2, "red"], {"x": 3, "y": 4, "color": [0, 0, 255]}]', SIZE)[0] == [
        Hint(1, 2, (255, 0, 0)),
        Hint(3, 4, (0, 0, 255)),
    ]


def test_a_file_for_a_copy_of_another_size_is_scaled():
    text = format_hints([Hint(64, 48, (1, 2, 3))], (128, 96))
    assert parse_hints(text, SIZE) == ([Hint(32, 24, (1, 2, 3))], ["its hints are for 128 x 96 pixels and were scaled"])
    assert parse_hints(format_hints([Hint(99, 66, (1, 2, 3))], (99, 66)), (33, 22))[0] == [Hint(33, 22, (1, 2, 3))]


@quick
@given(st.integers(100, 3000), st.integers(100, 3000))
def test_a_hint_in_the_corner_of_a_copy_stays_in_the_photo(width, copy):
    text = format_hints([Hint(copy, copy, (1, 2, 3))], (copy, copy))
    assert parse_hints(text, (width, width))[0] == [Hint(width, width, (1, 2, 3))]


def test_a_file_takes_no_more_hints_than_count(tmp_path):
    with pytest.raises(BadHints, match=f"more than {MOST} hints"):
        write_hints(tmp_path / "a.hints.json", [(1, 1, "red")] * (MOST + 1), SIZE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"5", "not a file of hints"),
        (b'{"a": 1}', "not a file of hints"),
        (b'{"version": 2, "hints": []}', "version 2 of the file is not known"),
        (b'{"width": 48, "height": 64, "hints": []}', "for a photo of 48 x 64 pixels, and this one has 64 x 48"),
        (b'{"width": -1, "height": 5, "hints": []}', "width and height are not those of a photo"),
        (b'{"width": 64, "hints": []}', "width and height are not those of a photo"),
        (b'[{"x": 1, "y": 2}]', "a hint is not of the form"),
        (b"[3]", "a hint is not of the form"),
        (b'[[1, 2, "reddish"]]', "'reddish' is no colour"),
        (b'[[900, 2, "red"]]', "outside of the photo"),
        (b'[[NaN, 2, "red"]]', "outside of the photo"),
    ],
)
def test_a_bad_file_is_said_in_one_sentence_with_its_name(tmp_path, content, sentence):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadHints, match=rf"a\.json: .*{sentence}"):
        read_hints(tmp_path / "a.json", SIZE)


def test_a_missing_and_an_enormous_file(tmp_path):
    with pytest.raises(BadHints, match="No such file"):
        read_hints(tmp_path / "none.json", SIZE)
    (tmp_path / "big.json").write_bytes(b" " * 10_000_001)
    with pytest.raises(BadHints, match="too large"):
        read_hints(tmp_path / "big.json", SIZE)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["version", "width", "height", "hints", "x", "y", "color"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(json_values.map(json.dumps) | st.binary(max_size=40))
@example('{"hints": [{"x": 1e999, "y": 1, "color": "red"}]}')
def test_no_file_of_hints_is_a_surprise(content):
    try:
        hints, _ = parse_hints(content, SIZE)
    except BadHints as error:
        assert "\n" not in str(error) and len(str(error)) < 300
    else:
        assert all(0 <= hint.x <= 64 and 0 <= hint.y <= 48 for hint in hints)


def test_the_file_beside_a_photo(tmp_path):
    photo = tmp_path / "a.jpg"
    assert hints_beside(photo) is None
    (tmp_path / "a.hints.json").write_text("[]")
    assert hints_beside(photo) == tmp_path / "a.hints.json"
    (tmp_path / "a.jpg.hints.json").write_text("[]")
    assert hints_beside(photo) == tmp_path / "a.jpg.hints.json"


# What becomes of a photo


def rgb_at(image: Image.Image, x: float, y: float) -> np.ndarray:
    "The mean colour of the 7 x 7 pixels around a place."
    return np.asarray(image.convert("RGB").crop((x - 3, y - 3, x + 4, y + 4)), np.float64).mean((0, 1))


def test_without_hints_nothing_changes_by_a_bit(colorizer, gray):
    plain = colorizer.colorize(gray)
    prepared = colorizer.prepare(gray)
    assert plain == colorizer.colorize(gray, hints=[]) == prepared.colorize() == prepared.colorize([])
    assert prepared.chroma() is prepared.prediction


def test_the_place_of_a_hint_takes_its_hue_and_keeps_its_luma(colorizer, gray):
    x, y = 64, 75  # the face
    for color, strongest in (("#c02020", 0), ("#20c020", 1), ("#2020c0", 2)):
        result = colorizer.colorize(gray, hints=[(x, y, color)])
        assert rgb_at(result, x, y).argmax() == strongest
        luma = np.asarray(result, np.float64) @ np.array(LUMA_WEIGHTS)
        assert np.abs(luma - np.asarray(gray)).max() <= 1


def test_a_gray_hint_makes_a_place_gray(colorizer, gray):
    prepared = colorizer.prepare(gray)
    row, column = np.unravel_index(np.abs(prepared.prediction).sum(0).argmax(), prepared.luma.shape)
    place = ((column + 0.5) / prepared.luma.shape[1] * gray.width, (row + 0.5) / prepared.luma.shape[0] * gray.height)
    before, after = (
        np.abs(chroma[:, row, column]).max() for chroma in (prepared.prediction, prepared.chroma([(*place, "gray")]))
    )
    assert after < before / 20


def test_hints_of_a_prepared_photo_are_those_of_colorize_in_any_order_of_calls(colorizer, gray):
    first, second = (64, 75, "#c02020"), (20, 20, (0, 0, 200))
    prepared = colorizer.prepare(gray)
    one = prepared.colorize([first])
    both = prepared.colorize([first, second])
    assert one == colorizer.colorize(gray, hints=[first]) == prepared.colorize([first])
    assert both == colorizer.colorize(gray, hints=[first, second]) and both != one
    assert prepared.colorize([first], strength=0.5) == colorizer.colorize(gray, 0.5, hints=[first])


def test_threads_may_share_a_prepared_photo(colorizer, gray):
    prepared = colorizer.prepare(gray)
    sets = [[(x, 75, "#c02020"), (x, 20, "blue")] for x in range(10, 120, 10)]
    alone = [colorizer.prepare(gray).colorize(hints) for hints in sets]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(prepared.colorize, sets)) == alone


def test_a_result_for_the_screen_is_smaller_and_hints_stay_where_they_are(colorizer, gray):
    transparent = gray.copy()
    transparent.putalpha(gray)
    small = colorizer.prepare(transparent).colorize([(64, 75, "#c02020")], longest_side=75)
    assert small.size == (64, 75) and small.mode == "RGBA"
    assert rgb_at(small, 32, 37).argmax() == 0
    assert colorizer.prepare(gray).colorize(longest_side=1000).size == gray.size


def test_places_are_those_of_the_upright_photo(colorizer, gray):
    turned = gray.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[274] = 6  # to be turned back
    assert colorizer.colorize(turned, hints=[(64, 140, "red")]) == colorizer.colorize(gray, hints=[(64, 140, "red")])


@pytest.mark.slow
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.data())
def test_any_hints_on_any_size(colorizer, size, data):
    inside = st.tuples(st.floats(0, size[0]), st.floats(0, size[1]), channels)
    hints = data.draw(st.lists(inside, min_size=1, max_size=6))
    levels = data.draw(st.sampled_from([0, 100, 255, None]))
    noise = np.random.default_rng(0).integers(0, 256, size[::-1]).astype(np.uint8)
    image = Image.fromarray(noise) if levels is None else Image.new("L", size, levels)
    result = colorizer.colorize(image, hints=hints)
    luma = np.asarray(result, np.float64) @ np.array(LUMA_WEIGHTS)
    assert np.abs(luma - np.asarray(image)).max() <= 1


def test_16_bit_stays_16_bit(colorizer):
    photo = Photo(np.random.default_rng(0).integers(0, 65536, (40, 30)).astype(np.uint16))
    pixels = colorizer.colorize_photo(photo, hints=[(10, 10, "red")])
    assert pixels.dtype == np.uint16 and np.abs(pixels @ np.array(LUMA_WEIGHTS) - photo.luma).max() <= 1


def test_too_many_hints_leave_a_note(colorizer, gray):
    prepared = colorizer.prepare(gray)
    prepared.chroma([(1, 1, "red")] * (MOST + 1))
    assert any("hints" in note for note in prepared.photo.notes)


def test_deoldifys_way_has_no_hints(weights, gray):
    with pytest.raises(UsageError, match="usual way of colorizing"):
        DeOldifyColorizer(weights, "cpu", "float32", 3).colorize(gray, hints=[(1, 1, "red")])


# Files


def test_a_file_of_hints_for_a_file(colorizer, gray, tmp_path):
    gray.save(tmp_path / "a.png")
    hints = [(64, 75, "#c02020")]
    write_hints(tmp_path / "my.json", hints, gray.size)
    for given_as in (hints, tmp_path / "my.json", str(tmp_path / "my.json")):
        result = colorizer.colorize_file(tmp_path / "a.png", tmp_path / "b.png", hints=given_as)
        with Image.open(result.output) as made:
            assert made.tobytes() == colorizer.colorize(gray, hints=hints).tobytes()
    write_hints(tmp_path / "my.json", hints, (150, 128))
    with pytest.raises(BadHints, match=r"my\.json: for a photo of 150 x 128"):
        colorizer.colorize_file(tmp_path / "a.png", tmp_path / "c.png", hints=tmp_path / "my.json")
    assert not (tmp_path / "c.png").exists()


def test_a_folder_takes_the_hints_beside_each_photo_and_no_bad_ones_stop_it(colorizer, gray, tmp_path):
    for name in ("a", "b", "c", "d"):
        gray.save(tmp_path / f"{name}.png")
    write_hints(tmp_path / "b.hints.json", [(64, 75, "#c02020")], gray.size)
    (tmp_path / "c.hints.json").write_text("Dear grandmother")
    (tmp_path / "d.hints.json").write_text("[]")
    results = list(colorize_all(find_jobs(tmp_path, tmp_path / "out"), colorizer))
    assert [result.status for result in results] == ["done", "done", "failed", "done"]
    assert results[1].notes == ["colorized with b.hints.json"]
    assert results[2].error.endswith("c.hints.json: not JSON")
    made = {path.stem: Image.open(path) for path in (tmp_path / "out").iterdir()}
    assert made["a"].tobytes() == made["d"].tobytes() == colorizer.colorize(gray).tobytes()
    assert made["b"].tobytes() == colorizer.colorize(gray, hints=[(64, 75, "#c02020")]).tobytes()
