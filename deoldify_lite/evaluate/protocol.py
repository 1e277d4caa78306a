"""Which photos are scored, and at which size."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..sources import spread
from .references import Reference


@dataclass(frozen=True)
class Protocol:
    """Which photos are scored, and the side of the center crop in pixels.

    `all` takes all photos, or `limit` of them, evenly spread. `val5k` is the literature's protocol on ImageNet's 50,000
    validation photos: the first 5000 by file name, at 256 pixels.
    """

    name: str = "all"
    size: int = 256
    limit: int | None = None

    def choose(self, references: list[Reference]) -> list[Reference]:
        if self.name == "val5k":  # by the file's own name: many keep the photos in a folder for each class
            return sorted(references, key=lambda photo: (Path(photo.name).name, photo.name))[: self.limit]
        if self.limit is None:
            return references
        return [references[i] for i in spread(self.limit, len(references))]


def choose_protocol(name: str = "all", size: int | None = None, limit: int | None = None) -> Protocol:
    """The protocol of this name, with another size or fewer photos where it allows that.

    Raises:
        UsageError: no such protocol, or it fixes size and number itself.
    """
    if name == "all":
        return Protocol(size=size or 256, limit=limit)
    if name != "val5k":
        raise UsageError(f"protocol {name!r} is unknown; use all or val5k")
    if size not in (None, 256) or limit is not None:
        raise UsageError("protocol val5k is 5000 photos at 256 pixels; for others leave --protocol out")
    return Protocol("val5k", 256, 5000)
