"""Feature networks: their preprocessing, their outputs, and where their weights come from."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from deoldify_lite import color
from deoldify_lite.metrics.features import Vgg16Features, open_network, weights_hash
from deoldify_lite.modeling.pretrained import WeightsUnavailable


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_vgg16_gives_512_features():
    try:
        network = Vgg16Features()
    except WeightsUnavailable as error:
        pytest.skip(str(error))
    assert network(color.normalize(random(2, 3, 64, 64))).shape == (2, 512)


def test_a_network_of_timm_gives_pooled_features_at_its_own_size(tmp_path, monkeypatch):
    import timm

    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    classifier = timm.create_model("test_efficientnet").eval()
    save_file(classifier.state_dict(), tmp_path / "test_efficientnet.safetensors")
    network = open_network("test_efficientnet")
    images = random(2, 3, network.size, network.size)
    features = classifier.forward_head(
        classifier.forward_features(color.normalize(images, network.mean, network.std)), pre_logits=True
    )
    assert torch.allclose(network(images), features, atol=1e-5)
    assert network(random(2, 3, 64, 64)).shape == features.shape
    assert weights_hash(network.network) == weights_hash(open_network("test_efficientnet").network)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="timm has none"):
        open_network("no_such_network")


def test_inception_is_torchmetrics_and_no_pickle_is_executed(tmp_path, monkeypatch):
    """Random weights under the name of the real ones; the features are those that torchmetrics' FID uses."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    from torchmetrics.image.fid import NoTrainInceptionV3

    with monkeypatch.context() as patched:
        patched.setattr(fidelity, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patched.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        theirs = NoTrainInceptionV3("inception-v3-compat", ["2048"])
    monkeypatch.setenv("DEOLDIFY_LITE_WEIGHTS", str(tmp_path))
    save_file(theirs.state_dict(), tmp_path / "inception_fid.safetensors")
    images = random(1, 3, 64, 64).mul(255).round() / 255
    with torch.no_grad():
        ours = open_network("inception")(images)
        assert ours.shape == (1, 2048 + 1008)
        assert torch.allclose(ours[:, :2048], theirs((images * 255).round().byte()), atol=1e-4)


def test_metrics_import_no_other_part_that_uses_them():
    names = ("deoldify_lite.evaluate", "deoldify_lite.training", "deoldify_lite.colorize", "fastai")
    code = f"""import sys
from deoldify_lite.metrics import features, image, info, sets
print(*(name for name in {names} if name in sys.modules))"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
