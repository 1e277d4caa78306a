"""The restorer's network: sizes, holes, weights in files."""

import pytest
import torch

from deoldify_lite.modeling.fold import fold
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.restorer import HOLE, RestorerUnet, planes, widen
from deoldify_lite.modeling.weights import BadWeights, default_threshold, load_generator, load_restorer, save_weights
from helpers.networks import excited


@pytest.fixture(scope="module")
def network() -> RestorerUnet:
    torch.manual_seed(0)
    return excited(RestorerUnet(8, "test_efficientnet"))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 3), (1, 1), (64, 20)])
def test_any_size(network, size):
    logit, fill = network(torch.rand(2, 1, *size))
    assert logit.shape == fill.shape == (2, 1, *size)
    assert torch.isfinite(logit).all() and torch.isfinite(fill).all()


def test_size_and_cost():
    """12 megapixels take 0.25 tera-multiplications; what of the encoder is not used is left out."""
    from torch.utils.flop_counter import FlopCounterMode

    network = RestorerUnet()
    assert sum(p.numel() for p in network.parameters()) < 1.2e6
    with FlopCounterMode(display=False) as flops, torch.inference_mode():
        network(torch.rand(1, 1, 128, 128))
    assert flops.get_total_flops() / 2 / 128**2 < 21_000


def test_what_is_under_a_hole_is_not_seen(network):
    y = torch.rand(1, 1, 64, 64)
    y[..., 20:30, 20:30] = HOLE
    seen = planes(y)
    assert (seen[:, 2] == (y[:, 0] == HOLE)).all()
    assert seen[:, 0].abs().max() < 3, "a hole is no outlier"


def test_far_pixels_do_not_move_with_the_place(network):
    """A shift by the stride shifts the result: nothing hangs on where a pixel is, but near the border."""
    y = torch.rand(1, 1, 1024, 64)
    for a, b in zip(network(y), network(y[..., 32:, :])):
        assert torch.allclose(a[..., 512:600, :], b[..., 480:568, :], atol=1e-4)


def test_files(network, tmp_path):
    path, other = tmp_path / "restorer.safetensors", tmp_path / "generator.safetensors"
    save_weights(network, path, about={"threshold": 0.4})
    loaded, y = load_restorer(path), torch.rand(1, 1, 40, 40)
    assert all(torch.equal(a, b) for a, b in zip(loaded(y), network(y)))
    assert default_threshold(path) == 0.4
    with pytest.raises(BadWeights, match=r"restore photos and put no colour"):
        load_generator(path)
    save_weights(build_generator("lite", "resnet18"), other)
    with pytest.raises(BadWeights, match=r"colorize photos and do not restore"):
        load_restorer(other)
    save_weights(network, path, config={"architecture": "restorer", "width": 16, "encoder": "test_efficientnet"})
    with pytest.raises(BadWeights, match="weights of another network"):
        load_restorer(path)


def test_folding_changes_nothing(network):
    folded = fold(network, lambda n, x: torch.cat(n(x[:, :1]), 1))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    y = torch.rand(1, 1, 64, 64)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(folded(y), network(y)))


def test_widening_takes_the_neighbours():
    chance = torch.zeros(1, 1, 7, 7)
    chance[..., 3, 3] = 0.9
    widened = widen(chance)[0, 0]
    assert (widened[2:5, 2:5] == chance.max()).all() and (widened > 0).sum() == 9
