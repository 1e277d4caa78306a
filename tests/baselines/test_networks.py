"""The networks of pix2pix: their shapes and sizes, their receptive fields, and colorizing with them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deoldify_lite import color
from deoldify_lite.baselines.networks import PATCHES, PatchGAN, Pix2Pix, UNet, init_normal_
from deoldify_lite.colorize.colorizer import Colorizer
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import BadWeights, load_generator, save_weights
from deoldify_lite.samples import sample_photos

SMALL = {
    "isola": {"down": 4, "width": 4},
    "lindernoren": {"space": "rgb", "down": 3, "width": 4, "norm": "instance"},
    "test_resnet": {},
}


@pytest.fixture(params=SMALL)
def small(request) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(request.param, size=64, **SMALL[request.param]).eval()


def count(module: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(m, kind) for m in module.modules())


def test_parameters_are_those_of_the_table_in_004():
    """Its figures 9, 10 and 12 list each layer; these are the sums over the lists."""
    down = [64, 128, 256, 512, 512, 512, 512, 512]
    convs = sum(16 * a * b for a, b in zip([3, *down], down))
    # The table has all weights of a layer, bias or not: only the last deconvolution has one.
    deconvs = 4_194_304 + 3 * 8_388_608 + 4_194_304 + 1_048_576 + 262_144 + 6_147
    norms = 2 * (sum(down[1:7]) + sum([512, 512, 512, 512, 256, 128, 64]))
    generator = UNet("isola", 3, 3, norm="instance", dropout=0.0)
    assert sum(p.numel() for p in generator.parameters()) == convs + deconvs + norms == 54_413_955
    critic = PatchGAN(6, norm="instance")
    listed = [6_208, 131_072, 256, 524_288, 512, 2_097_152, 1_024, 8_193]
    assert sum(p.numel() for p in critic.parameters()) == sum(listed)


def test_eight_down_lead_from_256_to_one_pixel():
    seen = []
    network = UNet("isola", 1, 2, width=2).eval()
    for layer in network.down:
        layer.register_forward_hook(lambda _m, _args, out: seen.append(out.shape[-1]))
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 256, 256)).shape == (1, 2, 256, 256)
    assert seen == [128, 64, 32, 16, 8, 4, 2, 1]


def test_the_kinds_differ_as_their_documents_say():
    """Dropout on three deep layers of the decoder, or on all of 512 channels, four up and five down."""
    isola, other = UNet("isola", 3, 3, width=2), UNet("lindernoren", 3, 3, width=2, norm="instance")
    assert (count(isola, nn.Dropout), count(isola.down, nn.Dropout)) == (3, 0)
    assert (count(other, nn.Dropout), count(other.down, nn.Dropout)) == (9, 5)
    assert count(isola, nn.BatchNorm2d) == count(other, nn.InstanceNorm2d) == 13
    assert (count(isola, nn.ConvTranspose2d), count(other, nn.ConvTranspose2d)) == (8, 7)
    assert not [name for name, _ in other.named_parameters() if "1.weight" in name], "no scale and shift"


@pytest.mark.parametrize(("name", "kind"), [("swish", nn.SiLU), ("mish", nn.Mish)])
def test_other_activations_take_every_place(name, kind):
    network = UNet("isola", 1, 2, width=2, down=4, activation=name)
    assert count(network, kind) == 7
    assert count(network, nn.ReLU) == count(network, nn.LeakyReLU) == 0


@pytest.mark.parametrize("patch", PATCHES)
def test_a_logit_sees_its_patch_and_nothing_else(patch):
    """The gradient of one logit in the middle covers patch x patch pixels."""
    torch.manual_seed(0)
    critic = PatchGAN(3, patch=patch, width=2).double().eval()  # in training, BatchNorm sees all of the picture
    side = 3 * patch
    x = torch.randn(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    logits = nn.Sequential.forward(critic, x)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    touched = x.grad[0].abs().sum(0) > 0
    assert touched.any(0).sum() == touched.any(1).sum() == patch
    assert touched.sum() == patch * patch


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_70_pixel_patches_make_30_x_30_logits(norm):
    with torch.no_grad():
        assert PatchGAN(3, width=2, norm=norm)(torch.randn(2, 3, 256, 256)).shape == (2, 1, 30, 30)


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (64, 96)])
def test_any_size_gives_that_size(small, size):
    """The interface of the other generators: normalised RGB of the input's shape, and its chroma alone."""
    x = color.normalize(torch.rand(2, 1, *size).expand(2, 3, *size))
    with torch.no_grad():
        out, cbcr = small(x), small.chroma(x)
    rgb = color.denormalize(out)
    assert out.shape == x.shape
    assert rgb.min() >= -1e-6 and rgb.max() <= 1 + 1e-6
    assert cbcr.shape == (2, 2, *size)
    assert torch.allclose(cbcr, color.chroma(rgb), atol=1e-5)


