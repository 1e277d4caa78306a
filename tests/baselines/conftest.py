"""A folder of small real photos."""

from pathlib import Path

import pytest

from deoldify_lite.samples import write_pieces
from helpers.shared import shared_folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Thirty-six pieces of the sample photos."""
    return shared_folder(tmp_path_factory, "pieces", write_pieces)
