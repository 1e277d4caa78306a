"""The grayscale input of training: a clean conversion, or one degraded as old photos are.

Film that is blind to red, faded blacks, grain, soft focus, JPEG, dark corners: `degrade` does such things to the input
alone; the target stays clean.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import color
from ..schedule import Degradation

# How sensitive film is to red, green and blue: panchromatic film, much as the eye; orthochromatic film (about 1880 to
# 1930), nearly blind to red, on which skin and lips are dark; collodion and the first plates, which see hardly more
# than blue, so that skies are white.
FILMS = {
    "panchromatic": color.LUMA_WEIGHTS,
    "orthochromatic": (0.02, 0.54, 0.44),
    "earliest": (0.02, 0.08, 0.90),
}


def degrade(rgb: Tensor, degradation: Degradation, generator: torch.Generator) -> Tensor:
    """Normalised grayscale pictures (N, 3, H, W), three equal channels, of colour ones in [0, 1].

    All randomness comes from `generator` (on the CPU), one draw of each kind a photo whether it is used or not, so
    that one photo's damage does not depend on another's.
    """
    n = len(rgb)
    draw = torch.rand(13, n, generator=generator)
    noise = torch.randn(n, 1, *rgb.shape[-2:], generator=generator).to(rgb.device)
    damaged = draw[0] < degradation.probability
    # Each kind of damage leaves half of the damaged photos alone; on the others it has any strength up to the most.
    strengths = ((draw[1:9] * 2 - 1).clamp(min=0) * damaged).to(rgb.device)
    film, gamma, contrast, fade, grain, blur, blocks, vignette = (s.view(n, 1, 1, 1) for s in strengths)
    sign = torch.where(draw[9] < 0.5, -1.0, 1.0).to(rgb.device).view(n, 1, 1, 1)

    y = _film_luma(rgb, film, degradation, draw[10:13])
    y = y.clamp(1e-3, 1) ** torch.exp(sign * gamma * degradation.gamma)
    y = (y - 0.5) * (1 + sign * contrast * degradation.contrast) + 0.5
    y = y * (1 - fade * degradation.fade * 1.5) + fade * degradation.fade
    y = y * (1 - vignette * degradation.vignette * _corner_distance(y))
    y = blurred(y, blur * degradation.blur)
    y = (y + noise * grain * degradation.grain).clamp(0, 1)
    y = jpeg(y, blocks * degradation.jpeg)
    return color.normalize(y.clamp(0, 1).expand(-1, 3, -1, -1))


def grayscale_input(rgb: Tensor) -> Tensor:
    "The normalised input (N, 3, H, W) of pictures (N, 3, H, W) in [0, 1], as the colorizer makes it."
    return color.normalize(color.luma(rgb).expand(-1, 3, -1, -1))


def _film_luma(rgb: Tensor, strength: Tensor, degradation: Degradation, draw: Tensor) -> Tensor:
    "Luma by the weights of a film between those of `FILMS`, each of them moved at random."
    age, moves = (strength.view(-1, 1) * most for most in (degradation.early_film, degradation.film))
    films = torch.tensor([*FILMS.values()], device=rgb.device)
    weights = films[0].lerp(films[1], (2 * age).clamp(max=1)).lerp(films[2], (2 * age - 1).clamp(min=0))
    weights = (weights + moves * (draw.T.to(rgb.device) * 2 - 1)).clamp(min=0.02)
    weights = weights / weights.sum(1, keepdim=True)
    return (rgb * weights[:, :, None, None]).sum(1, keepdim=True)


def _corner_distance(y: Tensor) -> Tensor:
    "0 in the middle, 1 in the corners, squared."
    h, w = (torch.linspace(-1, 1, side, device=y.device) for side in y.shape[-2:])
    return (h[:, None] ** 2 + w[None] ** 2) / 2


def blurred(y: Tensor, sigma: Tensor) -> Tensor:
    "Each photo with a Gaussian of its own width, separable, five taps; sigma 0 leaves it."
    taps = torch.arange(-2, 3, device=y.device)
    kernel = torch.exp(-(taps**2) / (2 * sigma.view(-1, 1) ** 2 + 1e-6))
    kernel = kernel / kernel.sum(1, keepdim=True)
    flat = F.pad(y.transpose(0, 1), (2, 2, 2, 2), mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=len(y))
    return F.conv2d(flat, kernel[:, None, None, :], groups=len(y)).transpose(0, 1)


def _dct_matrix() -> Tensor:
    "The 8-point discrete cosine transform as an orthonormal matrix."
    k, i = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    matrix = torch.cos(math.pi * (2 * i + 1) * k / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def jpeg(y: Tensor, step: Tensor) -> Tensor:
    "JPEG's loss: 8 x 8 cosine coefficients rounded, high frequencies coarsest, to `step` of the range; 0 leaves it."
    h, w = y.shape[-2:]
    padded = F.pad(y, (0, -w % 8, 0, -h % 8), mode="replicate")
    dct = _dct_matrix().to(y)
    n, _, ph, pw = padded.shape
    blocks = padded.reshape(n, ph // 8, 8, pw // 8, 8).transpose(2, 3)
    frequencies = torch.arange(8.0, device=y.device)
    coarse = (frequencies[:, None] + frequencies + 1) / 15
    grid = step.view(-1, 1, 1, 1, 1) * coarse * 4 + 1e-4
    quantised = (dct @ blocks @ dct.T / grid).round() * grid
    out = (dct.T @ quantised @ dct).transpose(2, 3).reshape(n, 1, ph, pw)[..., :h, :w]
    return torch.where(step > 0, out, y)
