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
