"""Networks to try things on, and what happened to their weights."""

import torch
from torch import nn


def excited(network: nn.Module) -> nn.Module:
    """In eval mode, every bias, gain and statistic away from its start, so that nothing is the identity by accident."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith(("bias", "running_mean", "gamma")):
                value.copy_(torch.randn(value.shape, generator=draw) * 0.2)
            elif name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=draw) + 0.5)
    return network.eval()


def snapshot(network: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in network.state_dict().items()}


def moved(before: dict[str, torch.Tensor], network: nn.Module) -> list[str]:
    "Names of what differs from a `snapshot`."
    return [k for k, v in network.state_dict().items() if not torch.equal(v, before[k])]
