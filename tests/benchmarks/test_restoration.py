"""The measurement of restoring: methods, masks, clean photos."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.restoration import main, measure, measure_clean, score, table
from deoldify_lite.cli.common import single
from deoldify_lite.restore.engine import Restoration
from deoldify_lite.samples import sample_photos


class Perfect:
    "Finds what differs from the clean photo and knows what was there."

    def __init__(self, clean):
        self.clean, self.tone = clean, True

    def find(self, luma, mask=None):
        return Restoration(np.where(luma != self.clean, np.uint8(255), np.uint8(0)), self.clean)

    def restored(self, photo, found):
        photo.luma = np.where(found.mask > 0, found.fill, photo.luma)
        return photo


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return np.asarray(Image.open(sample_photos()["flower.jpg"]).convert("L").resize((96, 80)))


def test_a_perfect_restorer_has_perfect_scores(clean):
    pytest.importorskip("cv2")
    scores = {s.method: s for s in measure([clean], Perfect(clean), ["scratches"], 1.0, None)}
    ours, nothing = scores["ours"], scores["nothing"]
    assert ours.psnr == 60 and ours.ssim == pytest.approx(1) and (ours.precision, ours.recall) == (1, 1)
    assert ours.largest_change_outside == 0 and nothing.recall is None
    assert nothing.psnr < scores["cv2.inpaint, true mask"].psnr < 60
    assert "| scratches | ours | 60.00 | 1.000 |" in table(list(scores.values()))


def test_changes_outside_of_the_mask_are_found(clean):
    result, true = clean.copy(), np.zeros(clean.shape, bool)
    true[10:20, 10:20] = True
    result[50, 50] ^= 32
    assert score(result, clean, clean, true, true, None)["largest_change_outside"] == 32
    none = score(clean, clean, clean, np.zeros_like(true), true, None)
    assert none["recall"] == 0 and none["precision"] is None


def test_clean_photos(clean):
    found = measure_clean([clean, clean + 1], Perfect(clean))
    assert found["photos"] == 2 and found["masked"] == 0.5 and found["photos_above"] == 0.5


def test_the_sheet(tmp_path):
    done = CliRunner().invoke(single(main), ["--sheet", str(tmp_path / "sheet.png")])
    assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "sheet.png").width > 1000


def test_before_and_after(restorer_weights, tmp_path):
    options = ["--shown", str(tmp_path / "shown.jpg"), "--weights", str(restorer_weights), "--device", "cpu"]
    done = CliRunner().invoke(single(main), options)
    assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "shown.jpg").width > 1000
