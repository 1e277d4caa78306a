"""Shards: a folder divided among several machines."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from .folder import BadRequest, Job


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `count`, counted from 1.

    A photo's shard depends on its path alone: it is the same on every machine and in every run, whatever other photos
    there are. Each photo is in exactly one shard, and shards are of about the same size.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse `2/8`, the second of eight.

        Raises:
            BadRequest: `text` has another form, or the number is out of range.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        shard = cls(*map(int, match.groups())) if match else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise BadRequest(f"{text!r} is no shard; the second of eight is 2/8, the first 1/8, the last 8/8")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, path: PurePath) -> bool:
        "Whether a photo belongs to this shard, by its path relative to the folder that is divided."
        # macOS may store an accented letter as two characters, other systems as one.
        name = unicodedata.normalize("NFC", path.as_posix())
        digest = hashlib.sha256(os.fsencode(name)).digest()  # Python's `hash` differs from run to run
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def select(self, jobs: Iterable[Job], target: PurePath) -> list[Job]:
        """The jobs of this shard, of those that write into the folder `target`.

        Decided by the path of the result, which is that of the photo, with `.png` added to some. So two photos with
        the same result are in one shard, which reports the conflict.
        """
        return [job for job in jobs if self.holds(job.output.relative_to(target))]
