"""Metrics of sets of images: Frechet and kernel distance between their features, and the Inception Score.

Sets are given as features, (N, C) and (M, C); every function returns one number.
"""

import warnings

import torch
from torch import Tensor, nn

from ..errors import UsageError


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, arXiv:1706.08500).

    Equals torchmetrics' value, which takes eigenvalues of the product of the covariances. With fewer images than
    features that product is singular; the trace of its root, as a sum of singular values, stays exact and is much
    faster.

    Raises:
        UsageError: fewer than two images in a set.
    """
    if min(len(a), len(b)) < 2:
        raise UsageError("a Frechet distance needs at least two images in each set")
    a, b = a.double(), b.double()
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    # With A = Ra'Ra and B = Rb'Rb, AB has the eigenvalues of (Ra Rb')(Ra Rb')', whose roots are these singular values.
    trace = torch.linalg.svdvals(root_a @ root_b.T).sum()
    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return max(0.0, float(means + root_a.square().sum() + root_b.square().sum() - 2 * trace))


def _covariance_root(x: Tensor) -> Tensor:
    "R with R'R the covariance of features (N, C): (min(N, C), C)."
    return torch.linalg.qr(x - x.mean(0), mode="r").R / (len(x) - 1) ** 0.5


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """The distance behind KID (Binkowski et al. 2018, arXiv:1801.01401) between features of predictions and references.

    Row i of both belongs to the same photo, so the two sets are not independent samples. torchmetrics' KID also
    compares each image with its own reference, and so falls below 0 by about 1/N, the more the closer the pairs are.
    Those pairs are left out here (Gretton et al. 2012, "A Kernel Two-Sample Test", equation 4): unbiased, 0 for equal
    sets, and over all photos at once instead of random subsets.

    Raises:
        UsageError: fewer than two images.
    """
    from torchmetrics.image.kid import poly_kernel

    if len(a) < 2:
        raise UsageError("a kernel distance needs at least two images")
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
        UsageError: fewer than ten images.
    """
    from torchmetrics.image.inception import InceptionScore

    if len(logits) < SPLITS:
        raise UsageError(f"an Inception Score needs at least {SPLITS} images, one for each split")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that it keeps all logits: they are in memory anyway
        torch.manual_seed(0)
        score = InceptionScore(nn.Identity(), splits=SPLITS)
        score.update(logits.double())
        return float(score.compute()[0])
