"""Losses, scores and the choice of the inflection point."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from deoldify_lite import color
from deoldify_lite.errors import UsageError
from deoldify_lite.schedule import Loss
from deoldify_lite.training import losses
from deoldify_lite.training.inflection import Scorer, choose, draw_curve
from deoldify_lite.training.losses import FeatureLoss, adversarial_loss, critic_loss, feature_loss
from deoldify_lite.training.rebalancing import bin_weights, color_bins
from deoldify_lite.training.stages import generator_learner

UNTRAINED = Loss(network="untrained", pixel=1.0, features=(1.0, 1.0, 1.0))


def test_feature_loss_is_nothing_for_the_target_and_sums_its_parts():
    loss = FeatureLoss(UNTRAINED)
    target, other = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    assert loss(target, target) == 0
    total = loss(other, target)
    assert set(loss.parts) == {"pixel", "feature_3", "feature_4", "feature_5"}
    assert float(total) == pytest.approx(float(sum(loss.parts.values())), rel=1e-5)


def test_feature_loss_teaches_the_predicted_picture_alone():
    loss = FeatureLoss(UNTRAINED)
    predicted, target = torch.randn(1, 3, 32, 32, requires_grad=True), torch.randn(1, 3, 32, 32, requires_grad=True)
    loss(predicted, target).backward()
    assert predicted.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in loss.parameters())


def test_features_can_be_switched_off(monkeypatch):
    """Then nobody needs the network's weights."""
    monkeypatch.delattr(losses, "feature_network")
    loss = FeatureLoss(UNTRAINED, scale=0)
    loss(torch.randn(1, 3, 32, 32), torch.randn(1, 3, 32, 32))
    assert set(loss.parts) == {"pixel"}


def test_an_unknown_feature_network_is_refused():
    with pytest.raises(ValueError, match="vgg19"):
        FeatureLoss(Loss(network="vgg19"))


def test_normalized_features_do_not_care_how_strong_activations_are():
    """The same relative difference costs the same in a dim picture, where that of activations alone costs less."""
    torch.manual_seed(0)
    costs = {}
    for normalized in (False, True):
        loss = FeatureLoss(replace(UNTRAINED, pixel=0.0, normalized=normalized))
        loss.network = nn.Sequential(*(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU()) * 3).requires_grad_(False)
        target, other = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
        costs[normalized] = float(loss(other, target) / loss(0.1 * other, 0.1 * target))
        assert loss(target, target) == 0
        assert set(loss.parts) == {"pixel", "feature_3", "feature_4", "feature_5"}
    assert costs[False] == pytest.approx(10, rel=1e-3)
    assert costs[True] == pytest.approx(1, rel=1e-3)


def test_features_can_want_more_saturated_colours():
    """Pixels still want the ground truth's."""
    gray, tint = torch.full((1, 3, 16, 16), 0.5), torch.tensor([0.1, 0.0, -0.1])[:, None, None]
    tint = tint - color.luma(tint)
    target, vivid = (color.normalize(gray + factor * tint) for factor in (1.0, 1.2))
    loss = FeatureLoss(replace(UNTRAINED, saturation=1.2))
    at_target, at_vivid = ((loss(p, target), dict(loss.parts))[1] for p in (target, vivid))
    assert at_target.pop("pixel") == 0 and at_vivid.pop("pixel") > 0
    assert all(at_vivid[k] < 1e-5 < at_target[k] for k in at_target)


def test_each_photo_can_be_asked_for_its_own_colourfulness():
    """Colours exchanged between two photos cost something; other colours of the same strength nothing."""
    gray = torch.full((2, 3, 16, 16), 0.5)
    loss = FeatureLoss(Loss(network="untrained", pixel=0.0, features=(), colorfulness=1.0))
    dull, vivid = (color.normalize(gray + s * torch.randn(2, 3, 16, 16).clamp(-2, 2)) for s in (0.02, 0.1))
    target = torch.stack([dull[0], vivid[0]])
    assert float(loss(target.flip(-1), target)) == pytest.approx(0, abs=1e-6)
    assert float(loss(target.flip(0), target)) > 0.05
    flat = color.normalize(gray).requires_grad_()
    loss(flat, target).backward()
    assert flat.grad.isfinite().all()


def test_every_weight_of_the_features_has_an_activation():
    """They are those of the last ones; more than the network has are refused."""
    loss = FeatureLoss(replace(UNTRAINED, features=(1.0, 1.0)))
    loss(torch.randn(1, 3, 32, 32), torch.randn(1, 3, 32, 32))
    assert set(loss.parts) == {"pixel", "feature_4", "feature_5"}
    with pytest.raises(UsageError, match=r"loss\.features has 5 weights; untrained has 3 activations"):
        FeatureLoss(replace(UNTRAINED, features=(1.0,) * 5))


def test_vivid_counts_colourful_pixels_for_more():
    """The same error costs more where the target is colourful than where it is gray."""
    target = torch.full((1, 3, 8, 8), 0.5)
    target[:, 0, :, :4], target[:, 2, :, :4] = 0.9, 0.1  # left half orange
    left, right = torch.zeros_like(target), torch.zeros_like(target)
    left[..., :4], right[..., 4:] = 0.1, 0.1
    target = color.normalize(target)
    for vivid, expected in ((0.0, 1.0), (2.0, None)):
        loss = FeatureLoss(Loss(network="untrained", features=(), chroma_weight=vivid))
        ratio = float(loss(target + left, target) / loss(target + right, target))
        assert ratio == pytest.approx(expected) if expected else ratio > 2


