"""The critic on pretrained features: what is fixed, what is trained, and what it gives."""

import pytest
import torch

from deoldify_lite.modeling.projected_critic import ProjectedCritic


@pytest.fixture
def critic() -> ProjectedCritic:
    torch.manual_seed(1)
    return ProjectedCritic("test_efficientnet", width=8)


def test_a_logit_for_every_32_pixels_on_four_scales(critic):
    assert critic(torch.randn(2, 3, 96, 96)).shape == (2, 4 * 3 * 3)


def test_only_the_heads_are_trained(critic):
    trained = {name.split(".")[0] for name, p in critic.named_parameters() if p.requires_grad}
    assert trained == {"heads"}
    critic.train()
    before = {k: v.clone() for k, v in critic.backbone.state_dict().items()}
    critic(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(v, before[k]) for k, v in critic.backbone.state_dict().items()), "BatchNorm stays"


def test_the_random_projection_is_part_of_the_architecture(critic):
    torch.manual_seed(2)
    other = ProjectedCritic("test_efficientnet", width=8)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(critic.mix, other.mix))
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(critic.smooth, other.smooth))
    assert not torch.equal(critic.heads[-1][-1].weight, other.heads[-1][-1].weight)


def test_what_the_heads_see_has_the_same_scale_whatever_the_backbone_gives(critic):
    x = torch.randn(2, 3, 64, 64)
    for features, size in zip(critic.projected(x), (16, 8, 4, 2), strict=True):
        assert features.shape == (2, 8, size, size)
        assert torch.allclose(features.square().mean((1, 2, 3)), torch.ones(2), atol=1e-3)


def test_the_generator_learns_through_it(critic):
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    critic.eval()(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in critic.backbone.parameters())
