"""The arithmetic: how much colour, how near to the truth, how near to the look of true photos.

Pictures are RGB (N, 3, H, W) in [0, 1]. What describes a picture, or compares it with its truth, gives (N,); what
compares two sets of pictures takes their features (N, C) and (M, C) and gives one number. What torchmetrics has, it
computes.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import color
from ..modeling.pretrained import load_features


def colourfulness(rgb: Tensor, absolute: bool = False) -> Tensor:
    """How colourful pictures look: about 0 for grey, 30 ordinary, 60 very (Hasler and Suesstrunk 2003).

    `absolute` takes absolute values of the two opponent channels first. That is not in the paper, but in the code that
    colorizers publish with their tables (DDColor's basicsr/metrics/colorfulness.py, for one); the figures are others.
    """
    red, green, blue = (rgb * 255).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue]).flatten(2)
    if absolute:
        opponents = opponents.abs()
    return opponents.std(2, correction=0).norm(dim=0) + 0.3 * opponents.mean(2).norm(dim=0)


AB_STEP, AB_LIMIT = 10, 110  # the grid of Zhang et al. 2016 (arXiv:1603.08511), on which all of sRGB lies


def ab_histogram(rgb: Tensor) -> Tensor:
    """Which share of a picture has which colour, whatever its lightness: (N, 529), summing to 1.

    CIE a and b, each rounded to a multiple of ten; the middle cell is grey.
    """
    half = AB_LIMIT // AB_STEP
    a, b = ((color.rgb_to_lab(rgb)[:, 1:] / AB_STEP).round().clamp(-half, half).long() + half).flatten(2).unbind(1)
    cells = 2 * half + 1
    counts = torch.zeros(len(rgb), cells**2, device=rgb.device)
    counts.scatter_add_(1, a * cells + b, torch.ones_like(a, dtype=counts.dtype))
    return counts / a.shape[1]


def histogram_distance(a: Tensor, b: Tensor) -> Tensor:
    """Share of the pixels that would have to change colour: 0 for equal histograms (N, C), 1 for disjoint ones.

    That is 1 minus the histogram intersection (Swain and Ballard 1991, "Color Indexing"), which in CIE Lab follows what
    people call similar (Lee, Xin and Westland 2005, "Evaluation of image similarity by histogram intersection").
    """
    return (a - b).abs().sum(1) / 2


def psnr(a: Tensor, b: Tensor) -> Tensor:
    "Peak signal-to-noise ratio in dB, over all three channels; infinite for equal pictures."
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(a, b, data_range=1.0, reduction="none", dim=(1, 2, 3))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    "Structural similarity (Wang et al. 2004), mean over the channels of RGB: Gaussian window of 11 pixels, sigma 1.5."
    from torchmetrics.functional.image import structural_similarity_index_measure

    return structural_similarity_index_measure(a, b, data_range=1.0, reduction="none").reshape(-1)


class Lpips(nn.Module):
    """LPIPS with AlexNet, version 0.1 (Zhang et al. 2018, arXiv:1801.03924): two batches of pictures -> (N,).

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


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance of the Gaussians through two sets of features (Heusel et al. 2017, arXiv:1706.08500).

    The same figure as torchmetrics', which takes eigenvalues of the product of the covariances. For fewer photos than
    features that product is singular; its root's trace, as a sum of singular values, stays exact and takes a fraction
    of the time.

    Raises:
        ValueError: fewer than two pictures in a set.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("a Frechet distance needs at least two pictures in each set")
    a, b = a.double(), b.double()
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    # With A = Ra'Ra and B = Rb'Rb, AB has the eigenvalues of (Ra Rb')(Ra Rb')', whose roots are these singular values.
    shared = torch.linalg.svdvals(root_a @ root_b.T).sum()
    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return max(0.0, float(means + root_a.square().sum() + root_b.square().sum() - 2 * shared))


def _covariance_root(x: Tensor) -> Tensor:
    "R with R'R the covariance of features (N, C): (min(N, C), C)."
    return torch.linalg.qr(x - x.mean(0), mode="r").R / (len(x) - 1) ** 0.5


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """The distance behind KID (Binkowski et al. 2018, arXiv:1801.01401) of two sets of features of the same photos.

    Row i of both is about the same photo, so the sets are no independent samples. torchmetrics' KID compares each
    picture with its own truth, too, and so falls below 0 by some 1/N, the more the nearer a picture is to its truth.
    Here those pairs are left out (Gretton et al. 2012, "A Kernel Two-Sample Test", equation 4): unbiased, 0 for equal
    sets, and over all photos at once instead of random subsets.

    Raises:
        ValueError: fewer than two pictures.
    """
    from torchmetrics.image.kid import poly_kernel

    if len(a) < 2:
        raise ValueError("a kernel distance needs at least two pictures")
    a, b = a.double(), b.double()
    total = 0.0
    for start in range(0, len(a), 256):  # all rows at once would be N x N numbers
        x, y = a[start : start + 256], b[start : start + 256]
        kernels = poly_kernel(x, a) + poly_kernel(y, b) - poly_kernel(x, b) - poly_kernel(y, a)
        total += float(kernels.sum() - kernels.diagonal(start).sum())
    return total / (len(a) * (len(a) - 1))


SPLITS = 10


def inception_score(logits: Tensor) -> float:
    """Inception Score (Salimans et al. 2016, arXiv:1606.03498) of Inception's logits (N, 1008), by torchmetrics.

    Mean over ten splits, always the same ones.

    Raises:
        ValueError: fewer than ten pictures.
    """
    from torchmetrics.image.inception import InceptionScore

    if len(logits) < SPLITS:
        raise ValueError(f"an Inception Score needs at least {SPLITS} pictures, one for each split")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that it keeps all logits: they are here in any case
        torch.manual_seed(0)
        score = InceptionScore(nn.Identity(), splits=SPLITS)
        score.update(logits.double())
        return float(score.compute()[0])