def test_sides_that_do_not_fit_are_padded_by_mirroring():
    torch.manual_seed(0)
    network = Pix2Pix("isola", down=3, width=4).eval()
    x = torch.randn(1, 1, 13, 30)
    padded = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, 3), (0, 2)), mode="symmetric"))
    with torch.no_grad():
        assert torch.allclose(network.predict(x), network.predict(padded)[..., :13, :30], atol=1e-6)


def test_condition_and_target_together_are_the_ground_truth(small):
    """... and both are in [-1, 1]."""
    corners = torch.tensor([[r, g, b] for r in (0.0, 1.0) for g in (0.0, 1.0) for b in (0.0, 1.0)])
    rgb = torch.cat([torch.rand(100, 3), corners])[:, :, None, None]
    condition = small.condition(color.normalize(rgb))  # L of a colour photo, so that nothing is lost
    target = small.target(rgb)
    assert target.abs().max() <= 1 and condition.abs().max() <= 1 + 1e-5
    assert torch.allclose(small.to_rgb(condition, target), rgb, atol=1e-4)


def test_no_attention_in_the_dynamic_unet():
    assert Pix2Pix("test_resnet").body.config == {"architecture": "lite", "encoder": "test_resnet", "attention": False}
    assert build_generator("lite", "test_resnet").config == {"architecture": "lite", "encoder": "test_resnet"}


def test_initial_weights():
    torch.manual_seed(0)
    network = init_normal_(UNet("isola", 1, 2, width=16), 0.02)
    weights = torch.cat([p.detach().flatten() for name, p in network.named_parameters() if p.dim() == 4])
    assert weights.std() == pytest.approx(0.02, rel=0.01) and weights.mean().abs() < 1e-4
    norms = torch.cat([m.weight.detach() for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert norms.mean() == pytest.approx(1, abs=0.01) and norms.std() == pytest.approx(0.02, rel=0.1)
    assert all(not p.any() for name, p in network.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "yuv"}, "rgb, lab"),
        ({"norm": "layer"}, "batch or instance"),
        ({"activation": "tanh"}, "relu, swish, mish"),
        ({"network": "resnet_of_my_dreams"}, "resnet_of_my_dreams"),
        ({"network": "test_resnet", "space": "rgb"}, "works in lab"),
        ({"down": 1}, "at least twice"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Pix2Pix(**options)
    with pytest.raises(ValueError, match="16, 34, 70, 142, 286"):
        PatchGAN(3, patch=64)


def test_saved_loaded_and_colorizing(small, tmp_path):
    """Like any other generator, at the size that it was trained on."""
    path = tmp_path / "small.safetensors"
    save_weights(small, path)
    loaded = load_generator(path)
    x = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(loaded(x), small(x))
    assert loaded.config == small.config
    photo = Image.open(sample_photos()["flower.jpg"]).convert("L").resize((90, 61))
    results = []
    for precision in ("float32", "bfloat16"):
        colorizer = Colorizer(path, device="cpu", precision=precision)
        assert colorizer.engine.render_factor_for((90, 61)) == 4
        results.append(np.asarray(colorizer.colorize(photo), int))
    assert results[0].shape == (61, 90, 3)
    assert np.abs(results[0] - results[1]).mean() < 4, "the same picture, but for rounding"


def test_weights_of_another_size_of_network_are_refused(tmp_path):
    network = Pix2Pix("isola", down=3, width=4)
    save_weights(network, tmp_path / "a.safetensors", config=network.config | {"width": 8})
    with pytest.raises(BadWeights, match="another network"):
        load_generator(tmp_path / "a.safetensors")
    save_weights(network, tmp_path / "b.safetensors", config=network.config | {"wings": 2})
    with pytest.raises(BadWeights, match="not a generator that this version knows"):
        load_generator(tmp_path / "b.safetensors")
