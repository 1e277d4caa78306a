"""tools/measure_skin.py on pictures whose colours are known."""

import numpy as np
import pytest
import typer
import yaml
from PIL import Image
from typer.testing import CliRunner

from helpers.scripts import load_script

TOOL = load_script("tools/measure_skin.py")


def test_skin_is_more_than_gray_and_sky_is_less():
    picture = Image.new("RGB", (30, 10), (128, 128, 128))
    picture.paste((198, 134, 66), (10, 0, 20, 10))
    picture.paste((110, 160, 220), (20, 0, 30, 10))
    gray, skin, sky = (
        TOOL.skin_color(np.asarray(picture.convert("YCbCr")), (left / 3, 0.0, (left + 1) / 3, 1.0)) for left in range(3)
    )
    assert gray == pytest.approx(0, abs=1) and skin > 30 and sky < -20


def test_a_cast_is_what_colours_do_not_cancel():
    picture = Image.new("YCbCr", (20, 10), (120, 108, 148))
    assert TOOL.color_cast(np.asarray(picture)) == pytest.approx(20 * 2**0.5)
    picture.paste((120, 148, 108), (10, 0, 20, 10))
    assert TOOL.color_cast(np.asarray(picture)) == pytest.approx(0)


def test_each_place_of_the_page_is_inside_its_photo():
    for places in yaml.safe_load(TOOL.BOXES.read_text()).values():
        assert places["hands"] and places["faces"]
        for left, top, right, bottom in places["hands"] + places["faces"]:
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


def test_the_command(tmp_path, weights):
    (tmp_path / "photos").mkdir()
    Image.new("L", (40, 40), 120).save(tmp_path / "photos/deoldify_hand.png")
    boxes = {"hand.png": {"hands": [[0, 0, 0.5, 0.5]], "faces": [[0.5, 0.5, 1, 1]]}}
    (tmp_path / "boxes.yaml").write_text(yaml.safe_dump(boxes))
    app = typer.Typer()
    app.command()(TOOL.main)
    options = ["--weights", str(weights), "--boxes", str(tmp_path / "boxes.yaml"), "--each"]
    result = CliRunner().invoke(app, [str(tmp_path / "photos"), *options])
    assert result.exit_code == 0 and "1 photos: hands " in result.output and "of 1 hands" in result.output

    (tmp_path / "photos/deoldify_hand.png").unlink()
    result = CliRunner().invoke(app, [str(tmp_path / "photos"), *options])
    assert "has no hand.png" in str(result.exception)