def test_variation_is_the_price_of_blotches_whatever_the_luma():
    """Of two errors of the same size one colour all over costs nothing more, and a blotch does."""
    gray = torch.rand(1, 1, 16, 16).expand(-1, 3, -1, -1) * 0.5 + 0.25
    shift = torch.tensor([0.1, -0.05, 0.0])[:, None, None]
    blotch = torch.zeros(16, 16)
    blotch[4:12, 4:12] = 1

    def variation(predicted, factor=1.0):
        pictures = color.normalize(predicted), color.normalize(gray)
        with_it, without = (
            FeatureLoss(Loss(network="untrained", features=(), total_variation=v)) for v in (factor, 0.0)
        )
        return float(with_it(*pictures) - without(*pictures))

    assert variation(gray) == pytest.approx(0, abs=1e-6)
    assert variation(gray + shift) == pytest.approx(0, abs=1e-6)
    assert variation(gray + shift * blotch) > 1e-3
    assert variation(gray + shift * blotch, 3.0) == pytest.approx(3 * variation(gray + shift * blotch))


def test_a_stage_can_ask_for_more_vivid_colours(run):
    """Its factor multiplies the schedule's own weight, in its Learner's loss and nowhere else."""
    stages = [replace(stage, chroma_weight=3.0) for stage in run.schedule.generator_stages[:1]]
    run.schedule = replace(
        run.schedule, loss=replace(run.schedule.loss, chroma_weight=2.0), generator_stages=tuple(stages)
    )
    run.keep()
    assert generator_learner(run, 0).loss_func.loss.loss.chroma_weight == 6.0
    assert feature_loss(run, 32).loss.loss.chroma_weight == 2.0


def test_gan_losses_are_what_they_should_be_at_the_ends():
    sure, unsure = torch.full((2, 5), 20.0), torch.zeros(2, 5)
    assert critic_loss(sure, -sure) < 1e-6
    assert critic_loss(unsure, unsure) == pytest.approx(math.log(2))
    assert adversarial_loss(sure) < 1e-6
    assert adversarial_loss(-sure) == pytest.approx(20, rel=1e-3)


def test_best_step_by_the_rule():
    first = {"step": 0, "colourfulness": 20, "colorfulness_gap": 20.0, "lpips": 0.2, "feature_distance": 4.0}
    better = first | {"step": 100, "colorfulness_gap": 10.0}
    loud = first | {"step": 200, "colorfulness_gap": 5.0, "lpips": 0.4, "feature_distance": 9.0}
    assert choose([first, better, loud]) == 1
    assert choose([first, loud]) == 0
    assert choose([first, dict(first, step=100)]) == 0, "of equals the earlier"
    assert choose([{"step": 0, "colorfulness_gap": 0.0}, {"step": 1, "colorfulness_gap": 0.5}]) == 0


def test_scorer_likes_the_target_and_sees_dullness(tmp_path):
    target = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scorer = Scorer(color.normalize(target), target, untrained=True, batch=4)
    perfect = scorer(lambda gray, part: color.normalize(part))
    dull = scorer(lambda gray, part: color.normalize(color.luma(part).expand_as(part)))
    assert perfect["colorfulness_gap"] < 1e-3 and perfect["feature_distance"] < 1e-4
    assert dull["colorfulness_gap"] > 10 and dull["feature_distance"] > perfect["feature_distance"]
    draw_curve([{"step": 0, **dull}, {"step": 5, **perfect}], 5, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_one_photo_has_no_distribution(caplog):
    """... so that a handful of photos, one of them for validation, still trains to the end."""
    target = torch.rand(1, 3, 32, 32)
    scores = Scorer(color.normalize(target), target, untrained=True)(lambda gray, target: gray)
    assert set(scores) == {"colorfulness", "colorfulness_gap"} and "needs two validation photos" in caplog.text


def test_untrained_features_are_the_same_each_time():
    state = torch.random.get_rng_state()
    a, b = FeatureLoss(UNTRAINED), FeatureLoss(UNTRAINED)
    assert torch.equal(state, torch.random.get_rng_state()), "other random numbers are not disturbed"
    assert all(torch.equal(x, y) for x, y in zip(a.network.state_dict().values(), b.network.state_dict().values()))
    assert isinstance(a.network[0], nn.Conv2d)


def test_smooth_l1_is_squared_near_the_target_and_straight_beyond():
    loss = FeatureLoss(Loss(network="untrained", features=(), smooth_l1=0.5))
    target = torch.zeros(1, 3, 8, 8)
    assert float(loss(target + 0.1, target)) == pytest.approx(0.1**2 / (2 * 0.5))
    assert float(loss(target + 2, target)) == pytest.approx(2 - 0.25)


def test_rare_colours_count_for_more(run):
    """By the training photos: on average over their pixels each counts once."""
    weights = bin_weights(run, 32)
    gray, violet = color_bins(torch.tensor([[[[0.0, 0.25]], [[0.0, 0.25]]]])).flatten().tolist()
    assert weights.flatten()[violet] > 2 * weights.flatten()[gray]
    photos = run.pack(32)
    members = run.split(photos).train
    cbcr = color.chroma(photos.crops(members, 32, None, torch.Generator()))
    assert float(weights.flatten()[color_bins(cbcr)].mean()) == pytest.approx(1, rel=1e-4)


def test_rebalancing_is_a_switch_of_the_schedule(run):
    run.schedule = run.schedule.override({"loss.rebalancing": "1.0", "loss.features": "[]"})
    loss = feature_loss(run, 32)
    target = color.normalize(torch.rand(2, 3, 32, 32))
    plain = FeatureLoss(run.schedule.override({"loss.rebalancing": "0.0"}).loss)
    assert float(loss(target * 0.5, target)) != pytest.approx(float(plain(target * 0.5, target)), rel=1e-3)
