"""The generators: shapes, cost, kinship with fastai's DynamicUnet, and what inference needs of them."""

import copy
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deoldify_lite import color
from deoldify_lite.errors import UsageError
from deoldify_lite.modeling.critic import Critic
from deoldify_lite.modeling.generator import PADDINGS, build_generator, less_magenta
from deoldify_lite.modeling.layers import PixelShuffle, SelfAttention, add_spectral_norm, plain_state
from helpers.networks import excited


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return excited(build_generator("lite", "test_resnet"))


def gmacs(network: nn.Module, side: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.device("meta"), torch.no_grad():
        network.to("meta").eval()(torch.empty(1, 3, side, side))
    return counter.get_total_flops() / 2e9


def test_lite_costs_an_eighth_of_deep():
    """The budgets: 25 GMACs at 256 px and 90 MB in half precision, with ResNet34."""
    with torch.device("meta"):
        lite, deep = build_generator("lite", "resnet34"), build_generator("deep")
    assert gmacs(lite, 256) < 25
    assert 190 < gmacs(deep, 256) < 200
    assert sum(p.numel() for p in lite.parameters()) * 2 < 90e6


def test_lite_is_fastais_dynamic_unet_without_hooks():
    """Same weights, same output: our network loads into fastai's own, key for key, and the two agree."""
    from fastai.layers import NormType
    from fastai.vision.models.unet import DynamicUnet
    from torchvision import models

    torch.manual_seed(0)
    ours = excited(build_generator("lite", "resnet18"))
    body = nn.Sequential(*list(models.resnet18(weights=None).children())[:-2])
    options = {"blur": True, "self_attention": True, "last_cross": False, "y_range": (-0.5, 0.5)}
    theirs = DynamicUnet(body, 2, (64, 64), norm_type=NormType.Batch, **options)
    theirs.layers[10] = nn.Conv2d(theirs.layers[10][0].in_channels, 2, 1)  # no BatchNorm behind the last convolution
    attention = theirs.layers[5].conv2[3]
    for part in (attention.query, attention.key, attention.value):  # spectral norm is folded in ours
        part[0] = nn.Conv1d(part[0].in_channels, part[0].out_channels, 1, bias=False)
    state = dict(ours.state_dict())
    for part in ("query", "key", "value"):  # fastai wraps these convolutions once more
        state = {k.replace(f".{part}.weight", f".{part}.0.weight"): v for k, v in state.items()}
    theirs.load_state_dict(state, strict=True)
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        difference = (torch.as_tensor(theirs.eval()(x)) - ours.chroma(x)).abs().max()
        assert ours.chroma(x).std() > 0.01
    assert difference < 1e-5


@pytest.mark.parametrize("encoder", ["resnet18", "resnet50", "tf_efficientnet_lite2", "test_convnext", "test_resnet"])
def test_any_encoder_makes_a_generator(encoder):
    """Torchvision ResNets and timm backbones alike; attention sits at an eighth of the side."""
    generator = build_generator("lite", encoder).eval()
    strides = [stride for _, stride in generator.encoder.feature_maps]
    seen = []
    for block in generator.layers[4:]:
        for module in block.modules():
            if isinstance(module, SelfAttention):
                module.register_forward_hook(lambda _m, _args, out: seen.append(out.shape[-1]))
    with torch.no_grad():
        assert generator(torch.randn(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    assert 8 in strides
    assert seen == [8]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="resnet_of_my_dreams"):
        build_generator("lite", "resnet_of_my_dreams")
    with pytest.raises(ValueError, match="lite, lite-rgb, deep or wide"):
        build_generator("huge")


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (33, 31), (64, 96)])
def test_any_size_gives_that_size(tiny, size):
    """Raw output is normalised RGB in (-3, 3), whatever the size; chroma is in (-0.5, 0.5)."""
    x = color.normalize(torch.rand(1, 1, *size).expand(1, 3, *size))
    with torch.no_grad():
        out, cbcr = tiny(x), tiny.chroma(x)
    assert out.shape == x.shape
    assert out.abs().max() < 3
    assert cbcr.shape == (1, 2, *size)
    assert cbcr.abs().max() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (32, 64)])
