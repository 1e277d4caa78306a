"""The benchmark of hints and variants, on a few small photos."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import hints
from deoldify_lite.evaluate.references import Reference, find_references
from deoldify_lite.files import sha256
from deoldify_lite.modeling.hint_branch import HintBranch
from deoldify_lite.modeling.pretrained import WeightsUnavailable, load_features
from deoldify_lite.modeling.weights import load_generator, save_hint_branch
from deoldify_lite.models import hint_branch_file
from deoldify_lite.samples import write_pieces

PAGE = "# Page\n\n<!-- begin: made by benchmarks/hints.py -->\n<!-- end: made by benchmarks/hints.py -->\n\nThe end.\n"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Path:
    return write_pieces(tmp_path_factory.mktemp("pieces"))


@pytest.fixture
def reference(pieces) -> Reference:
    return find_references([pieces])[0][0]


def test_hints_are_the_photos_own_colors_and_fewer_are_among_more(reference):
    crop = reference.crop(64)
    some = hints.revealed_hints(reference, crop, 10)
    assert len(some) == 10 and some[:5] == hints.revealed_hints(reference, crop, 5)
    for hint in some:
        left, top = int(hint.x - hints.PATCH / 2), int(hint.y - hints.PATCH / 2)
        patch = np.asarray(crop, float)[top : top + hints.PATCH, left : left + hints.PATCH]
        assert np.abs(patch.mean((0, 1)) - hint.color).max() <= 0.5


def test_hints_of_one_color_are_of_that_color(reference):
    (hint,) = hints.revealed_hints(reference, Image.new("RGB", (64, 64), (10, 20, 30)), 1)
    assert hint.color == (10, 20, 30) and 3 <= hint.x <= 61


@pytest.mark.slow
def test_the_tables_the_page_and_going_on(pieces, weights, tmp_path, monkeypatch, capsys):
    for name in ("alexnet", "vgg16"):
        try:
            load_features(name)
        except WeightsUnavailable as error:
            pytest.skip(str(error))
    monkeypatch.setattr(hints, "COUNTS", (0, 1, 3))
    monkeypatch.setattr(hints, "VARIANTS", 2)
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    options = {"limit": 3, "weights": str(weights), "size": 64, "out": tmp_path / "out", "page": page, "device": "cpu"}
    hints.main([pieces], **options)
    table = capsys.readouterr().out
    assert page.read_text().startswith("# Page") and page.read_text().endswith("The end.\n")
    assert table.strip() in page.read_text() and "3 photos, 64 x 64 pixels" in table
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    psnr = {cells[1].strip(): float(cells[2].split("±")[0]) for cells in rows if cells[1].strip() in ("0", "1", "3")}
    assert psnr["3"] > psnr["0"], "true colours help"
    best, first = (float(next(c for c in rows if c[1].strip().startswith("PSNR"))[i]) for i in (3, 2))
    assert best >= first
    with Image.open(tmp_path / "hints.png") as figure:
        assert figure.width > 500
    hints.main([pieces], **options)
    assert capsys.readouterr().out == table

    both = shutil.copy(weights, tmp_path / "both.safetensors")
    save_hint_branch(HintBranch.of(load_generator(both)), hint_branch_file(both), sha256(both))
    hints.main([pieces], **options | {"weights": str(both)})
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith(("| hints", "| 3 "))]
    assert [cell.strip() for cell in rows[0][2:6:3]] == ["PSNR in dB ↑, least squares", "PSNR in dB ↑, trained"]
    before = next(line for line in table.splitlines() if line.startswith("| 3 ")).split("|")
    assert rows[1][2] == before[2] != rows[1][5]
