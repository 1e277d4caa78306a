"""What all tests share: one thread each, small networks, and a limit on what may skip."""

import os
from pathlib import Path

import pytest

from helpers.browser import chromium
from helpers.shared import shared_folder
from helpers.skips import pytest_configure  # noqa: F401  (a hook)

# Before torch is imported. Small networks gain nothing from more threads, and several workers share the processor.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A generator's weights: untrained, the same in every session, colours strong enough to be seen, few pixels."""

    def fill(folder: Path) -> None:
        import torch

        from deoldify_lite.modeling.generator import build_generator
        from deoldify_lite.modeling.weights import save_weights

        with torch.random.fork_rng():
            torch.manual_seed(0)
            generator = build_generator("lite", "test_resnet")
            torch.nn.init.normal_(generator.layers[-1].weight, std=1.0)
        save_weights(generator, folder / "tiny.safetensors", about={"render_factor": 6}, dtype=torch.float16)

    return shared_folder(tmp_path_factory, "weights", fill) / "tiny.safetensors"


@pytest.fixture(scope="session")
def restorer_weights(tmp_path_factory) -> Path:
    "Weights of a tiny restorer that finds damage everywhere and nowhere in particular."

    def fill(folder: Path) -> None:
        import torch

        from deoldify_lite.modeling.restorer import PATCH, RestorerUnet
        from deoldify_lite.modeling.weights import save_weights
        from helpers.networks import excited

        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = excited(RestorerUnet(4, "test_efficientnet"))
        with torch.no_grad():  # damage is found at random, and the fill is nearly mid gray
            network.head.weight[: PATCH**2] *= 60
            network.head.bias[: PATCH**2] = -2.0
        save_weights(network, folder / "restorer.safetensors", about={"threshold": 0.5})

    return shared_folder(tmp_path_factory, "restorer", fill) / "restorer.safetensors"


@pytest.fixture(scope="session")
def exported_lite(tmp_path_factory) -> tuple[Path, str]:
    """The generator that ships as an ONNX file, by the command; and what the command said."""

    def fill(folder: Path) -> None:
        from typer.testing import CliRunner

        from deoldify_lite.cli import program

        result = CliRunner().invoke(program, ["export", str(folder / "lite.onnx"), "--time", "2"])
        assert result.exit_code == 0, result.output
        (folder / "said.txt").write_text(result.output)

    folder = shared_folder(tmp_path_factory, "exported lite", fill)
    return folder / "lite.onnx", (folder / "said.txt").read_text()


@pytest.fixture(scope="module")
def browser():
    "A Chromium. Not for longer than a module: while Playwright runs, nothing else may start an event loop."
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def ray_cluster():
    "The address of a Ray on this machine. Not for longer than a module: its processes take memory that others need."
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is an extra")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="session")
def lpips():
    """With AlexNet's weights, which no package brings along."""
    from deoldify_lite.metrics.image import Lpips
    from deoldify_lite.modeling.pretrained import WeightsUnavailable

    try:
        return Lpips()
    except WeightsUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def pillow_limit_restored(monkeypatch):
    """The command lifts it for its own process, which here is that of the tests."""
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
