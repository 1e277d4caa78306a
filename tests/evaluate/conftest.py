"""A few small photos in colour, and networks that need no download."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from deoldify_lite.evaluate import measurements
from deoldify_lite.metrics.features import FeatureNetwork
from deoldify_lite.modeling.pretrained import WeightsUnavailable
from deoldify_lite.samples import sample_photos


@pytest.fixture
def photos(tmp_path) -> Path:
    """Six pieces of the sample photos, three of them in a subfolder, none square."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name, path in sample_photos().items():
        with Image.open(path) as image:
            image = image.convert("RGB").resize((160, 120))
        image.crop((0, 0, 100, 80)).save(folder / f"{Path(name).stem}.png")
        image.crop((40, 30, 160, 120)).save(folder / "more" / f"{Path(name).stem}.jpg", quality=95)
    return folder


class TinyFeatures(nn.Module):
    """Eight features per image, the same in every session."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Conv2d(3, 8, 4, 4)

    def forward(self, x):
        return self.layer(x).relu().mean((2, 3))


@pytest.fixture
def networks(monkeypatch) -> None:
    """A small network in VGG16's place; AlexNet, Inception and timm's networks are not available."""

    def open_network(name: str) -> FeatureNetwork:
        if name != "vgg16":
            raise WeightsUnavailable(f"{name} is not here")
        return FeatureNetwork(name, TinyFeatures(), "a small network")

    def lpips():
        raise WeightsUnavailable("alexnet is not here")

    monkeypatch.setattr(measurements, "open_network", open_network)
    monkeypatch.setattr(measurements, "Lpips", lpips)
