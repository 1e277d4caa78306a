"""tools/measure_film.py on a photo whose colours are known."""

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.training.degradation import FILMS
from helpers.scripts import load_script

TOOL = load_script("tools/measure_film.py")


def test_early_film_sees_no_red():
    red = np.full((4, 4, 3), (200, 0, 0), np.uint8)
    panchromatic, orthochromatic, earliest = (np.asarray(TOOL.on_film(red, film)).max() for film in FILMS.values())
    assert panchromatic == 60 and orthochromatic == earliest == 4


def test_weights_without_color_are_wrong_by_the_photos_own(tmp_path, monkeypatch):
    """Blue of chroma (0.5, -0.08): 128 levels and 21."""
    Image.new("RGB", (64, 48), (0, 0, 255)).save(tmp_path / "blue.png")

    class Gray:
        def __init__(self, *_: object, **__: object): ...

        def colorize(self, image: Image.Image) -> Image.Image:
            return image.convert("RGB")

    monkeypatch.setattr("deoldify_lite.Colorizer", Gray)
    app = typer.Typer()
    app.command()(TOOL.main)
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 3 and "earliest film, n = 1" in lines[2]
    error, color = (float(part.split()[-1]) for part in lines[0].split(": ")[1].split(", "))
    assert error == pytest.approx(128.7, abs=1.5) and color == 0
