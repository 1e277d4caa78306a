"""Networks and losses run in a precision: float32 weights, convolutions and matrix products in bfloat16."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..device import autocast


class InPrecision(nn.Module):
    "A network run in a precision."

    def __init__(self, network: nn.Module, precision: torch.dtype):
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, *inputs: Tensor) -> Any:
        with autocast(inputs[0].device, self.precision):
            return self.network(*inputs)


def keep_depthwise_float32(network: nn.Module) -> None:
    """Have the depthwise convolutions of a network compute in float32 on a CPU, whatever the precision around them.

    They are a small part of the arithmetic, but oneDNN's backward pass of them is slow in bfloat16: a step of stage 128
    of `lite` trains 1.17 times as fast with it (`benchmarks/run.py training`, torch 2.14, AMD with AVX512-BF16).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = partial(_in_float32, module.forward)


def _in_float32(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return forward(x)
    with torch.autocast("cpu", enabled=False):
        return forward(x.float()).to(x.dtype)


class LossInPrecision:
    "A loss whose network runs in a precision. `parts` are its terms, by name."

    def __init__(self, loss: Any, precision: torch.dtype):
        self.loss, self.precision = loss, precision

    def __call__(self, predicted: Any, target: Tensor) -> Tensor:
        with autocast(target.device, self.precision):
            return self.loss(predicted, target)

    @property
    def parts(self) -> dict[str, Tensor]:
        return self.loss.parts
