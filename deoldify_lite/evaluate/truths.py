"""Which photos are the truths, which part of them, and which finished pictures belong to them."""

import hashlib
import io
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from ..errors import UsageError
from ..photo import EXTENSIONS, UNREADABLE, BadPhoto, read_rgb
from ..photo.formats import FORMATS
from ..sources import NoPhotos, spread


@dataclass(frozen=True)
class Protocol:
    """Which photos are judged, and at which size: the middle square of each, `size` pixels wide.

    `all` takes all photos, or `limit` of them, spread over all. `val5k` is what the literature does with ImageNet's
    50,000 validation photos: the first 5000 by file name, at 256 pixels.
    """

    name: str = "all"
    size: int = 256
    limit: int | None = None

    def choose(self, truths: list["Truth"]) -> list["Truth"]:
        if self.name == "val5k":  # by the file's own name: many keep the photos in a folder for each class
            return sorted(truths, key=lambda truth: (Path(truth.name).name, truth.name))[: self.limit]
        if self.limit is None:
            return truths
        return [truths[i] for i in spread(self.limit, len(truths))]


CROP = "middle square, resized with Lanczos"


def choose_protocol(name: str = "all", size: int | None = None, limit: int | None = None) -> Protocol:
    """The protocol of this name, at another size or with fewer photos where it leaves that open.

    Raises:
        ValueError: no such protocol, or it says itself what size and how many.
    """
    if name == "all":
        return Protocol(size=size or 256, limit=limit)
    if name != "val5k":
        raise UsageError(f"protocol {name!r} is unknown; use all or val5k")
    if size not in (None, 256) or limit is not None:
        raise UsageError("protocol val5k is 5000 photos at 256 pixels; for others leave --protocol out")
    return Protocol("val5k", 256, 5000)


@dataclass(frozen=True)
class Truth:
    """A colour photo that can be read again whenever it is needed: a file, or a member of a tar archive.

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

    def square(self, size: int) -> Image.Image:
        """What is judged: the photo's middle square in RGB.

        Raises:
            BadPhoto: not a photo, damaged, or unreadable.
        """
        return middle_square(self.read(), size)


def middle_square(data: bytes, size: int) -> Image.Image:
    "The middle square of a photo, `size` pixels wide, in RGB."
    return ImageOps.fit(read_rgb(data, size), (size, size), Image.Resampling.LANCZOS)


def find_truths(paths: Iterable[Path]) -> tuple[list[Truth], list[str]]:
    """The photos in folders, with their subfolders and tar archives, and in tar archives; sorted by name.

    Also returns a sentence for each path that is missing, empty or of no use, and for each archive that is damaged.
    Hidden files and what has no photo's extension are passed over.

    Raises:
        NoPhotos: there is no photo in any.
    """
    paths = list(paths)
    found: dict[str, Truth] = {}
    problems: list[str] = []
    for path in paths:
        before = len(found), len(problems)
        for truth in _truths_in(path, problems):
            if truth.name in found:  # in two places: the second goes by its whole path
                truth = replace(truth, name=f"{_words(truth.file)}/{truth.name}")
            found[truth.name] = truth
        if (len(found), len(problems)) == before:
            problems.append(f"no photos in {path}")
    if not found:
        raise NoPhotos("; ".join(problems) or "no photos were given")
    return sorted(found.values(), key=lambda truth: truth.name), problems


def _truths_in(path: Path, problems: list[str]) -> Iterable[Truth]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            if any(part.startswith(".") for part in inside.parts) or not file.is_file():
                continue
            if _is_photo(file.name):
                yield Truth(_words(inside), file)
            elif file.suffix == ".tar":
                yield from _members(file, inside.parent, problems)
    elif path.suffix == ".tar" and path.is_file():
        yield from _members(path, Path(), problems)
    elif path.is_file() and _is_photo(path.name):
        yield Truth(_words(path.relative_to(path.parent)), path)
    elif path.is_file():
        problems.append(f"{path}: neither a photo nor a .tar archive")
    else:
        problems.append(f"{path}: no such file or folder")


def _members(archive: Path, under: Path, problems: list[str]) -> Iterable[Truth]:
    try:
        with tarfile.open(archive, "r:") as members:  # not compressed: a member can be read where it lies
            for member in members:
                name = Path(member.name)
                if member.isfile() and _is_photo(name.name):
                    yield Truth(_words(under / name), archive, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        problems.append(f"{archive}: this archive, or its rest, cannot be read ({error})")


def _words(path: Path) -> str:
    "A path as text that can be written anywhere: names of files need not be text."
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def _is_photo(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    return not name.startswith(".") and (suffix in EXTENSIONS or suffix in UNREADABLE)


class Results:
    """A folder of finished pictures, made by anything, each with its photo's name.

    `.png` may be added, or the extension may be another one where that leaves no doubt. A picture has its photo's size
    and is cut in the same way, or it is the square already.

    truths: all photos, also those that the protocol leaves out.

    Raises:
        NoPhotos: there is no such folder, or no picture in it belongs to any of the photos.
    """

    def __init__(self, folder: Path, truths: list[Truth]):
        if not folder.is_dir():
            raise NoPhotos(f"{folder}: no such folder")
        self.folder = folder
        files = {
            _words(file.relative_to(folder)): file
            for file in sorted(folder.rglob("*"))
            if file.is_file() and _is_photo(file.name)
        }
        if not files:
            raise NoPhotos(f"{folder}: no pictures in this folder")
        self.files: dict[str, Path] = {}
        for truth in truths:
            for name in (truth.name, f"{truth.name}.png"):
                if name in files:
                    self.files.setdefault(truth.name, files[name])
        unused = set(files.values()) - set(self.files.values())
        theirs = _by_stem((name for name, file in files.items() if file in unused))
        ours = _by_stem(truth.name for truth in truths if truth.name not in self.files)
        for stem in theirs.keys() & ours.keys():
            if len(theirs[stem]) == len(ours[stem]) == 1:
                self.files[ours[stem][0]] = files[theirs[stem][0]]
        if not self.files:
            raise NoPhotos(f"{folder}: no picture in it has the name of any of the {len(truths)} photos")
        used = set(self.files.values())
        self.extra = [name for name, file in files.items() if file not in used]

    def square(self, truth: Truth, size: int) -> Image.Image:
        """The part of a photo's finished picture that is judged.

        Raises:
            BadPhoto: it is damaged, or of another size than the photo.
        """
        data = self.read(truth)
        picture = middle_square(data, size)
        theirs, wanted = _upright_size(data), _upright_size(truth.read())
        if theirs not in (wanted, (size, size)):
            raise BadPhoto(f"the picture has {_by(theirs)} pixels, the photo {_by(wanted)}")
        return picture

    def read(self, truth: Truth) -> bytes:
        return Truth(truth.name, self.files[truth.name]).read()


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    "Names by what they are without their extension."
    found = defaultdict(list)
    for name in names:
        found[Path(name).with_suffix("").as_posix()].append(name)
    return found


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _upright_size(photo: bytes) -> tuple[int, int]:
    "Width and height of a photo that is known to be readable, turned upright."
    with Image.open(io.BytesIO(photo), formats=FORMATS) as image:
        try:
            turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        except Exception:  # damaged EXIF, which reading a photo passes over as well
            turned = False
        return image.size[::-1] if turned else image.size


def listed(names: list[str], most: int = 3) -> str:
    "Some names for a sentence: `a.jpg, b.jpg, c.jpg and 9 more`."
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
