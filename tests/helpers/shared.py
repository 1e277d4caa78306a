"""Folders that are filled once a session, whichever worker of pytest-xdist comes first."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def shared_folder(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name`, which `fill` has filled. Only to be read: a test that changes it works on a copy.

    Raises:
        RuntimeError: `fill` failed in another worker.
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, filled = base / name, base / f"{name}.filled"
    with FileLock(base / f"{name}.lock"):
        if not filled.exists():
            if folder.exists():
                raise RuntimeError(f"{folder} could not be filled by another worker; its failure says why")
            folder.mkdir()
            fill(folder)
            filled.touch()
    return folder
