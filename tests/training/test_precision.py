"Which parts of a network stay float32 under bfloat16."

import copy

import pytest
import torch
from torch import nn

from deoldify_lite.device import autocast
from deoldify_lite.training.precision import keep_depthwise_float32


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 5, padding=2, groups=8), nn.Conv2d(8, 2, 1))


def test_depthwise_convolutions_compute_in_float32_and_give_what_is_around_them(network):
    kept = copy.deepcopy(network)
    keep_depthwise_float32(kept)
    x = torch.randn(2, 3, 12, 12)
    seen = {}
    for name, net in {"as it was": network, "kept": kept}.items():
        net[1].register_forward_hook(lambda _m, inputs, output, name=name: seen.update({name: (*inputs, output)}))
        with autocast(x.device, torch.bfloat16):
            assert net(x).dtype == torch.bfloat16
    (before, rounded), (inputs, output) = seen["as it was"], seen["kept"]
    assert torch.equal(before, inputs) and output.dtype == torch.bfloat16
    exact = nn.functional.conv2d(inputs.float(), network[1].weight, network[1].bias, padding=2, groups=8)
    assert torch.equal(output, exact.bfloat16())
    assert not torch.equal(output, rounded)  # in bfloat16 its weights are rounded


def test_float32_and_copies_stay_as_they_were(network):
    kept = copy.deepcopy(network)
    keep_depthwise_float32(kept)
    again = copy.deepcopy(kept)
    x = torch.randn(2, 3, 12, 12)
    assert torch.equal(kept(x), network(x))
    with torch.no_grad():
        again[1].weight.zero_()
    assert torch.equal(kept(x), network(x)) and not torch.equal(again(x), network(x))
