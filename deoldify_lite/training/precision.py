"""Networks and losses run in a precision: float32 weights, convolutions and matrix products in bfloat16."""

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
