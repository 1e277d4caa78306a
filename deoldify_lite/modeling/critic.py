"""DeOldify's patch critic."""

from torch import Tensor, nn

from .layers import SelfAttention, add_spectral_norm

SMALLEST = 64  # side of a picture that leaves it a patch


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, *, dropout: float = 0.0) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=1)
    return [conv, nn.LeakyReLU(0.2)] + ([nn.Dropout2d(dropout)] if dropout else [])


class Critic(nn.Sequential):
    """Tells photos from predictions, patch by patch: (N, 3, S, S), normalised RGB -> logits (N, P), positive for real.

    P is (S / 16 - 3) squared: 25 at 128 px, 81 at 192. `width` 256 gives DeOldify's 94.6 million parameters. Spectral
    norm on every convolution (Miyato et al. 2018), self-attention after the first doubling (Zhang et al. 2018).
    """

    scales = 1

    def __init__(self, width: int = 256):
        layers = _conv(3, width, 4, 2, dropout=0.075)
        for i in range(3):
            inputs = width * 2**i
            layers += _conv(inputs, inputs, 3, dropout=0.15)
            layers += _conv(inputs, inputs * 2, 4, 2)
            if i == 0:
                layers.append(SelfAttention(inputs * 2))
        layers += _conv(width * 8, width * 8, 3)
        layers += [nn.Conv2d(width * 8, 1, 4, bias=False), nn.Flatten()]
        super().__init__(*layers)
        self.config = {"architecture": "critic", "width": width}
        add_spectral_norm(self)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()
