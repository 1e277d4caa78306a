"A tiny restorer."

import pytest

from deoldify_lite.restore.restorer import Restorer


@pytest.fixture
def restorer(restorer_weights) -> Restorer:
    return Restorer(restorer_weights, device="cpu", precision="float32")
