"""A folder of small real photos and a run on them."""

from pathlib import Path

import pytest
from PIL import Image

from deoldify_lite.presets import preset
from deoldify_lite.samples import sample_photos
from deoldify_lite.training.run import Run
from helpers.shared import shared_folder
from helpers.smoke import SMALL


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Eighteen pieces of the sample photos."""

    def fill(folder: Path) -> None:
        for name, path in sample_photos().items():
            with Image.open(path) as image:
                image = image.convert("RGB").resize((320, 240))
            for i in range(6):
                x, y = 80 * (i % 3), 80 * (i // 3)
                image.crop((x, y, x + 120, y + 100)).save(folder / f"{Path(name).stem}_{i}.jpg")

    return shared_folder(tmp_path_factory, "photos", fill)


@pytest.fixture
def run(tmp_path, photos) -> Run:
    """The smoke preset, smaller still."""
    return Run(tmp_path / "run", preset("smoke").override(SMALL), (photos,), device="cpu", cache=photos / ".packs")
