"""Metrics of images whose values are known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from deoldify_lite.metrics import image
from deoldify_lite.metrics.image import Lpips, ab_histogram, colorfulness, histogram_distance, psnr, ssim
from deoldify_lite.samples import sample_photos


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_colorfulness_of_known_images():
    gray = random(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert colorfulness(gray) < 1e-3
    half = torch.zeros(1, 3, 2, 2)
    half[0, 0, 0] = 1  # half red, half black: rg and yb are 255 and 127.5 or 0
    expected = math.hypot(127.5, 63.75) + 0.3 * math.hypot(127.5, 63.75)
    assert float(colorfulness(half)) == pytest.approx(expected, rel=1e-5)


def test_absolute_colorfulness_drops_the_sign():
    """Red beside green: rg is 255 and -255, yb 127.5 both times; without signs nothing is left to vary."""
    rgb = torch.zeros(1, 3, 1, 2)
    rgb[0, 0, 0, 0] = rgb[0, 1, 0, 1] = 1
    assert float(colorfulness(rgb)) == pytest.approx(255 + 0.3 * 127.5)
    assert float(colorfulness(rgb, absolute=True)) == pytest.approx(0.3 * math.hypot(255, 127.5), rel=1e-5)


def test_equal_images_have_the_best_values():
    rgb = random(2, 3, 48, 48)
    assert psnr(rgb, rgb).tolist() == [math.inf, math.inf]
    assert torch.allclose(ssim(rgb, rgb), torch.ones(2))
    histogram = ab_histogram(rgb)
    assert histogram_distance(histogram, histogram).tolist() == [0, 0]


def test_psnr_of_a_known_error_for_each_image():
    black = torch.zeros(2, 3, 4, 4)
    other = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    assert psnr(black, other).tolist() == pytest.approx([20, 40], rel=1e-4)


def test_ssim_falls_with_noise():
    rgb = random(1, 3, 48, 48).expand(2, 3, 48, 48)
    noise = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    noise *= torch.tensor([0.05, 0.5])[:, None, None, None]
    little, much = ssim((rgb + noise).clamp(0, 1), rgb).tolist()
    assert 1 > little > much


def flat(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)


def test_ab_histograms_of_flat_colors_are_disjoint_and_ignore_lightness():
    red, blue = ab_histogram(flat(1, 0, 0)), ab_histogram(flat(0, 0, 1))
    assert red.shape == (1, 529) and float(red.max()) == 1 and float(red.sum()) == 1
    assert float(histogram_distance(red, blue)) == 1
    white, gray, black = (ab_histogram(flat(v, v, v)) for v in (1, 0.5, 0))
    assert float(histogram_distance(white, gray)) == float(histogram_distance(gray, black)) == 0
    assert float(white[0, 529 // 2]) == 1, "gray is the middle bin"


def test_histogram_distance_is_the_fraction_that_differs():
    half = flat(1, 0, 0).clone()
    half[..., :2] = flat(0, 0, 1)[..., :2]
    assert float(histogram_distance(ab_histogram(half), ab_histogram(flat(1, 0, 0)))) == pytest.approx(0.5)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_every_pixel_is_counted_once_and_distances_stay_between_0_and_1(seed):
    a, b = (ab_histogram(random(1, 3, 8, 8, seed=seed + i).round(decimals=2)) for i in range(2))
    assert float(a.sum()) == pytest.approx(1)
    assert 0 <= float(histogram_distance(a, b)) <= 1 + 1e-6


def test_lpips_tells_images_apart(lpips):
    a, b = random(2, 2, 3, 64, 64)
    assert lpips(a, a).abs().max() < 1e-6
    assert (lpips(a, b) > 0.05).all()


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_lpips_is_the_lpips_packages(monkeypatch):
    """The same value as the reference implementation gives with the same AlexNet."""
    reference = pytest.importorskip("lpips")
    from torchvision import models

    torch.manual_seed(0)
    alexnet = models.alexnet(weights=None).features.eval()
    monkeypatch.setattr(image, "load_features", lambda name, file=None: alexnet)
    theirs = reference.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    for layer, source in zip(image._backbone_layers(theirs.net), alexnet):
        layer.load_state_dict(source.state_dict())
    a, b = random(2, 3, 3, 64, 64, seed=1)
    with torch.no_grad():
        assert torch.allclose(Lpips()(a, b), theirs(a, b, normalize=True).flatten(), atol=1e-5)


# LPIPS of a photo in grayscale against its original, middle square of 128 pixels, by the package lpips 0.1.4.
FROM_THE_PACKAGE = {"grace_hopper.jpg": 0.2141, "china.jpg": 0.1953, "flower.jpg": 0.2832}


@pytest.mark.parametrize(("name", "expected"), FROM_THE_PACKAGE.items())
def test_lpips_of_stored_pairs(lpips, name, expected):
    with Image.open(sample_photos()[name]) as photo:
        original = ImageOps.fit(photo.convert("RGB"), (128, 128), Image.Resampling.LANCZOS)
    a, b = (to_tensor(photo) for photo in (original.convert("L").convert("RGB"), original))
    with torch.no_grad():
        assert lpips(a, b).item() == pytest.approx(expected, abs=5e-4)


def to_tensor(photo: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() / 255
