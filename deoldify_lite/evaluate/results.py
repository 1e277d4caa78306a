"""Finished pictures of any program in a folder, matched to the reference photos by name."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from ..files import walk
from ..photo import PICTURE_SUFFIXES, BadPhoto, output_name, upright_size
from ..sources import NoPhotos
from .references import Reference, as_text, center_crop


class Results:
    """A folder of finished pictures, each named as its reference.

    `.png` may be appended, or what `output_name` appends, and the extension may differ where that leaves no doubt. A
    picture has its reference's size and is cropped in the same way, or it is the crop already.

    files: the picture's path by the reference's name.
    extra: names of pictures that belong to no reference.

    Raises:
        NoPhotos: there is no such folder, or no picture in it belongs to any of the references.
    """

    def __init__(self, folder: Path, references: list[Reference]):
        if not folder.is_dir():
            raise NoPhotos(f"{folder}: no such folder")
        pictures = {
            as_text(inside): folder / inside for inside in walk(folder, PICTURE_SUFFIXES) if (folder / inside).is_file()
        }
        if not pictures:
            raise NoPhotos(f"{folder}: no pictures in this folder")
        self.files: dict[str, Path] = {}
        for reference in references:
            for name in (reference.name, f"{reference.name}.png", output_name(reference.name)):
                if name in pictures:
                    self.files.setdefault(reference.name, pictures[name])
        unused = set(pictures.values()) - set(self.files.values())
        theirs = _by_stem(name for name, file in pictures.items() if file in unused)
        ours = _by_stem(reference.name for reference in references if reference.name not in self.files)
        for stem in theirs.keys() & ours.keys():
            if len(theirs[stem]) == len(ours[stem]) == 1:
                self.files[ours[stem][0]] = pictures[theirs[stem][0]]
        if not self.files:
            raise NoPhotos(f"{folder}: no picture in it has the name of any of the {len(references)} photos")
        used = set(self.files.values())
        self.extra = [name for name, file in pictures.items() if file not in used]

    def crop(self, reference: Reference, size: int) -> Image.Image:
        """The center crop of a reference's picture.

        Raises:
            BadPhoto: it is damaged, or of another size than the reference.
        """
        data = self.read(reference)
        picture = center_crop(data, size)
        found, expected = upright_size(data), upright_size(reference.read())
        if found not in (expected, (size, size)):
            raise BadPhoto("the picture has {} x {} pixels, the photo {} x {}".format(*found, *expected))
        return picture

    def read(self, reference: Reference) -> bytes:
        return Reference(reference.name, self.files[reference.name]).read()


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    "Names by what remains without their extension."
    found = defaultdict(list)
    for name in names:
        found[Path(name).with_suffix("").as_posix()].append(name)
    return found
