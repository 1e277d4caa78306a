"""A running average of the generator's weights."""

from torch import Tensor, nn

from ..modeling.layers import plain_state


class Ema:
    """The average of the weights that the generator computes with, decaying by `decay` each update.

    What is averaged are the normalised weights (`plain_state`), not the vectors of the power iteration: the mean of two
    singular vectors is the singular vector of nothing.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay = decay
        self.state: dict[str, Tensor] = {k: v.clone() for k, v in plain_state(network).items()}

    def update(self, network: nn.Module) -> None:
        for key, value in plain_state(network).items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - self.decay)
            else:
                self.state[key].copy_(value)

    def load(self, state: dict[str, Tensor]) -> None:
        "Go on from the `state` of another one."
        for key, value in state.items():
            self.state[key].copy_(value)
