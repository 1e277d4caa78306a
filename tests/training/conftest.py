"""A folder of small real photos and a run on them."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from deoldify_lite.samples import sample_photos
from deoldify_lite.training.nogan import run_nogan
from deoldify_lite.training.run import Run
from helpers.shared import shared_folder
from helpers.smoke import run_in


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
    """Of small stages, none of which is done."""
    return run_in(tmp_path / "run", photos)


LONGER = {"gan.fraction": "1.5"}  # enough for three scores


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, photos) -> Run:
    """A run of which all stages are done. Only to be read."""
    fill = lambda folder: run_nogan(run_in(folder, photos, **LONGER))  # noqa: E731
    return run_in(shared_folder(tmp_path_factory, "finished run", fill), photos, **LONGER)


@pytest.fixture
def finished_copy(finished_run, photos, tmp_path) -> Run:
    """The same, to be changed."""
    return run_in(shutil.copytree(finished_run.folder, tmp_path / "finished"), photos, **LONGER)
