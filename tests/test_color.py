"""Luma and chroma on tensors."""

import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite import color
from deoldify_lite.device import DeviceUnavailable, pick_device, pick_precision


def test_chroma_and_luma_make_the_picture_again():
    rgb = torch.rand(2, 3, 5, 7)
    assert torch.allclose(color.merge(color.luma(rgb), color.chroma(rgb)), rgb, atol=1e-6)


def test_agrees_with_pillows_ycbcr():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    rgb = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    ours = torch.cat([color.luma(rgb), color.chroma(rgb) + 128 / 255]) * 255
    theirs = np.asarray(Image.fromarray(pixels).convert("YCbCr"), float).transpose(2, 0, 1)
    assert np.abs(ours.numpy() - theirs).max() <= 1.01


def test_normalisation_has_an_inverse():
    rgb = torch.rand(1, 3, 4, 4)
    assert torch.allclose(color.denormalize(color.normalize(rgb)), rgb, atol=1e-6)
    assert color.normalize(torch.tensor(color.IMAGENET_MEAN)[:, None, None]).abs().max() < 1e-6


def test_devices_and_precisions_by_name():
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(DeviceUnavailable, match=name):
            pick_device(name)
    assert pick_precision(torch.device("cpu"), "bfloat16") == torch.bfloat16
    assert pick_precision(torch.device("cpu")) in (torch.float32, torch.bfloat16)
    with pytest.raises(ValueError, match="float8"):
        pick_precision(torch.device("cpu"), "float8")


def test_lab_of_known_colours():
    """White, black, middle grey and the primaries, as in every table of sRGB under D65."""
    known = {
        (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
        (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
        (0.5, 0.5, 0.5): (53.39, 0.0, 0.0),
        (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
        (0.0, 1.0, 0.0): (87.73, -86.18, 83.18),
        (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
    }
    rgb = torch.tensor(list(known))[:, :, None, None]
    assert torch.allclose(color.rgb_to_lab(rgb)[..., 0, 0], torch.tensor(list(known.values())), atol=0.02)


def test_lab_agrees_with_scikit_image():
    reference = pytest.importorskip("skimage.color")
    rgb = torch.rand(3, 40, 30, generator=torch.Generator().manual_seed(0))
    rgb[:, :, :10] *= 0.02  # the dark end, where the curves are straight
    theirs = reference.rgb2lab(rgb.permute(1, 2, 0).numpy())
    assert np.abs(color.rgb_to_lab(rgb).permute(1, 2, 0).numpy() - theirs).max() < 1e-3


def test_lab_has_an_inverse_and_finite_gradients():
    """Black and what sRGB cannot show included."""
    rgb = torch.cat([torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4), torch.rand(2, 3, 4, 4)]).requires_grad_()
    again = color.lab_to_rgb(color.rgb_to_lab(rgb))
    assert torch.allclose(again, rgb, atol=1e-4)
    again.sum().backward()
    assert torch.isfinite(rgb.grad).all()
    wild = (torch.rand(2, 3, 4, 4) * 300 - 150).requires_grad_()
    color.lab_to_rgb(wild).sum().backward()
    assert torch.isfinite(wild.grad).all()
    half = color.rgb_to_lab(torch.rand(1, 3, 4, 4).bfloat16())
    assert half.dtype == torch.float32
