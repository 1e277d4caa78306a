"""Photos to try things on: those that come with matplotlib and scikit-learn, which fastai brings along."""

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from .files import atomic_path

_PLACES = {
    "grace_hopper.jpg": ("matplotlib", "mpl-data/sample_data"),
    "china.jpg": ("sklearn", "datasets/images"),
    "flower.jpg": ("sklearn", "datasets/images"),
}


def sample_photos() -> dict[str, Path]:
    "Paths of the sample photos, in colour, by name; only those whose library is installed."
    found = {}
    for name, (package, folder) in _PLACES.items():
        spec = find_spec(package)
        if spec and (path := Path(spec.origin).parent / folder / name).exists():
            found[name] = path
    return found


def write_samples(folder: Path) -> list[Path]:
    "The sample photos in black and white. Returns their paths."
    written = []
    for name, path in sample_photos().items():
        with Image.open(path) as image, atomic_path(folder / name) as temporary:
            image.convert("L").save(temporary, "JPEG", quality=95)
        written.append(folder / name)
    return written


def write_pieces(folder: Path) -> Path:
    """The sample photos in colour, each cut into twelve: enough photos to see training at work. Returns `folder`.

    Pieces that are there already stay as they are.
    """
    for name, path in sample_photos().items():
        with Image.open(path) as image:
            image = image.convert("RGB")
        for i in range(12):
            row, column = divmod(i, 4)
            edges = (column / 4, row / 3, (column + 1) / 4, (row + 1) / 3)
            box = tuple(round(edge * side) for edge, side in zip(edges, image.size * 2))
            target = folder / f"{Path(name).stem}_{i:02}.jpg"
            if not target.exists():
                with atomic_path(target) as temporary:
                    image.crop(box).save(temporary, "JPEG", quality=95)
    return folder