def test_smooth_and_cast_change_only_what_the_head_makes(tiny, size):
    """Nine pixels are averaged, borders repeated, and of each picture's mean so much stays."""
    options = {"smooth": True, "cast": 0.6}
    other = build_generator("lite", "test_resnet", **options).eval()
    other.load_state_dict(tiny.state_dict(), strict=True)
    assert other.config == tiny.config | options
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, raw = tiny.raw(x), other.raw(x)
    height, width = size
    rows, columns = (torch.arange(-1, side + 1).clamp(0, side - 1) for side in size)
    whole = plain[:, :, rows][:, :, :, columns]
    mean = sum(whole[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9
    torch.testing.assert_close(raw, mean - 0.4 * mean.mean((2, 3), keepdim=True), rtol=1e-4, atol=1e-5)


def test_less_magenta_leaves_other_hues_and_scales_with_its_input():
    """Of equal Cb and Cr so much stays; 60 degrees from there all does, and the hue of everything."""
    degrees = torch.tensor([45.0, 15.0, 75.0, -15.0, 105.0, 120.0, 180.0, 225.0, 300.0])
    raw = torch.stack([torch.cos(degrees.deg2rad()), torch.sin(degrees.deg2rad())])[None, :, None]
    less = less_magenta(raw, 0.3)
    part = (less / raw).mean(1).flatten()
    torch.testing.assert_close(less, raw * part, rtol=1e-4, atol=1e-6)
    assert part[0] == pytest.approx(0.3, abs=1e-4)
    assert 0.3 < part[1] < 0.6 and part[2] == pytest.approx(float(part[1]), abs=1e-4)
    torch.testing.assert_close(part[3:], torch.ones(6), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(less_magenta(3 * raw, 0.3), 3 * less, rtol=1e-4, atol=1e-6)
    gray = torch.zeros(1, 2, 4, 4, requires_grad=True)
    less_magenta(gray, 0.3).sum().backward()
    assert torch.isfinite(gray.grad).all()


def test_lite_keeps_the_luma(tiny):
    """Only chroma is predicted: where the result is inside the gamut its luma is the input's."""
    y = torch.full((1, 1, 32, 32), 0.5)
    with torch.no_grad():
        rgb = color.denormalize(tiny(color.normalize(y.expand(1, 3, 32, 32))))
    inside = ((rgb > 0) & (rgb < 1)).all(1, keepdim=True)
    assert inside.any()
    assert torch.allclose(color.luma(rgb)[inside], y[inside], atol=1e-5)


def test_many_threads_may_share_one_network(tiny):
    """Note 9 on fastai: its hooks mix up threads. Ours has none."""
    inputs = [torch.randn(1, 3, 32 * (1 + i % 3), 32, generator=torch.Generator().manual_seed(i)) for i in range(24)]
    with torch.inference_mode():
        alone = [tiny(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(torch.inference_mode()(tiny), inputs))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(alone, together))


@pytest.mark.slow
def test_one_clean_graph(tiny):
    """Note 11 on fastai: `torch.compile` takes the network whole, and `torch.export` as well."""
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = tiny(x)
        compiled = torch.compile(tiny, backend="eager", fullgraph=True)
        assert torch.allclose(compiled(x), expected, atol=1e-5)
        exported = torch.export.export(tiny, (x,)).module()
        assert torch.allclose(exported(x), expected, atol=1e-5)
    torch._dynamo.reset()


def test_copies_under_spectral_norm(tiny):
    """Note 10 on fastai: a network under spectral norm can be copied, and the copy is its own."""
    network = copy.deepcopy(tiny)
    for part in network.spectral:
        add_spectral_norm(part)
    twin = copy.deepcopy(network)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network.eval()(x), twin.eval()(x))
        for p in twin.parameters():
            p.add_(1)
        assert not torch.equal(network(x), twin(x))


def test_spectral_norm_bounds_the_weights_and_folds_away(tiny):
    """The folded weights have norm 1 and give what the network under spectral norm gives in eval mode."""
    network = copy.deepcopy(tiny)
    for part in network.spectral:
        add_spectral_norm(part)
    network.train()
    with torch.no_grad():
        network(torch.randn(2, 3, 32, 32))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    folded = plain_state(network)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items()), "folding changes nothing"
    assert folded.keys() == tiny.state_dict().keys()
    norm = torch.linalg.matrix_norm(folded["layers.3.0.0.weight"].flatten(1), 2)
    assert norm == pytest.approx(1, abs=0.05)
    plain = build_generator("lite", "test_resnet").eval()
    plain.load_state_dict(folded)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(plain(x), network.eval()(x), atol=1e-5)


def test_only_training_moves_the_spectral_vector():
    conv = add_spectral_norm(nn.Conv2d(8, 8, 3))
    u = conv.parametrizations.weight[0].u
    before = u.clone()
    with torch.no_grad():
        conv.parametrizations.weight.original.copy_(torch.randn(8, 8, 3, 3))
        conv.eval()(torch.randn(1, 8, 8, 8))
        assert torch.equal(u, before)
        conv.train()(torch.randn(1, 8, 8, 8))
        assert not torch.equal(u, before)


def test_attention_is_the_formula_of_the_paper():
    """Softmax over the positions that `query` speaks for, as in fastai and DeOldify."""
    torch.manual_seed(0)
    attention = SelfAttention(16)
    attention.gamma.data.fill_(0.7)
    x = torch.randn(2, 16, 5, 7)
    flat = x.flatten(2)
    f, g, h = attention.query(flat), attention.key(flat), attention.value(flat)
    expected = x + 0.7 * (h @ (f.transpose(1, 2) @ g).softmax(1)).reshape(x.shape)
    assert torch.allclose(attention(x), expected, atol=1e-5)


def test_critic_has_the_size_of_the_original_and_patches():
    """94.6 million parameters at width 256; 5 x 5 patches at 128 px, 9 x 9 at 192."""
    assert sum(p.numel() for p in Critic(256).parameters()) == pytest.approx(94.6e6, rel=0.001)
    critic = Critic(8).eval()
    with torch.no_grad():
        assert critic(torch.randn(1, 3, 128, 128)).shape == (1, 25)
        assert critic(torch.randn(1, 3, 192, 192)).shape == (1, 81)


def test_bfloat16_on_the_cpu(tiny):
    """Note 7 on fastai: mixed precision is not CUDA's alone. The same picture, but for rounding."""
    x = color.normalize(torch.rand(1, 1, 64, 64).expand(1, 3, 64, 64))
    with torch.no_grad():
        exact = tiny.chroma(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = tiny.chroma(x)
    assert rounded.dtype == torch.float32
    assert (exact - rounded).abs().mean() < 0.02


def test_lite_rgb_differs_from_lite_in_its_head_alone():
    torch.manual_seed(0)
    rgb, chroma = build_generator("lite-rgb", "test_resnet").eval(), build_generator("lite", "test_resnet")
    assert [k for k, v in rgb.state_dict().items() if v.shape != chroma.state_dict()[k].shape] == [
        "layers.10.weight",
        "layers.10.bias",
    ]
    x = color.normalize(torch.rand(1, 1, 40, 56).expand(-1, 3, -1, -1))
    with torch.no_grad():
        out, cbcr = rgb(x), rgb.chroma(x)
    assert out.shape == x.shape and float(out.abs().max()) < 3
    assert torch.equal(cbcr, color.chroma(color.denormalize(out).clamp(0, 1)))


@pytest.mark.parametrize("encoder", ["resnet18", "tf_efficientnet_lite0"])
def test_repeated_borders_leave_no_trace_on_a_flat_picture(encoder):
    """Zeros do: a network can tell by them where the border is.

    The four pixels of each shuffle have the same BatchNorm here. Else they make a pattern even on a flat picture, which
    the blur takes out everywhere but at the border.
    """
    spans = {}
    for padding in PADDINGS:
        torch.manual_seed(0)
        generator = excited(build_generator("lite", encoder, padding=padding))
        for norm in (module[0][1] for module in generator.modules() if isinstance(module, PixelShuffle)):
            for values in (norm.bias.data, norm.running_mean, norm.running_var):
                values.copy_(values[::4].repeat_interleave(4))
        with torch.inference_mode():
            raw = generator.raw(torch.full((1, 3, 96, 64), 0.3))
        spans[padding] = float((raw.amax((2, 3)) - raw.amin((2, 3))).max() / raw.abs().max())
    assert spans["replicate"] < 1e-4 < 1e-2 < spans["zeros"]


def test_an_encoder_that_pads_by_itself_is_refused():
    with pytest.raises(UsageError, match="Conv2dSame, which always pads with zeros"):
        build_generator("lite", "tf_mobilenetv3_small_minimal_100", padding="replicate")


@pytest.mark.parametrize(
    "option",
    [
        {"padding": "replicate"},
        {"blur": "bottom_right"},
        {"attention": False},
        {"smooth": True},
        {"cast": 0.5},
        {"magenta": 0.5},
    ],
)
@pytest.mark.parametrize("architecture", ["deep", "wide"])
def test_deoldifys_networks_have_no_options(architecture, option):
    with pytest.raises(UsageError, match="as DeOldify published it"):
        build_generator(architecture, **option)
