"""Restoring, without the page: what was found, what is made of what a visitor painted and erased."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deoldify_lite import Colorizer
from deoldify_lite.app.hints import HintService
from deoldify_lite.app.restoring import Damage, RestoringService
from deoldify_lite.app.service import PREVIEW, RESTORER, Refused, Service, Settings
from deoldify_lite.modeling.weights import BadWeights
from deoldify_lite.photo import open_photo
from deoldify_lite.restore.restorer import Restorer
from deoldify_lite.samples import sample_photos
from helpers.scans import pages, steps


@pytest.fixture(scope="module")
def service(weights, restorer_weights, tmp_path_factory) -> Service:
    folder = tmp_path_factory.mktemp("service")
    return Service([str(weights)], folder, 4_000_000, "cpu", "float32", restorer=str(restorer_weights))


@pytest.fixture
def restoring(service) -> RestoringService:
    return RestoringService(service)


@pytest.fixture
def restorer(restorer_weights) -> Restorer:
    return Restorer(restorer_weights, "cpu", "float32")


def small_photo(size=(120, 150)) -> Image.Image:
    with Image.open(sample_photos()["grace_hopper.jpg"]) as image:
        return image.convert("L").resize(size)


@pytest.fixture
def photo(tmp_path) -> Path:
    "A photo without losses, so that pixels can be compared."
    small_photo().save(tmp_path / "photo.png", dpi=(300, 300))
    return tmp_path / "photo.png"


@pytest.fixture
def draw(tmp_path):
    "A visitor's marks on some damage: all as it was but for boxes that are painted and erased."

    def make(damage: Damage, painted=None, erased=None) -> Path:
        with Image.open(damage.overlay) as overlay:
            marks = overlay.getchannel("A").point(lambda alpha: alpha and 128)
        for level, box in ((255, painted), (0, erased)):
            if box:
                marks.paste(level, box)
        marks.save(tmp_path / "marks.png")
        return tmp_path / "marks.png"

    return make


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), int)


def inside(shape: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    places = np.zeros(shape, bool)
    places[top:bottom, left:right] = True
    return places


BOX = (30, 40, 70, 60)


# Nothing painted


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("tone", [True, False])
def test_without_marks_the_result_is_the_commands(restoring, restorer_weights, draw, tmp_path, suffix, tone):
    photo = tmp_path / f"photo{suffix}"
    exif = Image.Exif()
    exif[0x010E] = "grandmother"
    small_photo().save(photo, exif=exif, dpi=(300, 300))
    restorer = Restorer(restorer_weights, "cpu", "float32", tone=tone)
    wanted = restorer.restore_file(photo, tmp_path / f"wanted{suffix}")
    damage = restoring.find(photo)
    for marks in (None, draw(damage)):
        made = restoring.fill_in(damage, marks, tone=tone)
        assert made.result.name == photo.name and made.result.is_relative_to(restoring.service.folder)
        assert made.result.read_bytes() == (tmp_path / f"wanted{suffix}").read_bytes()
        assert made.notes == tuple(wanted.notes)
    assert np.array_equal(pixels(restoring.save_mask(damage)), pixels_of_mask(restorer, photo))


def pixels_of_mask(restorer: Restorer, photo: Path) -> np.ndarray:
    with Image.open(photo) as image:
        return np.asarray(restorer.find_mask(image), int)


def test_the_overlay_is_red_where_damage_was_found(restoring, restorer, photo):
    damage = restoring.find(photo)
    with Image.open(damage.overlay) as overlay, Image.open(damage.picture) as picture:
        assert overlay.size == picture.size == (120, 150)
        red, _, blue, alpha = np.moveaxis(np.asarray(overlay, int), -1, 0)
    found = pixels_of_mask(restorer, photo) > 0
    assert 0 < found.mean() < 1 and np.array_equal(alpha, found * 255)
    assert (red - blue > 100).all()
    assert pixels(restoring.save_mask(damage)).shape == (150, 120)
    assert restoring.save_mask(damage).name == "photo.png.mask.png"


def test_16_bit_and_transparency_stay(restoring, draw, tmp_path):
    deep = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    image = small_photo((64, 48)).convert("LA")
    image.putalpha(77)
    image.save(tmp_path / "clear.png")
    for name in ("deep.tif", "clear.png"):
        damage = restoring.find(tmp_path / name)
        for marks in (None, draw(damage, painted=(5, 5, 20, 20), erased=(30, 5, 60, 20))):
            made = open_photo(restoring.fill_in(damage, marks, tone=False).result)
            original = open_photo(tmp_path / name)
            assert made.luma.dtype == original.luma.dtype
            assert (made.alpha is None) == (original.alpha is None)
            assert made.alpha is None or (made.alpha == 77).all()
            place = inside((48, 64), (30, 5, 60, 20))
            assert marks is None or np.array_equal(made.luma[place], original.luma[place])


# Painted and erased


def test_what_is_painted_is_filled_in_and_nothing_else_changes(restoring, photo, draw):
    damage = restoring.find(photo)
    plain = restoring.fill_in(damage, tone=False).result
    marks = draw(damage, painted=BOX)
    painted = restoring.fill_in(damage, marks, tone=False).result
    place = inside((150, 120), BOX)
    changed = pixels(painted) != pixels(plain)
    assert changed[place].mean() > 0.5 and not changed[~place].any()
    mask = pixels(restoring.save_mask(damage, marks))
    assert (mask[place] == 255).all()
    assert np.array_equal(mask[~place], pixels(damage.mask)[~place])


def test_what_is_painted_is_filled_in_without_a_look_at_it(restoring, draw, tmp_path):
    image = Image.new("L", (120, 150), 128)
    image.save(tmp_path / "gray.png")
    damage = restoring.find(tmp_path / "gray.png")
    marks = draw(damage, painted=(0, 0, 120, 150))
    first = pixels(restoring.fill_in(damage, marks, tone=False).result)
    image.paste(255, BOX)
    image.save(tmp_path / "gray.png")  # other pixels under the stroke
    assert np.array_equal(pixels(restoring.fill_in(damage, marks, tone=False).result), first)


def test_found_damage_is_filled_in_before_the_network_sees_what_is_beside_a_stroke(restoring, photo, draw, monkeypatch):
    damage = restoring.find(photo)
    plain = restoring.fill_in(damage, tone=False).result
    engine, find, seen = restoring.service.restorer.engine, restoring.service.restorer.engine.find, []
    monkeypatch.setattr(engine, "find", lambda luma, mask: (seen.append((luma, mask)), find(luma, mask))[1])
    restoring.fill_in(damage, draw(damage, painted=BOX), tone=False)
    ((luma, mask),) = seen
    assert np.array_equal(luma, pixels(plain)) and np.array_equal(mask == 255, inside((150, 120), BOX))


def test_what_is_erased_stays_as_it_was(restoring, photo, draw):
    damage = restoring.find(photo)
    marks = draw(damage, erased=BOX)
    erased = pixels(restoring.fill_in(damage, marks, tone=False).result)
    plain = pixels(restoring.fill_in(damage, tone=False).result)
    place = inside((150, 120), BOX)
    assert np.array_equal(erased[place], pixels(photo)[place])
    assert not np.array_equal(plain[place], pixels(photo)[place])
    assert np.array_equal(erased[~place], plain[~place])
    assert not pixels(restoring.save_mask(damage, marks))[place].any()


def test_marks_on_the_picture_count_for_a_larger_photo(restoring, draw, tmp_path):
    small_photo((2 * PREVIEW, 100)).save(tmp_path / "wide.png")
    damage = restoring.find(tmp_path / "wide.png")
    with Image.open(damage.picture) as picture:
        assert picture.size == (PREVIEW, 50)
    marks = draw(damage, painted=(200, 10, 260, 30), erased=(600, 10, 700, 30))
    plain = pixels(restoring.fill_in(damage, tone=False).result)
    made = pixels(restoring.fill_in(damage, marks, tone=False).result)
    painted, erased = (inside((100, 2 * PREVIEW), box) for box in ((400, 20, 520, 60), (1200, 20, 1400, 60)))
    assert np.array_equal(made[erased], pixels(tmp_path / "wide.png")[erased])
    assert (made != plain)[painted].mean() > 0.5
    assert np.array_equal(made[~(painted | erased)], plain[~(painted | erased)])
    assert (pixels(restoring.save_mask(damage, marks))[painted] == 255).all()


def test_a_hair_of_one_pixel_is_seen_on_the_picture(restoring, monkeypatch, tmp_path):
    small_photo((2 * PREVIEW + 400, 30)).save(tmp_path / "wide.png")
    engine, find = restoring.service.restorer.engine, restoring.service.restorer.engine.find

    def find_hair(luma, mask=None):
        found = find(luma, mask)
        found.mask[:] = 0
        found.mask[:, 1000] = 30
        return found

    monkeypatch.setattr(engine, "find", find_hair)
    damage = restoring.find(tmp_path / "wide.png")
    with Image.open(damage.overlay) as overlay:
        alpha = np.asarray(overlay.getchannel("A"))
    assert alpha[:, 1000 * PREVIEW // (2 * PREVIEW + 400)].all() and (alpha > 0).any(0).sum() <= 2


def test_in_color(restoring, restorer, weights, photo):
    made = restoring.fill_in(restoring.find(photo), colorize=True)
    with Image.open(photo) as image, Image.open(made.result) as result, Image.open(made.before) as before:
        wanted = Colorizer(weights, "cpu", "float32", restore=restorer).colorize(image)
        assert np.array_equal(np.asarray(result), np.asarray(wanted))
        assert result.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
        assert before.size == image.size and np.ptp(np.asarray(before.convert("RGB"), int), axis=-1).max() == 0


# What goes wrong


def test_what_cannot_be_restored_gets_a_sentence(restoring, photo, draw, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    (tmp_path / "pages.tif").write_bytes(pages("TIFF", steps(64, 48), steps(40, 60)))
    Image.new("L", (2001, 2000)).save(tmp_path / "large.png")
    sentences = {
        "letter.jpg": "not a photo",
        "pages.tif": "a file of several pages, and damage",
        "large.png": "too large",
    }
    for name, sentence in (sentences | {"gone.jpg": "not here any more"}).items():
        with pytest.raises(Refused, match=sentence) as refusal:
            restoring.find(tmp_path / name)
        assert str(tmp_path) not in str(refusal.value)

    damage = restoring.find(photo)
    Image.new("L", (5, 5)).save(tmp_path / "other.png")
    wrong = {
        "has not the size of the picture": (damage, tmp_path / "other.png"),
        "not a photo": (damage, tmp_path / "letter.jpg"),
        "not here any more": (replace(damage, mask=tmp_path / "gone.png"), None),
    }
    for sentence, arguments in wrong.items():
        for act in (restoring.fill_in, restoring.save_mask):
            with pytest.raises(Refused, match=sentence):
                act(*arguments)


def test_our_own_failures_are_told_as_such(restoring, photo, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("/home/secret")

    monkeypatch.setattr(restoring.service.restorer.engine, "find", fail)
    with pytest.raises(Refused, match="could not be restored, which is our fault"):
        restoring.find(photo)
    assert "a photo could not be restored" in caplog.text


# Restoring first, and where there is no restorer


def test_restoring_first_is_that_of_the_colorizer(service, restorer, weights, photo, tmp_path):
    first = Settings(service.models[0], render_factor=4, restore=True)
    made = service.colorize(photo, first)
    wanted = Colorizer(weights, "cpu", "float32", render_factor=4, restore=restorer)
    wanted.colorize_file(photo, tmp_path / "wanted.png")
    assert made.result.read_bytes() == (tmp_path / "wanted.png").read_bytes()
    assert made.settings.restore and any("filled in" in note for note in made.notes)
    plain = service.colorize(photo, replace(first, restore=False))
    assert plain.result.read_bytes() != made.result.read_bytes()

    hints = HintService(service)
    opened = hints.open("a visitor", photo, first)
    hinted = opened.click(50, 50).give("#b3202c")
    (hint,) = hinted.hints
    wanted.colorize_file(photo, tmp_path / "hinted.png", hints=[(hint.x, hint.y, hint.css)])
    assert hints.download(hinted).result.read_bytes() == (tmp_path / "hinted.png").read_bytes()
    other = hints.open("another", photo, replace(first, restore=False))
    assert hints.picture(other).read_bytes() != hints.picture(opened).read_bytes()


def test_pages_are_restored_first_as_well(service, photo, tmp_path):
    image = small_photo((64, 48))
    image.save(tmp_path / "pages.tif", save_all=True, append_images=[image.rotate(180)])
    made = service.colorize(tmp_path / "pages.tif", Settings(service.models[0], restore=True))
    with Image.open(made.result) as result:
        assert result.n_frames == 2
    assert sum("filled in" in note for note in made.notes) == 2


def test_where_no_restorer_ships_photos_get_color_all_the_same(weights, photo, tmp_path, monkeypatch):
    def find_weights(name):
        if name == RESTORER:
            raise BadWeights("no restorer ships with this version")
        return Path(name)

    monkeypatch.setattr("deoldify_lite.app.service.find_weights", find_weights)
    without = Service([str(weights)], tmp_path, 2_000_000, "cpu", "float32")
    assert not without.restores
    with pytest.raises(Refused, match="cannot be restored here"):
        without.colorize(photo, Settings(without.models[0], restore=True))
    assert without.colorize(photo, Settings(without.models[0])).result.exists()


@pytest.mark.parametrize("bad", ["none.safetensors", "lite"])
def test_a_restorer_that_is_none_is_told_at_the_start(weights, tmp_path, bad):
    with pytest.raises(BadWeights):
        Service([str(weights)], tmp_path, 2_000_000, "cpu", "float32", restorer=bad)
