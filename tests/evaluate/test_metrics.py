"""Figures whose answer is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from deoldify_lite import color
from deoldify_lite.evaluate import metrics
from deoldify_lite.evaluate.features import Vgg16Features, open_network, weights_hash
from deoldify_lite.evaluate.metrics import (
    Lpips,
    ab_histogram,
    colourfulness,
    frechet_distance,
    histogram_distance,
    inception_score,
    kernel_distance,
    psnr,
    ssim,
)
from deoldify_lite.modeling.pretrained import WeightsUnavailable
from deoldify_lite.samples import sample_photos

pytestmark = pytest.mark.usefixtures("one_thread")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_colourfulness_of_known_pictures():
    grey = random(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert colourfulness(grey) < 1e-3
    half = torch.zeros(1, 3, 2, 2)
    half[0, 0, 0] = 1  # half red, half black: rg and yb are 255 and 127.5 or 0
    expected = math.hypot(127.5, 63.75) + 0.3 * math.hypot(127.5, 63.75)
    assert float(colourfulness(half)) == pytest.approx(expected, rel=1e-5)


def test_absolute_colourfulness_forgets_the_sign():
    """Red beside green: rg is 255 and -255, yb 127.5 both times; without signs nothing is left to vary."""
    picture = torch.zeros(1, 3, 1, 2)
    picture[0, 0, 0, 0] = picture[0, 1, 0, 1] = 1
    assert float(colourfulness(picture)) == pytest.approx(255 + 0.3 * 127.5)
    assert float(colourfulness(picture, absolute=True)) == pytest.approx(0.3 * math.hypot(255, 127.5), rel=1e-5)


def test_pictures_like_their_truth_are_perfect():
    picture = random(2, 3, 48, 48)
    assert psnr(picture, picture).tolist() == [math.inf, math.inf]
    assert torch.allclose(ssim(picture, picture), torch.ones(2))
    histogram = ab_histogram(picture)
    assert histogram_distance(histogram, histogram).tolist() == [0, 0]


def test_psnr_of_a_known_error_picture_by_picture():
    black = torch.zeros(2, 3, 4, 4)
    other = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    assert psnr(black, other).tolist() == pytest.approx([20, 40], rel=1e-4)


def test_ssim_falls_with_noise():
    picture = random(1, 3, 48, 48).expand(2, 3, 48, 48)
    noise = torch.stack([torch.full((3, 48, 48), 0.05), torch.full((3, 48, 48), 0.5)]) * normal(2, 3, 48, 48)
    little, much = ssim((picture + noise).clamp(0, 1), picture).tolist()
    assert 1 > little > much


def flat(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)


def test_ab_histograms_of_flat_colours_are_disjoint_and_do_not_see_lightness():
    red, blue = ab_histogram(flat(1, 0, 0)), ab_histogram(flat(0, 0, 1))
    assert red.shape == (1, 529) and float(red.max()) == 1 and float(red.sum()) == 1
    assert float(histogram_distance(red, blue)) == 1
    white, grey, black = (ab_histogram(flat(v, v, v)) for v in (1, 0.5, 0))
    assert float(histogram_distance(white, grey)) == float(histogram_distance(grey, black)) == 0
    assert float(white[0, 529 // 2]) == 1, "grey is the middle cell"


def test_histogram_distance_is_the_share_that_differs():
    half = flat(1, 0, 0).clone()
    half[..., :2] = flat(0, 0, 1)[..., :2]
    assert float(histogram_distance(ab_histogram(half), ab_histogram(flat(1, 0, 0)))) == pytest.approx(0.5)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_every_pixel_is_counted_once_and_distances_stay_between_0_and_1(seed):
    a, b = (ab_histogram(random(1, 3, 8, 8, seed=seed + i).round(decimals=2)) for i in range(2))
    assert float(a.sum()) == pytest.approx(1)
    assert 0 <= float(histogram_distance(a, b)) <= 1 + 1e-6


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
    """With fewer pictures than features as well, where the covariances are singular."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    a, b = normal(n, 16, seed=1).double(), normal(n, 16, seed=2).double() * 2 + 1
    same = torch.nn.Identity()
    same.num_features = 16
    theirs = FrechetInceptionDistance(same)
    theirs.update(a, real=False)
    theirs.update(b, real=True)
    assert frechet_distance(a, b) == pytest.approx(float(theirs.compute()), rel=1e-4)


def test_kernel_distance_is_zero_for_equal_sets_and_near_it_for_alike_ones():
    a, alike, other = normal(400, 8, seed=1), normal(400, 8, seed=2), normal(400, 8, seed=3) + 1
    assert kernel_distance(a, a) == 0
    assert abs(kernel_distance(a, alike)) < 0.02
    assert kernel_distance(a, other) > 1


