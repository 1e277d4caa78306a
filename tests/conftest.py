"""A small untrained network in place of the shipped one, so that tests need no weights and little time."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A generator's weights: untrained, the same in every session, colours strong enough to be seen."""
    import torch

    from deoldify_lite.modeling.generator import build_generator
    from deoldify_lite.modeling.weights import save_weights

    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = build_generator("lite", "resnet18")
        torch.nn.init.normal_(generator.layers[-1].weight, std=0.2)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(generator, path, dtype=torch.float16)
    return path


@pytest.fixture(scope="module")
def one_thread():
    """Small networks gain nothing from more, and lose much where other programs are at work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pillow_limit_restored(monkeypatch):
    """The command lifts it for its own process, which here is that of the tests."""
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
