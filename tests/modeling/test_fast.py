"""What makes a generator fast must not change what it paints."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from deoldify_lite.colorize.engine import lower_precision
from deoldify_lite.modeling import layers, winograd
from deoldify_lite.modeling.fold import fold
from deoldify_lite.modeling.generator import PADDINGS, build_generator
from deoldify_lite.modeling.layers import SelfAttention, attend_by_rows
from deoldify_lite.modeling.winograd import WinogradConv, use_winograd


def trained_like(generator: nn.Module) -> nn.Module:
    "BatchNorms as after training, which a fresh network's, being the identity, are not."
    draw = torch.Generator().manual_seed(0)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=draw) * 0.1)
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.5)
    return generator.eval()


@torch.inference_mode()
def bring_into_range(generator: nn.Module, x: torch.Tensor) -> None:
    """Scale the head so that what it makes of `x` is spread by one, as photos' colours are.

    Random weights may put it far into the limits of the colours, where the smallest rounding is a leap or nothing.
    """
    head, made = generator.layers[-1], []
    hook = head.register_forward_hook(lambda *called: made.append(called[-1].std()))
    generator(x)
    hook.remove()
    for parameter in head.parameters():
        parameter.div_(made[0])


def batch_norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("encoder", ["test_resnet", "resnet18", "tf_efficientnet_lite0", "mobilenetv3_small_050"])
@pytest.mark.parametrize("padding", PADDINGS)
def test_folding_leaves_the_picture_and_takes_the_batch_norms(encoder, padding):
    torch.manual_seed(0)
    generator = trained_like(build_generator("lite", encoder, padding=padding))
    before = copy.deepcopy(generator.state_dict())
    folded = fold(generator)
    x = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        assert torch.allclose(folded.chroma(x), generator.chroma(x), atol=1e-4)
        assert torch.allclose(folded(x), generator(x), atol=1e-3)
    assert batch_norms(folded) < batch_norms(generator) / 3
    assert folded.config == generator.config
    assert all(torch.equal(before[k], v) for k, v in generator.state_dict().items())


def test_a_network_whose_layers_run_in_another_order_stays_as_it_is():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
            self.norm.running_mean += 1

        def chroma(self, x):
            return self.conv(self.norm(x))

    network = Backwards().eval()
    assert fold(network) is network


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 21), st.integers(1, 21)),
    bias=st.booleans(),
    strip=st.sampled_from([1, 5, 1000]),
    padding=st.sampled_from(PADDINGS),
)
def test_winograd_gives_what_the_convolution_gives(batch, channels, size, bias, strip, padding):
    torch.manual_seed(0)
    conv = nn.Conv2d(*channels, 3, padding=1, bias=bias, padding_mode=padding)
    x = torch.randn(batch, channels[0], *size)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(winograd, "FEWEST_TILES", 1)
        patch.setattr(winograd, "STRIP", strip)
        assert torch.allclose(WinogradConv(conv)(x), conv(x), atol=1e-4)


def test_winograd_takes_only_what_it_can_do():
    network = nn.Sequential(
        nn.Conv2d(128, 128, 3, padding=1),
        nn.Conv2d(128, 128, 3, padding=1, stride=2),
        nn.Conv2d(128, 128, 3, padding=1, groups=2),
        nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(128, 128, 3),
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 16, 3, padding=1),
    )
    plain = [type(layer) for layer in use_winograd(network)]
    assert plain == [WinogradConv, *[nn.Conv2d] * 6]


@pytest.mark.parametrize("encoder", ["resnet18", "tf_efficientnet_lite0"])
def test_a_generator_that_repeats_borders_with_all_of_it(encoder, monkeypatch):
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)
    torch.manual_seed(0)
    generator = trained_like(build_generator("lite", encoder, padding="replicate", blur="bottom_right"))
    x = torch.randn(1, 3, 67, 96)
    bring_into_range(generator, x)
    fast = use_winograd(fold(copy.deepcopy(generator)))
    rounded = lower_precision(fold(copy.deepcopy(generator)), torch.bfloat16)
    with torch.inference_mode():
        exact = generator.chroma(x)
        assert (fast.chroma(x) - exact).abs().max() < 1e-4
        assert (rounded.chroma(x) - exact).abs().mean() < 0.1 * exact.std()
    assert any(isinstance(module, WinogradConv) for module in fast.modules())


@pytest.mark.parametrize("architecture", ["deep", "wide"])
@pytest.mark.slow
def test_deoldifys_generators_with_all_of_it(architecture, monkeypatch):
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)
    torch.manual_seed(0)
    generator = trained_like(build_generator(architecture))
    for module in generator.modules():
        if isinstance(module, SelfAttention):
            nn.init.constant_(module.gamma, 0.1)  # 0 at first, where it does nothing
    x = torch.randn(1, 3, 32, 64)
    bring_into_range(generator, x)
    monkeypatch.setattr(layers, "ROWS_AT_ONCE", 3)
    fast = attend_by_rows(use_winograd(fold(copy.deepcopy(generator))))
    with torch.inference_mode():
        assert (fast.chroma(x) - generator.chroma(x)).abs().max() < 1e-4


@pytest.fixture
def attention() -> SelfAttention:
    torch.manual_seed(0)
    layer = SelfAttention(48)
    nn.init.ones_(layer.gamma)
    return layer.eval()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (20, 30)])
def test_attention_is_what_the_paper_says(attention, size, layout):
    x = torch.randn(2, 48, *size).contiguous(memory_format=layout)
    query, key, value = (conv(x.flatten(2)) for conv in (attention.query, attention.key, attention.value))
    weights = torch.softmax(query.transpose(1, 2) @ key, 1)
    expected = x + (value @ weights).view_as(x)
    with torch.inference_mode():
        assert torch.allclose(attention(x), expected, atol=1e-4)
        attend_by_rows(nn.Sequential(attention))
        assert torch.allclose(attention(x), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("trains", [False, True])
def test_attention_never_holds_the_whole_matrix(attention, dtype, trains, monkeypatch):
    places = 40 * 40
    monkeypatch.setattr(layers, "ROWS_AT_ONCE", 100)
    if not trains:
        attend_by_rows(nn.Sequential(attention))
    x = torch.randn(1, 48, 40, 40, dtype=dtype).contiguous(memory_format=torch.channels_last)
    attention = attention.to(dtype).requires_grad_(trains)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.set_grad_enabled(trains), torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        out = attention(x)
        if trains:
            out.sum().backward()
    held = [event.self_cpu_memory_usage for event in profiler.events()]
    assert 0 < max(held) < places**2, "half of the matrix in bfloat16"
