"""An archive in parts, for several machines: which photos belong to which part."""

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
    """Part `number` of `count`, counted from 1.

    A photo's part follows from its path alone: it is the same on every machine and in every run, and neither other
    photos nor those that are done already change it. All parts together are all photos, none twice; they are of about
    the same size.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From `2/8`, for the second of eight.

        Raises:
            BadRequest: it is something else.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        shard = cls(*map(int, match.groups())) if match else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise BadRequest(f"{text!r} is no shard; the second of eight is 2/8, the first 1/8, the last 8/8")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, path: PurePath) -> bool:
        "Whether a photo with this path, relative to the folder that is shared out, belongs to this part."
        # Macs may spell an accented letter as two characters where others have one.
        name = unicodedata.normalize("NFC", path.as_posix())
        digest = hashlib.sha256(os.fsencode(name)).digest()  # Python's own hash differs from run to run
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def select(self, jobs: Iterable[Job], target: PurePath) -> list[Job]:
        """This part's jobs of those that write into the folder `target`.

        Counts the path of the result, which is that of the photo but for a `.png` added to some: so two photos that
        would have the same result are in the same part, where that is noticed.
        """
        return [job for job in jobs if self.holds(job.output.relative_to(target))]
