"""A tiny restorer that finds damage everywhere and nowhere in particular."""

from pathlib import Path

import pytest
import torch

from deoldify_lite.modeling.restorer import PATCH, RestorerUnet
from deoldify_lite.modeling.weights import save_weights
from deoldify_lite.restore.restorer import Restorer
from helpers.networks import excited
from helpers.shared import shared_folder


@pytest.fixture(scope="session")
def restorer_weights(tmp_path_factory) -> Path:
    def fill(folder: Path) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = excited(RestorerUnet(4, "test_efficientnet"))
        with torch.no_grad():  # damage is found at random, and the fill is nearly mid gray
            network.head.weight[: PATCH**2] *= 60
            network.head.bias[: PATCH**2] = -2.0
        save_weights(network, folder / "restorer.safetensors", about={"threshold": 0.5})

    return shared_folder(tmp_path_factory, "restorer", fill) / "restorer.safetensors"


@pytest.fixture
def restorer(restorer_weights) -> Restorer:
    return Restorer(restorer_weights, device="cpu", precision="float32")
