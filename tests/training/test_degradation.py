"""Grey from colour: clean as the colorizer makes it, damaged as time does."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite import color
from deoldify_lite.samples import sample_photos
from deoldify_lite.schedule import Degradation
from deoldify_lite.training.data import step_generator
from deoldify_lite.training.degradation import degrade, grayscale_input

KINDS = [f.name for f in dataclasses.fields(Degradation) if f.name != "probability"]
NOTHING = dict.fromkeys(KINDS, 0.0)


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    images = [Image.open(path).convert("RGB").resize((48, 48)) for path in sample_photos().values()]
    stack = np.stack([np.asarray(i) for i in images] * 4)
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255


def test_grayscale_input_is_pillows(photos):
    """What training calls gray is what the colorizer feeds: Pillow's L, in three equal normalised channels."""
    ours = color.denormalize(grayscale_input(photos)) * 255
    image = Image.fromarray((photos[0].permute(1, 2, 0) * 255).round().byte().numpy())
    assert np.abs(ours[0, 0].numpy() - np.asarray(image.convert("L"), float)).max() <= 0.51
    assert torch.allclose(ours[:, 0], ours[:, 1], atol=1e-3) and torch.allclose(ours[:, 0], ours[:, 2], atol=1e-3)


def test_no_damage_is_clean(photos):
    assert torch.allclose(
        degrade(photos, Degradation(probability=0), step_generator(0)), grayscale_input(photos), atol=2e-2
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_damage_shows_and_spares_some(photos, kind):
    """Each kind alone changes some photos of a batch and leaves others alone; all stay gray and in range."""
    variety = Degradation(**NOTHING | {"probability": 1.0, kind: getattr(Degradation(), kind) or 1.0})
    gray = color.denormalize(degrade(photos, variety, step_generator(0, kind)))
    change = (gray - color.denormalize(grayscale_input(photos))).abs().amax((1, 2, 3))
    assert (change > 0.02).any(), "no photo shows it"
    assert (change < 0.01).any(), "every photo has it"
    assert gray.min() > -1e-5 and gray.max() < 1 + 1e-5
    assert (gray[:, :1] - gray).abs().max() < 1e-5


def test_early_film_is_blind_to_red_and_the_earliest_to_green_as_well():
    """Pure colours, which panchromatic film sees as luma does; half of the photos have it, in any strength."""
    colors = torch.eye(3)[None, :, :, None].expand(200, 3, 3, 8)
    early = Degradation(**NOTHING | {"probability": 1.0, "early_film": 1.0})
    red, green, blue = color.denormalize(degrade(colors, early, step_generator(0)))[:, 0, :, 0].T
    assert red.min() == pytest.approx(0.02, abs=0.01) and red.max() == pytest.approx(0.299, abs=1e-3)
    assert blue.max() > 0.85 and green[blue.argmax()] < 0.15
    assert ((red < 0.05) & (green > 0.45)).any(), "orthochromatic film lies between"


def test_blur_blurs_and_jpeg_makes_blocks(photos):
    def one(kind: str) -> torch.Tensor:
        variety = Degradation(**NOTHING | {"probability": 1.0, kind: 3.0 if kind == "blur" else 0.5})
        return color.denormalize(degrade(photos, variety, step_generator(3)))[:, :1]

    clean = color.luma(photos)
    rough = (clean.diff(dim=-1).abs().mean((1, 2, 3)), one("blur").diff(dim=-1).abs().mean((1, 2, 3)))
    assert (rough[1] <= rough[0] + 1e-4).all() and (rough[1] < 0.8 * rough[0]).any()
    steps = (one("jpeg") - clean).diff(dim=-1).abs().mean((0, 1, 2))
    assert steps[7::8].mean() > 1.2 * steps.mean(), "the error jumps where blocks meet"


def test_damage_hangs_on_the_generator_alone(photos):
    variety = Degradation(probability=0.7)
    first = degrade(photos, variety, step_generator(0, 5))
    assert torch.equal(first, degrade(photos, variety, step_generator(0, 5)))
    assert not torch.equal(first, degrade(photos, variety, step_generator(0, 6)))
