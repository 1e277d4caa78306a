"""What was measured, kept on disk, so that an interrupted or extended evaluation goes on where it was."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DeoldifyError

TABLE = """CREATE TABLE IF NOT EXISTS measured (
    subject TEXT, measure TEXT, photo TEXT, numbers BLOB, PRIMARY KEY (subject, measure, photo)
) WITHOUT ROWID"""


class BadRecords(DeoldifyError, ValueError):
    "The file of records is damaged or cannot be written. The message says what to do."


class Records:
    """Numbers by subject (whose pictures, under which protocol), photo and measure, in an SQLite file.

    What is added is there in full or not at all, also when the process is killed. Subjects, photos and measures go by
    keys that name their content (hashes), so that changed weights or photos never meet figures of the former ones.
    """

    def __init__(self, path: Path):
        self.path = path
        with self._telling():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = sqlite3.connect(path, timeout=60)
            with self.file:
                self.file.execute(TABLE)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise BadRecords(f"{self.path}: {error}; if it is damaged, delete it and run the same again") from error

    def photos(self, subject: str, measure: str) -> set[str]:
        "The photos that were measured."
        with self._telling():
            select = "SELECT photo FROM measured WHERE subject = ? AND measure = ?"
            return {photo for (photo,) in self.file.execute(select, (subject, measure))}

    def add(self, subject: str, photos: Iterable[str], numbers: Mapping[str, Tensor]) -> None:
        "Keep, for each measure, one row of numbers for each photo: (N,) or (N, C)."
        photos = list(photos)
        rows = [
            (subject, measure, photo, row.numpy().tobytes())
            for measure, table in numbers.items()
            for photo, row in zip(photos, table.detach().cpu().float().reshape(len(photos), -1))
        ]
        with self._telling(), self.file:
            self.file.executemany("INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?)", rows)

    def read(self, subject: str, measure: str, photos: Iterable[str]) -> Tensor:
        "The numbers of these photos, in this order: (N, C)."
        with self._telling():
            select = "SELECT photo, numbers FROM measured WHERE subject = ? AND measure = ?"
            found = dict(self.file.execute(select, (subject, measure)))
        return torch.from_numpy(np.stack([np.frombuffer(found[photo], np.float32) for photo in photos]))

    def close(self) -> None:
        self.file.close()
