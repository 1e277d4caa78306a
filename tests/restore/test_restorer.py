"""What people call: `Restorer`, the command, `colorize` with restoring."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite import Colorizer
from deoldify_lite.cli import program
from deoldify_lite.errors import UsageError
from deoldify_lite.photo import BadPhoto, open_photo
from deoldify_lite.restore.restorer import Restorer
from deoldify_lite.samples import sample_photos


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    image = Image.open(sample_photos()["grace_hopper.jpg"]).convert("L").resize((120, 150))
    exif = Image.Exif()
    exif[0x010E] = "grandmother"
    image.save(path, quality=95, exif=exif, dpi=(300, 300))
    return path


def run(*arguments) -> str:
    result = CliRunner().invoke(program, ["restore", *map(str, arguments), "--device", "cpu", "--precision", "float32"])
    return result


def test_an_image(restorer, photo):
    image = Image.open(photo)
    out = restorer.restore(image)
    assert (out.mode, out.size) == ("L", image.size)
    assert np.array_equal(np.asarray(restorer.restore(image)), np.asarray(out)), "the same each time"
    alpha = image.convert("RGBA")
    alpha.putalpha(77)
    assert restorer.restore(alpha).mode == "LA" and restorer.restore(alpha).getchannel("A").getextrema() == (77, 77)


def test_a_mask_comes_out_and_goes_in(restorer, photo):
    image = Image.open(photo)
    mask = restorer.find_mask(image)
    assert (mask.mode, mask.size) == ("L", image.size) and mask.getextrema() == (0, 255)
    nothing = Image.new("L", image.size)
    restorer.engine.tone = False
    assert np.array_equal(np.asarray(restorer.restore(image, mask=nothing)), np.asarray(image))
    assert not np.array_equal(np.asarray(restorer.restore(image, mask=mask)), np.asarray(image))


@pytest.mark.parametrize("strength", [-0.1, 1.5])
def test_strengths_that_are_none(restorer, photo, strength):
    with pytest.raises(UsageError, match="from 0 to 1"):
        restorer.restore(Image.open(photo), strength)


@pytest.mark.parametrize("threshold", [0, 1, 7])
def test_thresholds_that_are_none(restorer_weights, threshold):
    with pytest.raises(UsageError, match="probability"):
        Restorer(restorer_weights, "cpu", threshold=threshold)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_file_keeps_metadata_and_name(restorer, photo, tmp_path, suffix):
    result = restorer.restore_file(photo, tmp_path / f"out{suffix}")
    assert result.status == "done" and (result.width, result.height) == (120, 150)
    assert any("filled in" in note for note in result.notes)
    with Image.open(result.output) as image:
        assert image.getexif()[0x010E] == "grandmother" and image.size == (120, 150)
        assert round(image.info["dpi"][0]) == 300


def test_16_bit_files_stay_so(restorer, tmp_path):
    deep = (np.arange(64 * 48, dtype=np.uint16) * 20).reshape(48, 64)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    restorer.restore_file(tmp_path / "deep.png", tmp_path / "out.png")
    assert open_photo(tmp_path / "out.png").luma.dtype == np.uint16


def test_pages_are_restored_each(restorer, restorer_weights, photo, tmp_path):
    image = Image.open(photo)
    image.save(tmp_path / "pages.tif", save_all=True, append_images=[image.rotate(180)])
    restorer.restore_file(tmp_path / "pages.tif", tmp_path / "library.tif")
    assert run(tmp_path / "pages.tif", tmp_path / "command.tif", "--weights", restorer_weights).exit_code == 0
    for name in ("library", "command"):
        with Image.open(tmp_path / f"{name}.tif") as result:
            assert result.n_frames == 2
            assert np.array_equal(np.asarray(result)[..., 0], np.asarray(restorer.restore(image)))


def test_one_mask_is_not_for_many_pages(restorer, restorer_weights, photo, tmp_path):
    """... and the masks of pages are not saved, which a note says. Hints beside a file do not concern a restorer."""
    image, pages = Image.open(photo), tmp_path / "pages.tif"
    image.save(pages, save_all=True, append_images=[image.rotate(180)])
    (tmp_path / "pages.hints.json").write_text("[]")
    Image.new("L", image.size, 255).save(tmp_path / "mask.png")
    with pytest.raises(BadPhoto, match="2 pages, and this is for a file of one"):
        restorer.restore_file(pages, tmp_path / "out.tif", mask=tmp_path / "mask.png")
    flags = ("--weights", restorer_weights)
    failed = run(pages, tmp_path / "out.tif", *flags, "--mask", tmp_path / "mask.png")
    assert (
        failed.exit_code == 1 and "this is for a file of one" in failed.output and not (tmp_path / "out.tif").exists()
    )
    image.save(tmp_path / "one.pdf")
    done = run(tmp_path / "one.pdf", tmp_path / "one in full.pdf", *flags, "--mask", tmp_path / "mask.png")
    assert done.exit_code == 0 or "pypdfium2" in done.output, done.output
    done = run(pages, tmp_path / "out.tif", *flags, "--save-mask", "--verbose")
    assert done.exit_code == 0 and "its mask was not saved" in done.output


def test_the_command_is_the_library(restorer, restorer_weights, photo, tmp_path):
    done = run(photo, tmp_path / "command.png", "--weights", restorer_weights, "--save-mask", "--verbose")
    assert done.exit_code == 0, done.output
    restorer.restore_file(photo, tmp_path / "library.png")
    pixels = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("command", "library")]
    assert np.array_equal(*pixels)
    mask = Image.open(tmp_path / "command.png.mask.png")
    assert np.array_equal(np.asarray(mask), np.asarray(restorer.find_mask(Image.open(photo))))
    assert "filled in" in done.output


def test_a_folder_with_report(restorer_weights, photo, tmp_path):
    folder, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "broken.jpg").write_bytes(photo.read_bytes()[:200])
    first = run(folder, out, "--weights", restorer_weights, "--report", report)
    assert first.exit_code == 1 and "2 done, 1 failed" in first.output
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert {row["status"] for row in rows} == {"done", "failed"} and (out / "b.jpg").exists()
    assert "2 skipped, 1 failed" in run(folder, out, "--weights", restorer_weights).output


def test_the_commands_mask(restorer_weights, photo, tmp_path):
    mask = Image.new("L", (120, 150))
    mask.paste(255, (30, 30, 60, 60))
    mask.save(tmp_path / "mask.png")
    done = run(photo, tmp_path / "out.png", "--weights", restorer_weights, "--mask", tmp_path / "mask.png", "--no-tone")
    assert done.exit_code == 0, done.output
    changed = np.asarray(Image.open(tmp_path / "out.png"))[..., 0] != np.asarray(Image.open(photo))
    assert changed.any() and not changed[np.asarray(mask) == 0].any()


def test_mistakes(restorer_weights, photo, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photo.read_bytes())
    Image.new("L", (5, 5)).save(tmp_path / "small.png")
    wrong = {
        (folder, tmp_path / "out", "--mask", tmp_path / "small.png"): (2, "--mask is for one photo"),
        (photo, tmp_path / "out.png", "--mask", tmp_path / "small.png"): (1, "mask is of 5 x 5 pixels"),
        (photo, tmp_path / "out.png", "--mask", tmp_path / "none.png"): (1, "none.png"),
        (photo, photo): (2, "is the original"),
    }
    for arguments, (code, message) in wrong.items():
        result = run(*arguments, "--weights", restorer_weights)
        assert (result.exit_code, message in result.output) == (code, True), result.output
    lite = run(photo, tmp_path / "out.png", "--weights", "lite")
    assert lite.exit_code == 3 and "do not restore" in lite.output


def test_restoring_first(restorer, weights, photo, tmp_path):
    """A colorizer with a restorer gives what it would make of the restored photo."""
    plain, restoring = Colorizer(weights, "cpu", "float32"), Colorizer(weights, "cpu", "float32", restore=restorer)
    image = Image.open(photo)
    wanted = np.asarray(plain.colorize(restorer.restore(image)))
    assert np.array_equal(np.asarray(restoring.colorize(image)), wanted)
    assert not np.array_equal(np.asarray(plain.colorize(image)), wanted)
    restoring.colorize_file(photo, tmp_path / "out.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), wanted)
    hint = [(40, 40, "#a01818")]
    assert np.array_equal(
        np.asarray(restoring.colorize(image, hints=hint)),
        np.asarray(plain.colorize(restorer.restore(image), hints=hint)),
    )


def test_a_restorer_is_no_colorizer(restorer_weights):
    from deoldify_lite.modeling.weights import BadWeights

    with pytest.raises(BadWeights, match="restore photos and put no colour"):
        Colorizer(restorer_weights, "cpu")


def test_bad_masks_are_named(restorer, photo, tmp_path):
    (tmp_path / "mask.png").write_bytes(b"no image")
    with pytest.raises(BadPhoto, match=r"mask .*mask\.png"):
        restorer.restore_file(photo, tmp_path / "out.png", mask=tmp_path / "mask.png")
