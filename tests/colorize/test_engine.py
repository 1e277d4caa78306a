"""The generator as it runs: nothing in it that only training needs, and the pictures of the plain network."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.utils import parametrize

from deoldify_lite import Colorizer, color, device
from deoldify_lite.colorize.engine import Engine, lower_precision
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.photo import BadPhoto, photo_from_image
from deoldify_lite.samples import sample_photos


@pytest.fixture(scope="module")
def grays() -> list[Image.Image]:
    "Real photos in one shape, as the network sees them."
    photos = [Image.open(path).convert("L").resize((96, 64)) for path in sample_photos().values()]
    if not photos:
        pytest.skip("the libraries that bring the samples are not installed")
    return photos


def test_the_network_is_bare():
    """In eval mode, without hooks and parametrisations, BatchNorm left only where it follows no convolution."""
    network = Engine("lite", "cpu", "bfloat16").generator
    for module in network.modules():
        assert not module.training and not parametrize.is_parametrized(module)
        assert not module._forward_hooks and not module._forward_pre_hooks
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    types = [module.weight.dtype for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert types == [*[torch.float32] * 12, *[torch.bfloat16] * (len(types) - 12)], "the first layers stay in float32"
    kept, plain = (
        sum(isinstance(m, nn.BatchNorm2d) for m in each.modules()) for each in (network, load_generator("lite"))
    )
    assert kept < plain / 4


def test_in_float32_the_numbers_are_those_of_the_plain_network(grays):
    plain = load_generator("lite")
    y = torch.stack([torch.from_numpy(np.array(gray)) for gray in grays])[:, None] / 255
    with torch.inference_mode():
        expected = plain.chroma(color.normalize(y.expand(-1, 3, -1, -1))).numpy()
    assert np.ptp(expected) > 0.05, "there is no colour that could be wrong"
    assert np.abs(np.stack(Engine("lite", "cpu", "float32").predict(grays)) - expected).max() < 1e-4


def test_in_bfloat16_the_pictures_are_those_of_float32():
    "At most two levels apart on 99 % of the values."
    exact, quick = (Colorizer("lite", "cpu", precision) for precision in ("float32", "bfloat16"))
    for path in sample_photos().values():
        gray = Image.open(path).convert("L")
        gray.thumbnail((512, 512))
        photo = photo_from_image(gray)
        a, b = (colorizer.colorize_photo(photo).astype(int) for colorizer in (exact, quick))
        assert (np.abs(a - b) <= 2).mean() >= 0.99


@pytest.mark.parametrize("architecture", ["deep", "wide"])
def test_deoldifys_generators_run_in_bfloat16(architecture):
    """On the device that only tracks shapes and types."""
    with torch.device("meta"):
        network = lower_precision(build_generator(architecture), torch.bfloat16)
        assert network.chroma(torch.empty(1, 3, 40, 64)).shape == (1, 2, 40, 64)
    kept = [path for path, p in network.named_parameters() if p.dtype == torch.float32]
    assert len(kept) == 3 and all(".0.part.0." in path or ".0.part.1." in path for path in kept), kept


def test_photos_of_a_batch_do_not_see_one_another(grays):
    engine = Engine("lite", "cpu", "float32")
    together, alone = engine.predict(grays), [engine.predict([gray])[0] for gray in grays]
    assert max(np.abs(a - b).max() for a, b in zip(together, alone)) < 1e-4


def test_tensors_of_luma_become_tensors_of_chroma_or_rgb(grays):
    engine = Engine("lite", "cpu", "float32")
    luma = engine.to_luma(grays)
    assert luma.shape == (len(grays), 1, 64, 96) and 0 <= luma.min() < luma.max() <= 1
    chroma, rgb = engine.predict_chroma(luma), engine.predict_rgb(luma)
    assert chroma.shape == (len(grays), 2, 64, 96) and 0.05 < chroma.abs().max() <= 0.5
    assert rgb.shape == (len(grays), 3, 64, 96) and 0 <= rgb.min() < rgb.max() <= 1
    assert chroma.dtype == rgb.dtype == torch.float32
    assert (chroma.numpy() == np.stack(engine.predict(grays))).all()
    assert engine.predict_chroma(luma[..., :50, :70]).shape == (len(grays), 2, 50, 70)


def test_what_is_no_number_becomes_no_picture(grays, monkeypatch):
    engine = Engine("lite", "cpu", "float32")
    nothing = torch.full((1, 2, 4, 4), torch.nan)
    monkeypatch.setattr(engine.generator, "chroma", lambda x: nothing)
    monkeypatch.setattr(engine.generator, "forward", lambda x: nothing)
    with pytest.raises(BadPhoto, match="not finite in torch"):
        engine.predict_rgb(engine.to_luma(grays))
    with pytest.raises(BadPhoto, match="not finite in torch"):
        engine.predict(grays[:1])


@pytest.mark.parametrize(
    ("amx", "avx512", "vendor", "fast"),
    [
        (True, True, "GenuineIntel", True),
        (False, True, "AuthenticAMD", True),
        (False, True, "GenuineIntel", False),  # has the instructions, but is slower with them
        (False, False, "AuthenticAMD", False),
    ],
)
def test_bfloat16_where_the_processor_is_faster_with_it(weights, monkeypatch, amx, avx512, vendor, fast):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(device, "is_amd", lambda: vendor == "AuthenticAMD")
    assert device.has_fast_bfloat16(torch.device("cpu")) == fast
    assert Engine(weights, "cpu").precision == (torch.bfloat16 if fast else torch.float32)
    why = device.about_precision(torch.device("cpu"))
    assert why == (
        "which is fast here"
        if fast
        else "bfloat16 would not be faster on this cpu, which has neither AMX nor AMD's AVX512-BF16"
    )
