"""The ground truth: colour photos in folders and tar archives, and the center crop that is scored."""

import hashlib
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from PIL import Image, ImageOps

from ..files import walk
from ..photo import PICTURE_SUFFIXES, BadPhoto, read_rgb
from ..sources import NoPhotos

CROP = "center crop, resized with Lanczos"


@dataclass(frozen=True)
class Reference:
    """A colour photo, read again whenever it is needed: a file, or a member of a tar archive.

    name: its path inside the folder or archive, with forward slashes.
    """

    name: str
    file: Path
    start: int = 0
    length: int = -1  # to the end

    def read(self) -> bytes:
        try:
            with self.file.open("rb") as file:
                file.seek(self.start)
                return file.read(self.length)
        except OSError as error:
            raise BadPhoto(error.strerror) from error

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.read()).hexdigest()

    def crop(self, size: int) -> Image.Image:
        """The photo's center crop in RGB, `size` pixels wide and high.

        Raises:
            BadPhoto: not a photo, damaged, or unreadable.
        """
        return center_crop(self.read(), size)


def center_crop(data: bytes, size: int) -> Image.Image:
    "The largest square in the middle of an encoded photo, resized to `size` pixels, in RGB."
    return ImageOps.fit(read_rgb(data, size), (size, size), Image.Resampling.LANCZOS)


def find_references(paths: Iterable[Path]) -> tuple[list[Reference], list[str]]:
    """The photos in folders, with their subfolders and tar archives, and in tar archives; sorted by name.

    Also returns a sentence for each path that is missing, empty or of no use, and for each damaged archive. Hidden
    files and files without a photo's extension are skipped.

    Raises:
        NoPhotos: none of the paths holds a photo.
    """
    found: dict[str, Reference] = {}
    problems: list[str] = []
    for path in paths:
        before = len(found), len(problems)
        for reference in _references_in(path, problems):
            if reference.name in found:  # in two places: the second is named by its whole path
                reference = replace(reference, name=f"{as_text(reference.file)}/{reference.name}")
            found[reference.name] = reference
        if (len(found), len(problems)) == before:
            problems.append(f"no photos in {path}")
    if not found:
        raise NoPhotos("; ".join(problems) or "no photos were given")
    return sorted(found.values(), key=lambda reference: reference.name), problems


def _references_in(path: Path, problems: list[str]) -> Iterable[Reference]:
    if path.is_dir():
        for inside in walk(path, PICTURE_SUFFIXES | {".tar"}):
            file = path / inside
            if file.suffix == ".tar" and file.is_file():
                yield from _members(file, inside.parent, problems)
            elif is_photo(file.name) and file.is_file():
                yield Reference(as_text(inside), file)
    elif path.suffix == ".tar" and path.is_file():
        yield from _members(path, Path(), problems)
    elif path.is_file() and is_photo(path.name):
        yield Reference(as_text(Path(path.name)), path)
    elif path.is_file():
        problems.append(f"{path}: neither a photo nor a .tar archive")
    else:
        problems.append(f"{path}: no such file or folder")


def _members(archive: Path, under: Path, problems: list[str]) -> Iterable[Reference]:
    try:
        with tarfile.open(archive, "r:") as members:  # uncompressed: a member can be read at its offset
            for member in members:
                name = Path(member.name)
                if member.isfile() and is_photo(name.name):
                    yield Reference(as_text(under / name), archive, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        problems.append(f"{archive}: this archive, or its rest, cannot be read ({error})")


def as_text(path: Path) -> str:
    "A path that can be written to any file: file names need not be valid text."
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def is_photo(name: str) -> bool:
    "Whether a file name has a photo's extension and is not hidden."
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
