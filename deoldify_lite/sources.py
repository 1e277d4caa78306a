"""Where photos come from: folders and tar archives."""

import logging
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .errors import UsageError
from .files import walk
from .photo import EXTENSIONS

log = logging.getLogger(__name__)


class NoPhotos(UsageError):
    """No photos where some were expected. The message says where was looked."""


HELD_OUT = ("valid", "val", "test")


def is_held_out(path: Path) -> bool:
    "Whether a folder or archive says by its name that it is for testing: `photos-valid.tar`, `val/`, `test2014/`."
    words = "".join(c if c.isalpha() else " " for c in path.name.lower()).split()
    return any(word in (*HELD_OUT, "validation", "testing") for word in words)


def spread(count: int, total: int) -> list[int]:
    "The places of `count` out of `total` things at even distances, from the first on; of all where there are no more."
    return [i * total // count for i in range(count)] if count < total else list(range(total))


def list_sources(paths: Iterable[Path]) -> list[Path]:
    """Photos and tar archives under `paths` (files or folders, searched recursively), in a fixed order.

    Folders and archives held out for testing are left out, unless they are named themselves.

    Raises:
        NoPhotos: a path does not exist, or there is nothing under any of them.
    """
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise NoPhotos(f"{path}: no such file or folder; --photos takes a folder of photos or tar archives")
        if path.is_file():
            found.append(path)
            continue
        for inside in walk(path, EXTENSIONS | {".tar"}):
            file = path / inside
            if any(is_held_out(Path(part)) for part in inside.parts[:-1]) or not file.is_file():
                continue
            if file.suffix.lower() in EXTENSIONS or (file.suffix == ".tar" and not is_held_out(file)):
                found.append(file)
    if not found:
        raise NoPhotos(f"no photos and no .tar archives in {', '.join(map(str, paths))}")
    return found


def _is_wanted(member: Path, archive: Path) -> bool:
    "Whether a file of an archive is a photo of those that `list_sources` would find if it were unpacked."
    hidden = any(part.startswith(".") and part != ".." for part in member.parts)
    held_out = any(is_held_out(Path(part)) for part in member.parts[:-1]) and not is_held_out(archive)
    return member.suffix.lower() in EXTENSIONS and not hidden and not held_out


def read_sources(sources: Sequence[Path]) -> Iterator[tuple[str, Path | bytes]]:
    "Name and content, or place, of every photo. A photo's name does not depend on the folder the data lies in."
    for source in sources:
        if source.suffix != ".tar":
            yield source.name, source
            continue
        try:
            with tarfile.open(source) as archive:
                for member in archive:
                    if member.isfile() and _is_wanted(Path(member.name), source):
                        yield member.name, archive.extractfile(member).read()
        except (tarfile.TarError, OSError) as error:
            log.warning("%s: the rest of this archive cannot be read (%s)", source, error)
