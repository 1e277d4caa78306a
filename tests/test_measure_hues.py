"""tools/measure_hues.py on pictures whose hues are known."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from helpers.scripts import load_script

TOOL = load_script("tools/measure_hues.py")


def plain(*rgb: int) -> Image.Image:
    return Image.new("RGB", (16, 16), rgb)


def test_each_hue_is_in_its_band_and_quarter():
    pictures = [plain(90, 0, 90), plain(255, 240, 180), plain(110, 130, 90)]
    shares = TOOL.hue_shares([np.asarray(picture.convert("YCbCr")) for picture in pictures])
    assert shares["dark"]["0-90 magenta"] == pytest.approx(1)
    assert shares["light"]["90-180 orange"] == pytest.approx(1)
    assert shares["middle"]["180-270 green"] == pytest.approx(1)


def test_a_gray_picture_has_no_hue():
    shares = TOOL.hue_shares([np.asarray(plain(30, 30, 30).convert("YCbCr"))])
    assert all(share == 0 for band in shares.values() for share in band.values())


def test_pictures_as_they_are_and_as_weights_color_them(tmp_path, weights):
    import typer

    plain(90, 0, 90).save(tmp_path / "magenta.png")
    app = typer.Typer()
    app.command()(TOOL.main)
    as_is = CliRunner().invoke(app, [str(tmp_path)])
    assert as_is.exit_code == 0 and "as they are, n = 1" in as_is.output and "magenta 1.000" in as_is.output
    colored = CliRunner().invoke(app, [str(tmp_path), "--weights", str(weights)])
    assert colored.exit_code == 0 and "magenta 1.000" not in colored.output
