"""Correcting colours, without the page: what a visitor has done, the pictures of it, what stays in memory."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.app import hints as module
from deoldify_lite.app.hints import SCREEN, UNDO, Correction, HintService, color_at
from deoldify_lite.app.service import Refused, Service, Settings
from deoldify_lite.colorize.hints import Hint
from deoldify_lite.samples import sample_photos
from helpers.scans import pages

RED, BLUE = "#b3202c", "#2d5da8"


@pytest.fixture(scope="module")
def service(weights, tmp_path_factory) -> Service:
    return Service([str(weights)], tmp_path_factory.mktemp("service"), 2_000_000, "cpu", "float32")


@pytest.fixture(scope="module")
def settings(service) -> Settings:
    return Settings(service.models[0], render_factor=4)


@pytest.fixture(scope="module")
def flower(tmp_path_factory) -> Path:
    "A photo in black and white, larger than what is shown of it."
    path = tmp_path_factory.mktemp("photos") / "flower.png"
    with Image.open(sample_photos()["flower.jpg"]) as image:
        image.convert("L").resize((2 * SCREEN, SCREEN // 2)).save(path)
    return path


@pytest.fixture
def hints(service) -> HintService:
    return HintService(service)


@pytest.fixture
def opened(hints, flower, settings) -> Correction:
    return hints.open("a visitor", flower, settings)


@pytest.fixture
def blank(tmp_path) -> Correction:
    "A correction whose photo is never looked at."
    return Correction("a visitor", tmp_path / "a.jpg", Settings("lite"), (200, 100), (100, 50))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


# What a visitor does


def test_a_click_and_a_color_make_a_hint_in_pixels_of_the_photo(blank):
    clicked = blank.click(30, 20)
    assert clicked.place == (61, 41) and clicked.hints == () and clicked.chosen is None
    hinted = clicked.give(RED)
    assert hinted.hints == (Hint(61, 41, (0xB3, 0x20, 0x2C)),) and hinted.chosen == 0
    assert blank.hints == (), "what was there before is as it was"


def test_another_color_for_the_same_place_replaces_the_first(blank):
    hinted = blank.click(30, 20).give(RED).give(BLUE)
    assert [hint.css for hint in hinted.hints] == [BLUE]
    assert [hint.css for hint in hinted.undo().hints] == [RED]


def test_a_click_near_a_hint_means_that_hint(blank):
    hinted = blank.click(30, 20).give(RED).click(80, 20).give(BLUE)
    assert hinted.click(31, 20).chosen == 0 and hinted.click(79, 20).chosen == 1 and hinted.click(50, 20).chosen is None
    kept = hinted.click(31, 20).remove()
    assert [hint.css for hint in kept.hints] == [BLUE] and kept.place is None


def test_steps_can_be_undone_one_by_one_and_not_more_than_there_were(blank):
    steps = [blank.click(30, 20).give(RED)]
    steps.append(steps[-1].click(80, 20).give(BLUE))
    steps.append(steps[-1].clear())
    steps.append(steps[-1].with_hints([Hint(1, 1, (9, 9, 9))]))
    undone = steps[-1]
    for step in reversed(steps[:-1]):
        undone = undone.undo()
        assert undone.hints == step.hints
    undone = undone.undo()
    assert undone.hints == () and undone.place is None
    with pytest.raises(Refused, match="nothing to undo"):
        undone.undo()


def test_what_is_remembered_for_undo_is_bounded(blank):
    correction = blank.click(30, 20)
    for number in range(UNDO + 10):
        correction = correction.give(f"rgb({number}, 0, 0)")
    assert len(correction.before) == UNDO
    assert len(correction.give(correction.hints[0].css).before) == UNDO and correction.give(RED).before[0] != ()


@pytest.mark.parametrize(
    "step",
    [
        lambda correction: correction.give(RED),
        lambda correction: correction.click(1, 1).give("no colour"),
        lambda correction: correction.remove(),
        lambda correction: correction.choose_variant(0),
        lambda correction: correction.choose_place(None, 3),
        lambda correction: correction.choose_place(float("nan"), 3),
        lambda correction: correction.choose_place("1", 3),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(blank, step):
    with pytest.raises(Refused, match=r"^[^\n]{10,120}$"):
        step(blank)


def test_a_place_outside_is_the_nearest_inside(blank):
    assert blank.choose_place(-5, 1e9).place == (0, 100)
    assert blank.choose_place(-5, 1e9).give(RED).hints


# The pictures


def test_a_hint_changes_the_picture_and_undo_gives_the_first_one_back(hints, opened):
    first = hints.picture(opened)
    assert opened.size == (2 * SCREEN, SCREEN // 2) and opened.shown == (SCREEN, SCREEN // 4)
    hinted = opened.click(500, 100).give(BLUE)
    changed = pixels(hints.picture(hinted, marks=False))
    assert np.abs(changed - pixels(first)).max() > 20
    assert hints.picture(hinted.undo()).read_bytes() == first.read_bytes()


def test_marks_show_where_hints_are(hints, opened):
    hinted = opened.click(500, 100).give(BLUE)
    plain, marked = pixels(hints.picture(hinted, marks=False)), pixels(hints.picture(hinted))
    changed = np.abs(plain - marked).max(-1) > 60
    assert changed[80:120, 480:520].any() and not changed[:, :450].any() and not changed[:, 550:].any()


def test_the_download_is_what_the_library_makes(hints, opened, weights, flower, settings):
    hinted = opened.click(500, 100).give(BLUE).click(20, 20).give("#808080")
    made = hints.download(hinted)
    with Image.open(flower) as image:
        wanted = Colorizer(weights, "cpu", "float32", 4).colorize(image, hints=hinted.hints)
    assert np.array_equal(pixels(made.result), np.asarray(wanted))
    assert made.result.name == "flower.png" and made.size == opened.size
    shown = pixels(hints.picture(hinted, marks=False))
    small = np.asarray(wanted.resize(opened.shown, Image.Resampling.LANCZOS), float)
    assert np.abs(shown - small).mean() < 4, "what was on the screen"


def test_variants_keep_the_hints_and_one_can_go_on_from_them(hints, opened):
    hinted = opened.click(500, 100).give(BLUE)
    found, pictures = hints.find_variants(hinted)
    assert len(found.variants) == len(pictures) == 4 and found.hints == hinted.hints == found.variants[0]
    assert len({path.read_bytes() for path in pictures}) == 4
    chosen = found.choose_variant(2)
    assert chosen.hints[0] == hinted.hints[0] and len(chosen.hints) > 1
    assert chosen.choose_variant(1).hints == found.variants[1], "another one can be tried"
    assert chosen.undo().hints == hinted.hints
    assert chosen.click(0, 0).give(RED).variants == ()


def test_colors_of_another_photo(hints, opened, settings):
    reference = hints.open_reference(sample_photos()["flower.jpg"])
    taken = hints.take_colors(opened.click(3, 3).give(RED), reference)
    assert len(taken.hints) > 5 and taken.hints[0].css == RED, "own hints stay"
    assert len(taken.undo().hints) == 1
    with Image.open(reference) as image:
        assert max(image.size) <= SCREEN
        corner = np.asarray(image)[:3, :3].mean((0, 1))
    color = color_at(reference, 0, 0)
    assert np.abs(np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) - corner).max() < 1


def test_a_reference_without_colors_or_that_is_none(hints, opened, flower, tmp_path):
    with pytest.raises(Refused, match="no colours to take"):
        hints.take_colors(opened, hints.open_reference(flower))
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    with pytest.raises(Refused, match="not a photo"):
        hints.open_reference(tmp_path / "letter.jpg")
    with pytest.raises(Refused, match="not here any more"):
        color_at(tmp_path / "gone.jpg", 0, 0)


# Files


def test_hints_come_back_from_their_file(hints, opened, tmp_path):
    hinted = opened.click(500, 100).give(BLUE)
    saved = hints.save(hinted)
    assert saved.name == "flower.png.hints.json" and json.loads(saved.read_text())["width"] == 2 * SCREEN
    loaded, notes = hints.load(opened, saved)
    assert loaded.hints == hinted.hints and notes == [] and loaded.undo().hints == ()
    half = json.loads(saved.read_text()) | {"width": SCREEN, "height": SCREEN // 4}
    (tmp_path / "half.json").write_text(json.dumps(half))
    _, notes = hints.load(opened, tmp_path / "half.json")
    assert "scaled" in notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "Dear grandmother",
        "[" * 100_000,
        '{"width": 10, "height": 4000, "hints": []}',
        '[[1e9, 0, "red"]]',
        '[[0, 0, "no colour"]]',
        "{}",
        '{"version": 7, "hints": []}',
    ],
)
def test_a_bad_file_of_hints_gets_a_sentence(hints, opened, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(Refused, match=r"^[^\n]{5,160}$") as refusal:
        hints.load(opened, tmp_path / "a.json")
    assert str(tmp_path) not in str(refusal.value)


def test_thousands_of_hints_are_cut_with_a_note(hints, opened, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([[i % 50, i // 50, "red"] for i in range(3000)]))
    loaded, notes = hints.load(opened, tmp_path / "a.json")
    assert len(loaded.hints) == 500 and "500" in notes[0]


# Photos that cannot be corrected, and what stays in memory


def test_files_that_cannot_be_opened(hints, settings, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    (tmp_path / "scan.tif").write_bytes(pages("TIFF", *[Image.new("L", (60, 40), 90)] * 2))
    for name, why in (("letter.jpg", "not a photo"), ("scan.tif", "several pages"), ("gone.jpg", "not here any more")):
        with pytest.raises(Refused, match=why):
            hints.open("a visitor", tmp_path / name, settings)
    with pytest.raises(Refused, match="strength"):
        hints.open("a visitor", tmp_path / "letter.jpg", replace(settings, strength=9))


def test_of_many_visitors_the_last_are_in_memory_and_the_others_can_go_on(service, flower, settings, monkeypatch):
    hints = HintService(service, kept=2)
    first, *others = [hints.open(f"visitor {number}", flower, settings) for number in range(3)]
    hints.open("visitor 2", flower, settings)
    assert len(hints._kept) == 2, "one photo a visitor"
    made = []
    prepare = hints._prepare
    monkeypatch.setattr(hints, "_prepare", lambda *given: made.append(given) or prepare(*given))
    for correction in others:
        hints.picture(correction)
    assert made == []
    hinted = first.click(500, 100).give(BLUE)
    picture = hints.picture(hinted).read_bytes()
    assert len(made) == 1 and len(hints._kept) == 2
    assert hints.picture(hinted).read_bytes() == picture and len(made) == 1


def test_memory_is_freed_when_the_visitor_leaves_or_does_nothing(service, flower, settings, monkeypatch):
    hints = HintService(service, seconds=100)
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    correction = hints.open("a", flower, settings)
    hints.open("b", flower, settings)
    hints.forget("b")
    hints.forget("nobody")
    assert len(hints._kept) == 1
    now[0] += 90
    hints.picture(correction)
    now[0] += 90
    hints.sweep()
    assert len(hints._kept) == 1, "it was used in between"
    now[0] += 20
    hints.sweep()
    assert len(hints._kept) == 0


def test_several_visitors_at_once_get_their_own_pictures(service, flower, settings):
    hints = HintService(service, kept=2)
    corrections = [
        hints.open(f"visitor {number}", flower, settings).click(100 + 200 * number, 60).give(RED) for number in range(3)
    ]
    alone = [hints.picture(correction).read_bytes() for correction in corrections]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda correction: hints.picture(correction).read_bytes(), corrections * 3))
    assert together == alone * 3 and len(set(alone)) == 3


def test_transparent_photos_are_shown_on_white(hints, settings, tmp_path):
    image = Image.new("LA", (60, 40), (0, 0))
    image.paste((0, 255), (0, 0, 20, 40))
    image.save(tmp_path / "a.png")
    shown = pixels(hints.picture(hints.open("a visitor", tmp_path / "a.png", settings)))
    assert shown[20, 50].min() > 250 and shown[20, 5].max() < 5
