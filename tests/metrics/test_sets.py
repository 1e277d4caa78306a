"""Metrics of sets of features whose values are known."""

import numpy as np
import pytest
import torch

from deoldify_lite.metrics.sets import frechet_distance, inception_score, kernel_distance


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_of_known_gaussians():
    """|difference of means| squared plus (s1 - s2) squared in each direction; zero for the same set."""
    base = np.random.default_rng(0).normal(size=(4000, 3))
    base = (base - base.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(base.T))).T  # exactly standard
    a = torch.from_numpy(base)
    b = torch.from_numpy(base * [1, 2, 3] + [3, 0, 4])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(25 + 0 + 1 + 4)
    # Correlated ones: the trace of the root of S1 S2 for S1 = I and any S2 is the sum of the roots of its eigenvalues.
    mix = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.3]])
    covariance = mix.T @ mix
    expected = 3 + np.trace(covariance) - 2 * np.sqrt(np.linalg.eigvalsh(covariance)).sum()
    assert frechet_distance(a, torch.from_numpy(base @ mix)) == pytest.approx(expected)


@pytest.mark.parametrize("n", [5, 40])
def test_frechet_distance_is_torchmetrics(n):
    """With fewer images than features as well, where the covariances are singular."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    a, b = normal(n, 16, seed=1).double(), normal(n, 16, seed=2).double() * 2 + 1
    identity = torch.nn.Identity()
    identity.num_features = 16
    theirs = FrechetInceptionDistance(identity)
    theirs.update(a, real=False)
    theirs.update(b, real=True)
    assert frechet_distance(a, b) == pytest.approx(float(theirs.compute()), rel=1e-4)


def test_kernel_distance_is_zero_for_equal_sets_and_near_it_for_equal_distributions():
    a, alike, other = normal(400, 8, seed=1), normal(400, 8, seed=2), normal(400, 8, seed=3) + 1
    assert kernel_distance(a, a) == 0
    assert abs(kernel_distance(a, alike)) < 0.02
    assert kernel_distance(a, other) > 1


@pytest.mark.filterwarnings("ignore:.*will save all extracted features:UserWarning")
def test_kernel_distance_is_torchmetrics_without_the_pairs_of_one_photo():
    from torchmetrics.image.kid import KernelInceptionDistance, poly_kernel

    n = 300  # more than one block
    a, b = normal(n, 8, seed=1).double(), normal(n, 8, seed=2).double()
    theirs = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=n)
    theirs.update(b, real=True)
    theirs.update(a, real=False)
    cross = poly_kernel(a, b)
    pairs = 2 * (cross.mean() - (cross.sum() - cross.trace()) / (n * (n - 1)))
    assert kernel_distance(a, b) == pytest.approx(float(theirs.compute()[0] + pairs), rel=1e-6)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_distances_need_two_images(distance):
    with pytest.raises(ValueError, match="at least two"):
        distance(normal(1, 4), normal(1, 4))


def test_inception_score_at_its_ends():
    """1 where all images get the same answer, the number of classes where each split has them all with certainty."""
    assert inception_score(torch.zeros(20, 5)) == pytest.approx(1)
    certain = 100 * torch.eye(2).repeat(1000, 1)
    assert inception_score(certain) == pytest.approx(2, rel=0.01)
    state = torch.random.get_rng_state()
    assert inception_score(normal(50, 5)) == inception_score(normal(50, 5))
    assert torch.equal(state, torch.random.get_rng_state()), "other random numbers are not disturbed"
    with pytest.raises(ValueError, match="at least 10"):
        inception_score(torch.zeros(9, 5))
