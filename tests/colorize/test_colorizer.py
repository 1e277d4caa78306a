"""The class that people import, with a small untrained network behind it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deoldify_lite import Colorizer, DeOldifyColorizer
from deoldify_lite.bt601 import LUMA_WEIGHTS
from deoldify_lite.colorize.engine import working_size
from deoldify_lite.colorize.folder import BadRequest
from deoldify_lite.device import DeviceUnavailable
from deoldify_lite.modeling.weights import BadWeights
from deoldify_lite.photo import BadPhoto, Photo, open_photo, photo_from_image
from deoldify_lite.samples import sample_photos

SMALL = 4  # render factor: the network sees 64 x 64 pixels


@pytest.fixture(scope="module")
def colorizer(weights) -> Colorizer:
    return Colorizer(weights, "cpu", "float32", SMALL)


@pytest.fixture(scope="module")
def deoldify(weights) -> DeOldifyColorizer:
    return DeOldifyColorizer(weights, "cpu", "float32", 3)


@pytest.fixture(scope="module")
def gray() -> Image.Image:
    with Image.open(sample_photos()["grace_hopper.jpg"]) as image:
        return image.convert("L").resize((128, 150))


def chroma(image: Image.Image) -> float:
    "Mean distance of the pixels from gray, in levels."
    return float(np.ptp(np.asarray(image.convert("RGB"), np.float32), axis=-1).mean())


def luma(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), np.float64) @ np.array(LUMA_WEIGHTS)


def test_color_is_added_and_luma_kept(colorizer, gray):
    result = colorizer.colorize(gray)
    assert result.mode == "RGB" and result.size == gray.size
    assert chroma(result) > 2
    assert np.abs(luma(result) - np.asarray(gray)).max() <= 1
    assert gray.mode == "L"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "I;16B"])
def test_any_mode_gives_rgb(colorizer, gray, mode):
    image = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257) if mode.startswith("I;16") else gray
    if mode == "I;16B":
        image = Image.frombytes("I;16B", image.size, np.asarray(image).astype(">u2").tobytes())
    elif mode in ("HSV", "LAB"):
        image = Image.merge(mode, [gray, *(Image.new("L", gray.size, 128),) * 2])
    else:
        image = image.convert(mode)
    result = colorizer.colorize(image)
    assert image.mode == mode
    assert result.mode == "RGB" and result.size == gray.size


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA", "La", "RGBa"])
def test_transparency_is_kept(colorizer, gray, mode):
    image = gray.convert({"PA": "P", "LA": "L", "La": "L"}.get(mode, "RGB"))
    alpha = gray.rotate(180)
    image.putalpha(alpha)
    result = colorizer.colorize(image.convert(mode))
    assert result.mode == "RGBA" and result.size == gray.size
    assert (np.asarray(result.getchannel("A")) == np.asarray(alpha)).all()


def test_transparency_of_16_bit_is_kept_in_8(colorizer):
    image = Image.fromarray(np.array([[0, 3000], [40000, 65535]], np.uint16))
    image.info["transparency"] = 3000
    result = colorizer.colorize(image, strength=0)
    assert np.asarray(result).tolist() == [
        [[0, 0, 0, 255], [11, 11, 11, 0]],
        [[156, 156, 156, 255], [255, 255, 255, 255]],
    ]


def test_an_orientation_is_applied(colorizer, gray):
    image = gray.copy()
    image.getexif()[274] = 6
    result = colorizer.colorize(image)
    assert result.size == (150, 128)
    assert 274 not in result.getexif()
    assert np.abs(luma(result) - np.rot90(np.asarray(gray), -1)).max() <= 1


def test_strength(colorizer, gray):
    nothing, half, as_predicted, twice = (colorizer.colorize(gray, strength) for strength in (0, 0.5, 1, 2))
    assert (np.asarray(nothing) == np.asarray(gray)[..., None]).all()
    assert 0 < chroma(half) < chroma(as_predicted) < chroma(twice)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(size=st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_any_size(colorizer, deoldify, size):
    for each in (colorizer, deoldify):
        result = each.colorize(Image.new("L", size, 100))
        assert result.mode == "RGB" and result.size == size


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (33, 2)])
def test_extreme_sizes(colorizer, deoldify, size):
    for each in (colorizer, deoldify):
        assert each.colorize(Image.new("L", size, 100)).size == size


def test_no_pixels_and_a_file_that_is_cut_off(colorizer, tmp_path):
    with pytest.raises(BadPhoto):
        colorizer.colorize(Image.new("L", (0, 5)))
    path = sample_photos()["china.jpg"]
    (tmp_path / "a.jpg").write_bytes(path.read_bytes()[:50_000])
    with Image.open(tmp_path / "a.jpg") as image, pytest.raises(OSError):
        colorizer.colorize(image)


def test_a_file_becomes_a_file_in_color(colorizer, gray, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "my grandmother"
    gray.save(tmp_path / "a.jpg", exif=exif)
    result = colorizer.colorize_file(tmp_path / "a.jpg", tmp_path / "out" / "b.png", strength=0.5)
    assert (result.status, result.output) == ("done", str(tmp_path / "out" / "b.png"))
    assert (result.width, result.height) == gray.size and result.seconds >= 0
    with Image.open(tmp_path / "a.jpg") as before, Image.open(result.output) as after:
        assert after.tobytes() == colorizer.colorize(before, 0.5).tobytes()
        assert after.getexif()[0x010E] == "my grandmother"


def test_a_file_goes_into_a_folder_under_its_own_name(colorizer, deoldify, gray, tmp_path):
    gray.save(tmp_path / "a.gif")
    (tmp_path / "out").mkdir()
    result = colorizer.colorize_file(str(tmp_path / "a.gif"), str(tmp_path / "out"), render_factor=2)
    assert result.output == str(tmp_path / "out" / "a.gif.png")
    with Image.open(result.output) as made:
        assert made.tobytes() == colorizer.colorize(gray, render_factor=2).tobytes()
    transparent = gray.copy()
    transparent.putalpha(gray)
    transparent.save(tmp_path / "b.png")
    theirs = deoldify.colorize_file(tmp_path / "b.png", tmp_path / "b.jpg")
    assert theirs.notes == ["its transparency was left out, which JPEG cannot hold"]
    with Image.open(theirs.output) as made:
        assert chroma(made) > 1


def test_a_file_that_cannot_be_colorized_is_named_and_leaves_nothing(colorizer, gray, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear grandmother")
    with pytest.raises(BadPhoto, match=r"letter\.jpg: not a photo"):
        colorizer.colorize_file(tmp_path / "letter.jpg", tmp_path / "b.jpg")
    with pytest.raises(BadPhoto, match=r"none\.jpg: No such file"):
        colorizer.colorize_file(tmp_path / "none.jpg", tmp_path / "b.jpg")
    gray.save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(BadRequest, match="is the original"):
        colorizer.colorize_file(tmp_path / "a.png", tmp_path)
    with pytest.raises(BadRequest, match="cannot write this format"):
        colorizer.colorize_file(tmp_path / "a.png", tmp_path / "a.xyz")
    assert (tmp_path / "a.png").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"letter.jpg", "a.png"}


def test_16_bit_photos_get_16_bit_colors(colorizer):
    photo = Photo(np.random.default_rng(0).integers(0, 65536, (40, 30)).astype(np.uint16))
    pixels = colorizer.colorize_photo(photo)
    assert pixels.dtype == np.uint16 and pixels.shape == (40, 30, 3)
    assert np.abs(pixels @ np.array(LUMA_WEIGHTS) - photo.luma).max() <= 1
    assert (pixels % 257 != 0).any()


def test_threads_see_what_one_sees(colorizer):
    photos = [open_photo(path) for path in sample_photos().values()] * 3
    alone = [colorizer.colorize_photo(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(colorizer.colorize_photo, photos))
    assert all((a == b).all() for a, b in zip(alone, together))


def test_deoldifys_way_gives_other_colors(colorizer, deoldify, gray):
    ours, theirs = colorizer.colorize(gray), deoldify.colorize(gray)
    assert theirs.size == gray.size and chroma(theirs) > 1
    assert (np.asarray(ours) != np.asarray(theirs)).any()
    nothing = deoldify.colorize(gray, strength=0)
    assert np.abs(np.asarray(nothing).astype(int) - np.asarray(gray)[..., None]).max() <= 1


def test_deoldifys_way_keeps_16_bit(deoldify):
    photo = Photo(np.arange(0, 60_000, 25, np.uint16).reshape(40, 60))
    pixels = deoldify.colorize_photo(photo)
    assert pixels.dtype == np.uint16 and pixels.shape == (40, 60, 3)


def test_the_render_factor_sets_the_area_and_the_photo_the_shape(colorizer):
    sizes = {factor: working_size((300, 300), factor) for factor in (2, 8, 20)}
    assert sizes == {2: (32, 32), 8: (128, 128), 20: (320, 320)}
    assert working_size((4000, 3000), 12) == (224, 160)
    assert working_size((3000, 4000), 12) == (160, 224)
    width, height = working_size((100_000, 10), 12)
    assert width <= 4 * 12 * 16 and height == 32
    assert colorizer.engine.preprocess(photo_from_image(Image.new("L", (400, 300))), 12).size == (224, 160)


def test_the_render_factor_is_that_of_the_call_or_else_of_the_colorizer(colorizer, weights, gray):
    other = Colorizer(weights, "cpu", "float32", 2 * SMALL).colorize(gray)
    assert other != colorizer.colorize(gray)
    assert other == colorizer.colorize(gray, render_factor=2 * SMALL)
    with pytest.raises(ValueError, match="at least 2"):
        colorizer.colorize(gray, render_factor=1)


def test_by_default_the_network_sees_three_quarters_of_a_photos_side(weights):
    engine = Colorizer(weights, "cpu").engine  # whose weights record a render factor of 6
    sides = {16: 96, 128: 96, 135: 96, 171: 128, 5000: 128}
    seen = {side: engine.preprocess(photo_from_image(Image.new("L", (side, side)))).size for side in sides}
    assert seen == {side: (working, working) for side, working in sides.items()}


@settings(deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_the_default_render_factor_grows_with_the_area(colorizer, width, height):
    factor_for = colorizer.engine.render_factor_for
    assert 6 <= factor_for((width, height)) == factor_for((height, width)) <= 8
    assert factor_for((width, height)) <= factor_for((width + 50, height))


def test_deoldifys_way_keeps_to_one_size(weights):
    engine = DeOldifyColorizer(weights, "cpu").engine
    assert engine.preprocess(photo_from_image(Image.new("L", (2000, 1000)))).size == (96, 96)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"render_factor": 1}, ValueError, "at least 2"),
        ({"render_factor": 0}, ValueError, "at least 2"),
        ({"precision": "float8"}, ValueError, "precision 'float8' is unknown"),
        ({"device": "abacus"}, DeviceUnavailable, "device 'abacus' is not available here"),
        ({"weights": "missing.safetensors"}, BadWeights, "no such file"),
    ],
)
def test_what_does_not_exist_is_said_in_one_sentence(weights, options, error, sentence):
    with pytest.raises(error, match=sentence):
        Colorizer(**{"weights": weights, "device": "cpu", **options})


def modules_after(code: str, *arguments: str) -> set[str]:
    "The top-level modules that a fresh interpreter has loaded after `code`."
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    return set(subprocess.check_output([sys.executable, "-c", code, *arguments], text=True).split())


def test_importing_the_package_loads_neither_torch_nor_fastai():
    loaded = modules_after("import deoldify_lite; from deoldify_lite import Schedule, open_photo, save_photo")
    assert "deoldify_lite" in loaded and "PIL" in loaded
    assert not loaded & {"torch", "torchvision", "fastai", "timm", "matplotlib"}


def test_colorizing_never_loads_fastai(weights):
    code = (
        "import sys; from PIL import Image; from deoldify_lite import Colorizer; import deoldify_lite.colorize.folder\n"
        "Colorizer(sys.argv[1], 'cpu', render_factor=2).colorize(Image.new('L', (9, 9)))"
    )
    loaded = modules_after(code, str(weights))
    assert "torch" in loaded
    assert not loaded & {"fastai", "fastcore", "matplotlib", "tensorboardX"}
