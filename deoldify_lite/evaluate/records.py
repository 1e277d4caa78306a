"""What was measured, kept on disk, so that an interrupted or extended evaluation goes on where it was."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DeoldifyError

TABLE = """CREATE TABLE IF NOT EXISTS measurements (
    method TEXT, measurement TEXT, photo TEXT, numbers BLOB, PRIMARY KEY (method, measurement, photo)
) WITHOUT ROWID"""


class BadRecords(DeoldifyError, ValueError):
    "The file of records is damaged or cannot be written. The message says what to do."


class Records:
    """Numbers by method (under one protocol), measurement and photo, in an SQLite file.

    What is added is there in full or not at all, also when the process is killed. The keys of methods, measurements and
    photos are hashes of their content, so that changed weights or photos are measured again.
    """

    def __init__(self, path: Path):
        self.path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = sqlite3.connect(path, timeout=60)
            with self.file:
                self.file.execute(TABLE)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise BadRecords(f"{self.path}: {error}; if it is damaged, delete it and run the same again") from error

    def photos(self, method: str, measurement: str) -> set[str]:
        "The photos that were measured."
        with self._errors():
            select = "SELECT photo FROM measurements WHERE method = ? AND measurement = ?"
            return {photo for (photo,) in self.file.execute(select, (method, measurement))}

    def add(self, method: str, photos: Iterable[str], numbers: Mapping[str, Tensor]) -> None:
        "Keep, for each measurement, one row of numbers for each photo: (N,) or (N, C)."
        photos = list(photos)
        rows = [
            (method, measurement, photo, row.numpy().tobytes())
            for measurement, table in numbers.items()
            for photo, row in zip(photos, table.detach().cpu().float().reshape(len(photos), -1))
        ]
        with self._errors(), self.file:
            self.file.executemany("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?)", rows)

    def read(self, method: str, measurement: str, photos: Iterable[str]) -> Tensor:
        "The numbers of these photos, in this order: (N, C)."
        with self._errors():
            select = "SELECT photo, numbers FROM measurements WHERE method = ? AND measurement = ?"
            found = dict(self.file.execute(select, (method, measurement)))
        return torch.from_numpy(np.stack([np.frombuffer(found[photo], np.float32) for photo in photos]))
