"""Losses, scores and the choice of the inflection point."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from deoldify_lite import color
from deoldify_lite.evaluate.metrics import Lpips, Vgg16Features, colourfulness, frechet_distance, psnr
from deoldify_lite.modeling.pretrained import WeightsUnavailable
from deoldify_lite.schedule import Loss
from deoldify_lite.training.inflection import Scorer, choose, draw_curve
from deoldify_lite.training.losses import FeatureLoss, adversarial_loss, critic_loss

UNTRAINED = Loss(network="untrained", pixel=1.0, features=(1.0, 1.0, 1.0))


def test_feature_loss_is_nothing_for_the_truth_and_sums_its_parts():
    loss = FeatureLoss(UNTRAINED)
    truth, other = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    assert loss(truth, truth) == 0
    total = loss(other, truth)
    assert set(loss.parts) == {"pixel", "feature_3", "feature_4", "feature_5"}
    assert float(total) == pytest.approx(float(sum(loss.parts.values())), rel=1e-5)


def test_feature_loss_teaches_the_painted_picture_alone():
    loss = FeatureLoss(UNTRAINED)
    painted, truth = torch.randn(1, 3, 32, 32, requires_grad=True), torch.randn(1, 3, 32, 32, requires_grad=True)
    loss(painted, truth).backward()
    assert painted.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in loss.parameters())


def test_features_can_be_switched_off():
    loss = FeatureLoss(UNTRAINED, scale=0)
    loss(torch.randn(1, 3, 32, 32), torch.randn(1, 3, 32, 32))
    assert set(loss.parts) == {"pixel"}
    with pytest.raises(ValueError, match="vgg19"):
        FeatureLoss(Loss(network="vgg19"))


def test_vivid_counts_colourful_pixels_for_more():
    """The same error costs more where the truth is colourful than where it is grey."""
    truth = torch.full((1, 3, 8, 8), 0.5)
    truth[:, 0, :, :4], truth[:, 2, :, :4] = 0.9, 0.1  # left half orange
    left, right = torch.zeros_like(truth), torch.zeros_like(truth)
    left[..., :4], right[..., 4:] = 0.1, 0.1
    truth = color.normalize(truth)
    for vivid, expected in ((0.0, 1.0), (2.0, None)):
        loss = FeatureLoss(Loss(network="untrained", features=(), vivid=vivid))
        ratio = float(loss(truth + left, truth) / loss(truth + right, truth))
        assert ratio == pytest.approx(expected) if expected else ratio > 2


def test_gan_losses_are_what_they_should_be_at_the_ends():
    sure, unsure = torch.full((2, 5), 20.0), torch.zeros(2, 5)
    assert critic_loss(sure, -sure) < 1e-6
    assert critic_loss(unsure, unsure) == pytest.approx(math.log(2))
    assert adversarial_loss(sure) < 1e-6
    assert adversarial_loss(-sure) == pytest.approx(20, rel=1e-3)


def test_colourfulness_of_known_pictures():
    grey = torch.rand(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert colourfulness(grey) < 1e-3
    half = torch.zeros(1, 3, 2, 2)
    half[0, 0, 0] = 1  # half red, half black: rg and yb are 255 and 127.5 or 0
    expected = math.hypot(127.5, 63.75) + 0.3 * math.hypot(127.5, 63.75)
    assert float(colourfulness(half)) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_known_gaussians():
    """|difference of means| squared plus (s1 - s2) squared in each direction; zero for the same set."""
    draw = np.random.default_rng(0)
    base = draw.normal(size=(4000, 3))
    base = (base - base.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(base.T))).T  # exactly standard
    a = torch.from_numpy(base)
    b = torch.from_numpy(base * [1, 2, 3] + [3, 0, 4])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, b) == pytest.approx(25 + 0 + 1 + 4, rel=1e-5)


def test_psnr_of_a_known_error():
    assert float(psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1))) == pytest.approx(20, rel=1e-4)


@pytest.mark.parametrize("kind", [Lpips, Vgg16Features])
def test_pretrained_metrics_tell_pictures_apart(kind):
    try:
        metric = kind()
    except WeightsUnavailable as error:
        pytest.skip(str(error))
    a, b = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    if kind is Lpips:
        assert metric(a, a).abs().max() < 1e-6
        assert (metric(a, b) > 0.05).all()
    else:
        assert metric(color.normalize(a)).shape == (2, 512)


def test_lpips_is_the_lpips_packages(monkeypatch):
    """The same figure as the reference implementation gives with the same AlexNet."""
    reference = pytest.importorskip("lpips")
    from torchvision import models

    from deoldify_lite.evaluate import metrics

    torch.manual_seed(0)
    alexnet = models.alexnet(weights=None).features.eval()
    monkeypatch.setattr(metrics, "load_features", lambda name, file=None: alexnet)
    theirs = reference.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    for layer, source in zip(metrics._convolutions(theirs.net), alexnet):
        layer.load_state_dict(source.state_dict())
    a, b = torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(Lpips()(a, b), theirs(a, b, normalize=True).flatten(), atol=1e-5)


def test_best_step_by_the_rule():
    first = {"step": 0, "colourfulness": 20, "colourfulness_gap": 20.0, "lpips": 0.2, "feature_distance": 4.0}
    better = first | {"step": 100, "colourfulness_gap": 10.0}
    loud = first | {"step": 200, "colourfulness_gap": 5.0, "lpips": 0.4, "feature_distance": 9.0}
    assert choose([first, better, loud]) == 1
    assert choose([first, loud]) == 0
    assert choose([first, dict(first, step=100)]) == 0, "of equals the earlier"
    assert choose([{"step": 0, "colourfulness_gap": 0.0}, {"step": 1, "colourfulness_gap": 0.5}]) == 0


def test_scorer_likes_the_truth_and_sees_dullness(tmp_path):
    truth = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scorer = Scorer(color.normalize(truth), truth, untrained=True, batch=4)
    perfect = scorer(lambda grey, part: color.normalize(part))
    dull = scorer(lambda grey, part: color.normalize(color.luma(part).expand_as(part)))
    assert perfect["colourfulness_gap"] < 1e-3 and perfect["feature_distance"] < 1e-4
    assert dull["colourfulness_gap"] > 10 and dull["feature_distance"] > perfect["feature_distance"]
    draw_curve([{"step": 0, **dull}, {"step": 5, **perfect}], 5, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_untrained_features_are_the_same_each_time():
    state = torch.random.get_rng_state()
    a, b = FeatureLoss(UNTRAINED), FeatureLoss(UNTRAINED)
    assert torch.equal(state, torch.random.get_rng_state()), "other random numbers are not disturbed"
    assert all(torch.equal(x, y) for x, y in zip(a.network.state_dict().values(), b.network.state_dict().values()))
    assert isinstance(a.network[0], nn.Conv2d)
