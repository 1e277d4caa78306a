"""The methods that are scored: generators, finished pictures of any program, and for comparison the ground truth itself
and the grayscale input."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from ..colorize.colorizer import Colorizer
from ..errors import UsageError
from ..files import sha256
from ..modeling.weights import BadWeights, find_weights
from ..sources import NoPhotos
from .references import Reference
from .results import Results

Predict = Callable[[Reference, Image.Image], Image.Image]  # a reference and its crop -> the prediction, of equal size


@dataclass(frozen=True, eq=False)
class Method:
    """One row of the tables.

    kind: `ground_truth`, `grayscale`, `generator` or `results`.
    about: what its scores depend on besides the photos, as in the JSON: hash of the weights, render factor, ...
    open: loads what is needed and returns the predictor, which raises `BadPhoto` where it has no prediction.
    content: a key of a photo's prediction that changes with the content of its files.
    references: the photos that there are predictions for; None for all.
    """

    name: str
    kind: str
    about: dict
    open: Callable[[], Predict]
    content: Callable[[Reference], str] = lambda reference: reference.sha256
    references: list[Reference] | None = None


def ground_truth() -> Method:
    "The photos themselves: the scores of a perfect colorizer."
    return Method("ground truth", "ground_truth", {}, lambda: lambda reference, crop: crop)


def grayscale() -> Method:
    "The grayscale input (BT.601 luma, 8 bit): the scores of doing nothing."
    return Method("grayscale input", "grayscale", {}, lambda: lambda reference, crop: crop.convert("L").convert("RGB"))


def generator(name: str, weights: str, size: int, device: str, precision: str, render_factor: int | None) -> Method:
    """A generator's predictions for the grayscale input, `size` pixels square, by `Colorizer`.

    Raises:
        BadWeights: missing, damaged, of an unknown network, or not finite.
        DeviceUnavailable, UsageError: as `Colorizer`.
    """
    load = partial(Colorizer, weights, device, precision, render_factor)
    colorizer = load()
    network = colorizer.engine.generator
    about = {
        "weights": weights,
        "sha256": sha256(find_weights(weights)),
        "architecture": network.config["architecture"],
        "parameters": sum(p.numel() for p in network.parameters()),
        "render_factor": colorizer.engine.render_factor_for((size, size), render_factor),
        "precision": str(colorizer.engine.precision).removeprefix("torch."),
        "device": str(colorizer.engine.device),
    }

    def open_generator() -> Predict:
        colorizer = load()
        return lambda reference, crop: colorizer.colorize(crop.convert("L"))

    return Method(name, "generator", about, open_generator)


def finished(name: str, folder: Path, references: list[Reference], photos: list[Reference]) -> tuple[Method, list[str]]:
    """The finished pictures in a folder, and a sentence for each way in which they and the photos do not match.

    references: those of all the `photos` that are scored.

    Raises:
        NoPhotos: there is no usable picture in the folder.
    """
    results = Results(folder, photos)
    problems = []
    if missing := [reference.name for reference in references if reference.name not in results.files]:
        count = f"{len(missing)} of {len(references)} photos have no picture"
        problems.append(f"{name}: {count} in {folder}: {_shortened(missing)}")
    if results.extra:
        count = f"{len(results.extra)} of the pictures in {folder} belong to no photo"
        problems.append(f"{name}: {count}: {_shortened(results.extra)}")

    def content(reference: Reference) -> str:
        return f"{reference.sha256}:{hashlib.sha256(results.read(reference)).hexdigest()}"

    def open_results() -> Predict:
        return lambda reference, crop: results.crop(reference, crop.width)

    there = [reference for reference in references if reference.name in results.files]
    return Method(name, "results", {"folder": str(folder)}, open_results, content, there), problems


def _shortened(names: list[str], most: int = 3) -> str:
    "Names for a sentence: `a.jpg, b.jpg, c.jpg and 9 more`."
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def find_methods(
    weights: Iterable[str],
    folders: Iterable[str],
    references: list[Reference],
    photos: list[Reference],
    size: int,
    device: str = "auto",
    precision: str = "auto",
    render_factor: int | None = None,
) -> tuple[list[Method], list[str]]:
    """The generators `[NAME=]WEIGHTS` and finished pictures `NAME=FOLDER`, and a sentence for each that cannot be
    scored, or not on all of `references`, which are those of the `photos` that the protocol takes, `size` pixels
    square.

    Raises:
        DeviceUnavailable: no such device here.
        UsageError: no such precision, or two methods of one name.
    """
    methods, problems = [], []
    for given in weights:
        name, what = split_name(given)
        try:
            methods.append(generator(name, what, size, device, precision, render_factor))
        except BadWeights as error:
            problems.append(f"{name} is left out: {error}")
    for given in folders:
        name, what = split_name(given)
        try:
            method, mismatches = finished(name, Path(what), references, photos)
            methods.append(method)
            problems += mismatches
        except NoPhotos as error:
            problems.append(f"{name} is left out: {error}")
    names = Counter(method.name for method in (ground_truth(), grayscale(), *methods))
    for name, times in names.items():
        if times > 1:
            raise UsageError(f"two methods would be called {name!r}; give them names, as in --weights NAME=FILE")
    return methods, problems


def split_name(given: str) -> tuple[str, str]:
    "Name and the rest of `NAME=REST`; without a name the rest, less its extension, is the name."
    name, equals, rest = given.partition("=")
    if equals and "/" not in name and not Path(given).exists():
        return name, rest
    return str(Path(given).with_suffix("")) if Path(given).suffix in (".safetensors", ".pth") else given, given
