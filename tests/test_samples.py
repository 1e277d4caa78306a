"""Photos to try things on, sheets to compare them, and photos that somebody picks in a notebook."""

import sys
from datetime import datetime, timezone
from types import ModuleType

import pytest
from PIL import Image, ImageStat

from deoldify_lite.photo.sheet import MARGIN, TEXT, sheet
from deoldify_lite.samples import sample_photos, write_pieces
from deoldify_lite.uploads import Uploads
from helpers.scripts import load_script


def test_pieces_make_up_the_photos(tmp_path):
    photos = sample_photos()
    assert write_pieces(tmp_path / "pieces") == tmp_path / "pieces"
    pieces = sorted((tmp_path / "pieces").glob("*.jpg"))
    assert len(pieces) == 12 * len(photos)
    for name, path in photos.items():
        with Image.open(path) as whole:
            sizes = [Image.open(p).size for p in pieces if p.name.startswith(name.removesuffix(".jpg"))]
            assert sum(w * h for w, h in sizes) == whole.width * whole.height


def test_pieces_are_written_once(tmp_path):
    """... or training on them would pack them again."""
    before = {p: p.stat().st_mtime_ns for p in write_pieces(tmp_path).iterdir()}
    write_pieces(tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


def test_a_sheet_has_every_picture_in_its_place():
    red, blue = Image.new("RGB", (40, 20), "red"), Image.new("L", (10, 20), 128)
    page = sheet({"one": [red, blue], "two": [blue]}, height=10)
    step = TEXT + 10 + 3 * MARGIN
    assert page.size == (MARGIN + 20 + MARGIN + 5 + MARGIN, 2 * step)
    top = 2 * MARGIN + TEXT
    assert page.getpixel((MARGIN + 10, top + 5)) == (255, 0, 0)
    assert page.getpixel((MARGIN + 20 + MARGIN + 2, top + 5)) == (128, 128, 128)
    assert page.getpixel((MARGIN + 2, step + top + 5)) == (128, 128, 128)
    assert page.crop((0, MARGIN, 30, top)).convert("L").getextrema()[0] < 100, "the name is written"


def test_photos_picked_with_jupyters_button(tmp_path):
    pytest.importorskip("ipywidgets")
    uploads = Uploads()
    with pytest.raises(ValueError, match="no photo was picked"):
        uploads.save(tmp_path)
    photo = {"name": "../grandmother.jpg", "type": "image/jpeg", "size": 5, "content": memoryview(b"photo")}
    uploads.button.set_trait("value", (photo | {"last_modified": datetime.now(timezone.utc)},))
    assert uploads.save(tmp_path / "here") == [tmp_path / "here/grandmother.jpg"]
    assert (tmp_path / "here/grandmother.jpg").read_bytes() == b"photo"


def test_photos_picked_in_colab(tmp_path, monkeypatch):
    colab = ModuleType("google.colab")
    colab.files = ModuleType("google.colab.files")
    colab.files.upload = lambda: {"a.jpg": b"photo"}
    for module in (ModuleType("google"), colab, colab.files):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    assert Uploads().save(tmp_path) == [tmp_path / "a.jpg"]


def test_generators_side_by_side(tmp_path, weights):
    """One row each, the photos above and below; of a file at the render factor that was asked for."""
    load_script("tools/make_pictures.py").main(docs=tmp_path, compare=[f"ours={weights}", "lite=lite"], render_factor=2)
    with Image.open(tmp_path / "comparison.jpg") as picture:
        assert picture.height == 4 * (TEXT + 110 + 3 * MARGIN)
        rows = [
            picture.crop((0, i * picture.height // 4, picture.width, (i + 1) * picture.height // 4)) for i in range(4)
        ]
    colours = [ImageStat.Stat(row.convert("HSV").getchannel("S")).mean[0] for row in rows]
    assert colours[0] < 10 < min(colours[2:]), "grey above, colours below"
