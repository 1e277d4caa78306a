"""Spectral norm put on and folded in."""

import torch
from torch import nn

from deoldify_lite.modeling.layers import add_spectral_norm, plain_state, without_spectral_norm


def test_a_copy_without_spectral_norm_computes_the_same_and_leaves_the_original_whole():
    torch.manual_seed(0)
    network = add_spectral_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    network[2].requires_grad_(False)
    network.eval()
    x = torch.randn(1, 3, 8, 8)
    plain = without_spectral_norm(network)
    assert torch.equal(plain(x), network(x))
    assert plain.state_dict().keys() == plain_state(network).keys()
    assert [p.requires_grad for p in plain.parameters()] == [True, True, False, False]
    assert type(plain[0]) is nn.Conv2d and "parametrizations.weight.original" in network[0].state_dict()
