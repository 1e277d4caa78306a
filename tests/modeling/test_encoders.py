"""Our own backbones are torchvision's and timm's, layer for layer."""

import pytest
import torch

from deoldify_lite.modeling.backbones import EFFICIENTNETS, RESNETS
from deoldify_lite.modeling.encoders import build_encoder

SMALL = torch.randn(1, 3, 65, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_are_torchvisions(name):
    from torchvision import models

    torch.manual_seed(0)
    theirs = models.get_model(name, weights=None).eval()
    ours = build_encoder(name).eval()
    stems = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    for i, stem in enumerate(stems):
        ours[i].load_state_dict(getattr(theirs, stem).state_dict())
    assert [n for n, _ in ours.named_parameters()] == [
        f"{stems.index(n.split('.')[0])}.{n.split('.', 1)[1]}" for n, _ in theirs.named_parameters() if n[:3] != "fc."
    ]
    with torch.inference_mode():
        x = SMALL
        for stem in stems:
            x = getattr(theirs, stem)(x)
        assert torch.allclose(ours(SMALL)[-1], x, atol=1e-5)
        assert [f.shape[-2:] for f in ours(SMALL)] == [(33, 48), (17, 24), (9, 12), (5, 6), (3, 3)]


@pytest.mark.parametrize("name", EFFICIENTNETS)
def test_efficientnets_are_timms(name):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(name, pretrained=False, features_only=True).eval()
    encoder = build_encoder(name).eval()
    assert [n for n, _ in encoder.model.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    encoder.model.load_state_dict(theirs.state_dict())
    assert tuple(encoder.mean) == theirs.default_cfg["mean"] and tuple(encoder.std) == theirs.default_cfg["std"]
    with torch.inference_mode():
        for ours, wanted in zip(encoder.model(SMALL), theirs(SMALL), strict=True):
            assert torch.allclose(ours, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "tf_efficientnet_lite2", "test_resnet"])
def test_feature_maps_are_as_announced(name):
    encoder = build_encoder(name).eval()
    with torch.inference_mode():
        features = encoder(torch.zeros(1, 3, 64, 64))
    assert [(f.shape[1], 64 // f.shape[2]) for f in features] == list(encoder.feature_maps)