@pytest.mark.filterwarnings("ignore:.*will save all extracted features:UserWarning")
def test_kernel_distance_is_torchmetrics_but_for_the_pairs_of_a_photo_with_itself():
    from torchmetrics.image.kid import KernelInceptionDistance, poly_kernel

    n = 300  # more than one block
    a, b = normal(n, 8, seed=1).double(), normal(n, 8, seed=2).double()
    theirs = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=n)
    theirs.update(b, real=True)
    theirs.update(a, real=False)
    cross = poly_kernel(a, b)
    pairs = 2 * (cross.mean() - (cross.sum() - cross.trace()) / (n * (n - 1)))
    assert kernel_distance(a, b) == pytest.approx(float(theirs.compute()[0] + pairs), rel=1e-6)


def test_distances_of_sets_need_two_pictures():
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match="at least two"):
            distance(normal(1, 4), normal(1, 4))


def test_inception_score_at_its_ends():
    """1 where all pictures look the same, the number of classes where each split has them all, and surely."""
    assert inception_score(torch.zeros(20, 5)) == pytest.approx(1)
    surely = 100 * torch.eye(2).repeat(1000, 1)
    assert inception_score(surely) == pytest.approx(2, rel=0.01)
    state = torch.random.get_rng_state()
    assert inception_score(normal(50, 5)) == inception_score(normal(50, 5))
    assert torch.equal(state, torch.random.get_rng_state()), "other random numbers are not disturbed"
    with pytest.raises(ValueError, match="at least 10"):
        inception_score(torch.zeros(9, 5))


@pytest.mark.parametrize("kind", [Lpips, Vgg16Features])
def test_pretrained_metrics_tell_pictures_apart(kind):
    try:
        metric = kind()
    except WeightsUnavailable as error:
        pytest.skip(str(error))
    a, b = random(2, 2, 3, 64, 64)
    if kind is Lpips:
        assert metric(a, a).abs().max() < 1e-6
        assert (metric(a, b) > 0.05).all()
    else:
        assert metric(color.normalize(a)).shape == (2, 512)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_lpips_is_the_lpips_packages(monkeypatch):
    """The same figure as the reference implementation gives with the same AlexNet."""
    reference = pytest.importorskip("lpips")
    from torchvision import models

    torch.manual_seed(0)
    alexnet = models.alexnet(weights=None).features.eval()
    monkeypatch.setattr(metrics, "load_features", lambda name, file=None: alexnet)
    theirs = reference.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    for layer, source in zip(metrics._convolutions(theirs.net), alexnet):
        layer.load_state_dict(source.state_dict())
    a, b = random(2, 3, 3, 64, 64, seed=1)
    with torch.no_grad():
        assert torch.allclose(Lpips()(a, b), theirs(a, b, normalize=True).flatten(), atol=1e-5)


# LPIPS of a grey photo from the same in colour, middle square of 128 pixels, as the package lpips 0.1.4 gives it.
OF_THE_PACKAGE = {"grace_hopper.jpg": 0.2141, "china.jpg": 0.1953, "flower.jpg": 0.2832}


@pytest.mark.parametrize(("name", "expected"), OF_THE_PACKAGE.items())
def test_lpips_of_stored_pairs(name, expected):
    try:
        lpips = Lpips()
    except WeightsUnavailable:
        pytest.skip("AlexNet's weights are not here")
    with Image.open(sample_photos()[name]) as photo:
        colour = ImageOps.fit(photo.convert("RGB"), (128, 128), Image.Resampling.LANCZOS)
    a, b = (to_tensor(picture) for picture in (colour.convert("L").convert("RGB"), colour))
    with torch.no_grad():
        assert lpips(a, b).item() == pytest.approx(expected, abs=5e-4)


def to_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def test_a_network_of_timm_gives_pooled_features_at_its_own_size(tmp_path, monkeypatch):
    import timm
    from safetensors.torch import save_file

    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    classifier = timm.create_model("test_efficientnet").eval()
    save_file(classifier.state_dict(), tmp_path / "test_efficientnet.safetensors")
    network = open_network("test_efficientnet")
    pictures = random(2, 3, network.size, network.size)
    features = classifier.forward_head(
        classifier.forward_features(color.normalize(pictures, network.mean, network.std)), pre_logits=True
    )
    assert torch.allclose(network(pictures), features, atol=1e-5)
    assert network(random(2, 3, 64, 64)).shape == features.shape
    assert weights_hash(network.network) == weights_hash(open_network("test_efficientnet").network)
    with pytest.raises(ValueError, match="timm has none"):
        open_network("no_such_network")


def test_inception_is_torchmetrics_and_no_pickle_is_executed(tmp_path, monkeypatch):
    """Random weights under the name that the real ones go by; the features are those that torchmetrics' FID sees."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    from safetensors.torch import save_file
    from torchmetrics.image.fid import NoTrainInceptionV3

    with monkeypatch.context() as patched:
        patched.setattr(fidelity, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patched.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        theirs = NoTrainInceptionV3("inception-v3-compat", ["2048"])
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    save_file(theirs.state_dict(), tmp_path / "inception_fid.safetensors")
    pictures = random(1, 3, 64, 64).mul(255).round() / 255
    with torch.no_grad():
        ours = open_network("inception")(pictures)
        assert ours.shape == (1, 2048 + 1008)
        assert torch.allclose(ours[:, :2048], theirs((pictures * 255).round().byte()), atol=1e-4)
