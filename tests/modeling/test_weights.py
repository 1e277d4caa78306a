"""From files to networks, and one clear sentence for every wrong file."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.pretrained import WeightsUnavailable, load_features, load_pretrained_encoder
from deoldify_lite.modeling.weights import (
    BadWeights,
    average_weights,
    default_render_factor,
    load_generator,
    read_safetensors,
    save_weights,
)
from helpers.networks import excited


def layout_of_deep() -> dict[str, torch.Tensor]:
    """A checkpoint with the names and shapes of DeOldify's, random numbers, spectral norm in hooks' layout."""
    draw = torch.Generator().manual_seed(0)
    state = {}
    for name, value in build_generator("deep").state_dict().items():
        stem, kind = name.rsplit(".", 1)
        theirs = stem.replace(".shuf.0", ".shuf.conv").replace("layers.8.0.0", "layers.8.conv.0")
        theirs = "layers.11.0" if theirs == "layers.11" else theirs
        if kind == "weight" and value.dim() > 1 and not name.startswith("layers.0."):
            if stem == "layers.8.0.0":
                state |= {f"{theirs}.weight_g": torch.ones(len(value), 1, 1, 1), f"{theirs}.weight_v": value}
                continue
            u = torch.nn.functional.normalize(torch.randn(len(value), generator=draw), dim=0)
            v = torch.nn.functional.normalize(value.flatten(1).T @ u, dim=0)
            state |= {f"{theirs}.weight_orig": value, f"{theirs}.weight_u": u, f"{theirs}.weight_v": v}
        else:
            state[f"{theirs}.{kind}"] = value
    return state


@pytest.fixture(scope="module")
def deep_state() -> dict[str, torch.Tensor]:
    return layout_of_deep()


def test_flat_or_wrapped(deep_state, tmp_path):
    torch.save(deep_state, tmp_path / "flat.pth")
    torch.save({"model": deep_state, "opt": {"state": [], "hypers": []}}, tmp_path / "wrapped.pth")
    flat, wrapped = load_generator(tmp_path / "flat.pth"), load_generator(tmp_path / "wrapped.pth")
    assert flat.config == {"architecture": "deep"}
    assert all(torch.equal(a, b) for a, b in zip(flat.state_dict().values(), wrapped.state_dict().values()))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_wrong_files_get_one_clear_sentence(deep_state, tmp_path, monkeypatch):
    """... and no pickle is executed."""
    monkeypatch.chdir(tmp_path)
    wrong: dict[str, tuple[bytes, str]] = {
        "page.pth": (b"\n<!DOCTYPE html><html><body>Dropbox - 404</body></html>", "web page"),
        "text.pth": (b"these are not weights", "not a PyTorch file"),
        "empty.pth": (b"", "not a PyTorch file"),
        "evil.pth": (pickle.dumps({"layers.0": Evil()}), "executed"),
        "text.safetensors": (b"these are not weights", "not a safetensors file"),
    }
    torch.save(deep_state, "deep.pth")
    wrong["truncated.pth"] = (Path("deep.pth").read_bytes()[:1_000_000], "truncated")
    for name, (content, expected) in wrong.items():
        Path(name).write_bytes(content)
        with pytest.raises(BadWeights, match=expected) as caught:
            load_generator(name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not Path("executed").exists()


def test_evil_inside_a_torch_archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Evil()}, "evil.pth")
    with pytest.raises(BadWeights, match="never executed"):
        load_generator("evil.pth")
    assert not Path("executed").exists()


def test_other_networks_are_named(deep_state, tmp_path):
    torch.save({"conv.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(BadWeights, match="not a generator of DeOldify"):
        load_generator(tmp_path / "other.pth")
    missing = {k: v for k, v in deep_state.items() if k != "layers.5.bn.weight"}
    torch.save(missing, tmp_path / "missing.pth")
    with pytest.raises(BadWeights, match=r"layers\.5\.bn\.weight"):
        load_generator(tmp_path / "missing.pth")
    torch.save(deep_state | {"layers.99.weight": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(BadWeights, match=r"layers\.99\.weight"):
        load_generator(tmp_path / "more.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(BadWeights, match="state dict"):
        load_generator(tmp_path / "tensor.pth")


def test_names_that_do_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    with pytest.raises(BadWeights, match="no such file"):
        load_generator("nothing")
    with pytest.raises(BadWeights, match=r"ColorizeArtistic_gen\.pth"):
        load_generator("deep")


def test_published_file_is_found_by_name(deep_state, tmp_path, monkeypatch):
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    torch.save(deep_state, tmp_path / "ColorizeArtistic_gen.pth")
    assert load_generator("deep").config["architecture"] == "deep"


def test_saved_in_half_precision_and_back(tmp_path):
    torch.manual_seed(0)
    generator = build_generator("lite", "test_resnet").eval()
    save_weights(generator, tmp_path / "tiny.safetensors", dtype=torch.float16)
    loaded = load_generator(tmp_path / "tiny.safetensors")
    assert loaded.config == {"architecture": "lite", "encoder": "test_resnet"}
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(loaded(x), generator(x), atol=0.02)
    assert (tmp_path / "tiny.safetensors").stat().st_size < 2.1 * sum(p.numel() for p in generator.parameters()) + 1e5


def test_mean_of_several_weights(tmp_path):
    """Of like networks alone; statistics of BatchNorm are averaged, too."""
    files = []
    for seed in range(3):
        torch.manual_seed(seed)
        generator = excited(build_generator("lite", "test_resnet"))
        files.append(tmp_path / f"{seed}.safetensors")
        save_weights(generator, files[-1], about={"render_factor": 7})
    average_weights(files, tmp_path / "mean.safetensors")
    mean, *states = (read_safetensors(f)[1] for f in (tmp_path / "mean.safetensors", *files))
    for key, value in mean.items():
        if value.is_floating_point():
            assert torch.allclose(value, sum(s[key] for s in states) / 3, atol=1e-6), key
    assert load_generator(tmp_path / "mean.safetensors").config == load_generator(files[0]).config
    assert default_render_factor(tmp_path / "mean.safetensors", {}) == 7
    save_weights(build_generator("lite", "test_resnet", attention=False), tmp_path / "other.safetensors")
    with pytest.raises(BadWeights, match=r"other\.safetensors: another network than .*0\.safetensors"):
        average_weights([files[0], tmp_path / "other.safetensors"], tmp_path / "none.safetensors")
    assert not (tmp_path / "none.safetensors").exists()


def test_safetensors_of_others_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(BadWeights, match="no generator of this package"):
        read_safetensors(tmp_path / "a.safetensors")


def test_pretrained_encoder_from_a_file(tmp_path):
    """As timm and torchvision name their weights, half precision and classifier included."""
    from safetensors.torch import save_file
    from torchvision import models

    resnet = models.resnet18(weights=None)
    save_file({k: v.clone() for k, v in resnet.state_dict().items()}, tmp_path / "resnet18.safetensors")
    generator = build_generator("lite", "resnet18")
    load_pretrained_encoder(generator.encoder, "resnet18", tmp_path / "resnet18.safetensors")
    assert torch.equal(generator.encoder[7][1].conv2.weight, resnet.layer4[1].conv2.weight)
    other = build_generator("lite", "resnet34")
    with pytest.raises(BadWeights, match="another network"):
        load_pretrained_encoder(other.encoder, "resnet34", tmp_path / "resnet18.safetensors")


def test_pretrained_weights_that_cannot_be_had(tmp_path, monkeypatch):
    """One line that says where they were looked for; the folder for offline machines is honoured."""
    from safetensors.torch import save_file
    from torchvision import models

    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(models, "get_model_weights", lambda name: (_ for _ in ()).throw(OSError("offline")))
    with pytest.raises(WeightsUnavailable, match=r"alexnet_features\.safetensors"):
        load_features("alexnet")
    state = models.alexnet(weights=None).features.state_dict()
    save_file({f"features.{k}": v.half() for k, v in state.items()}, tmp_path / "alexnet_features.safetensors")
    network = load_features("alexnet")
    assert torch.equal(network[0].weight, state["0.weight"].half().float())
    assert not any(p.requires_grad for p in network.parameters())


def test_files_say_how_borders_are_padded(tmp_path):
    """... and those from before there was a choice, which say nothing, have zeros."""
    torch.manual_seed(0)
    options = {"padding": "replicate", "blur": "bottom_right"}
    generator = build_generator("lite", "test_resnet", **options).eval()
    save_weights(generator, tmp_path / "new.safetensors")
    loaded = load_generator(tmp_path / "new.safetensors")
    assert read_safetensors(tmp_path / "new.safetensors")[0].items() >= options.items()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.chroma(x), generator.chroma(x))
    old = {"architecture": "lite", "encoder": "test_resnet"}
    save_weights(generator, tmp_path / "old.safetensors", config=old)
    loaded = load_generator(tmp_path / "old.safetensors")
    assert loaded.config == old
    assert {module.padding_mode for module in loaded.modules() if hasattr(module, "padding_mode")} == {"zeros"}
