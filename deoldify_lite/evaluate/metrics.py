"""Figures for colour: how much of it, how near to the truth, how near to the look of true photos."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..modeling.pretrained import load_features


def colourfulness(rgb: Tensor) -> Tensor:
    """How colourful pictures (N, 3, H, W) in [0, 1] look: (N,), about 0 for grey, 30 ordinary, 60 very (Hasler and
    Suesstrunk 2003)."""
    red, green, blue = (rgb * 255).unbind(1)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    flat = torch.stack([red_green, yellow_blue]).flatten(2)
    return flat.std(2, correction=0).norm(dim=0) + 0.3 * flat.mean(2).norm(dim=0)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    "Frechet distance of the Gaussians through two sets of features (N, C) and (M, C) (Heusel et al. 2017)."
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    # The root of a product of covariances has the roots of the product's eigenvalues as its own.
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum())


class Vgg16Features(nn.Module):
    "VGG16's last convolution's ReLU averaged over positions: (N, 3, H, W), ImageNet statistics -> (N, 512)."

    def __init__(self, file: Path | None = None):
        super().__init__()
        self.network = load_features("vgg16", file)[:30]

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).mean((2, 3))


class Lpips(nn.Module):
    """LPIPS with AlexNet, version 0.1 (Zhang et al. 2018, arXiv:1801.03924): (N, 3, H, W) in [0, 1], twice -> (N,).

    torchmetrics brings the learned weights of the five layers; AlexNet itself comes as other pretrained networks do.
    """

    def __init__(self, file: Path | None = None):
        super().__init__()
        from torchmetrics.functional.image.lpips import _LPIPS

        metric = _LPIPS(pretrained=True, net="alex", pnet_rand=True)  # random backbone: nothing is downloaded
        for source, target in zip(load_features("alexnet", file), _convolutions(metric.net)):
            target.load_state_dict(source.state_dict())
        self.metric = metric.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.metric(a, b, normalize=True).flatten()


def _convolutions(backbone: nn.Module) -> list[nn.Module]:
    "AlexNet's layers in order, out of the five slices that torchmetrics keeps them in."
    return [layer for name in ("slice1", "slice2", "slice3", "slice4", "slice5") for layer in getattr(backbone, name)]


def psnr(a: Tensor, b: Tensor) -> Tensor:
    "Peak signal-to-noise ratio in dB, (N,), of pictures (N, 3, H, W) in [0, 1]."
    return -10 * F.mse_loss(a, b, reduction="none").flatten(1).mean(1).clamp(min=1e-10).log10()
