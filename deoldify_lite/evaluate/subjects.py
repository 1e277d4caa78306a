"""Whose pictures are judged: the photos themselves, their grey, generators, and finished pictures of any origin."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from ..colorize.colorizer import Colorizer
from ..errors import UsageError
from ..modeling.weights import BadWeights, find_weights
from ..sources import NoPhotos
from .truths import Results, Truth, listed

Paint = Callable[[Truth, Image.Image], Image.Image]  # a truth and its square -> the square to be judged


@dataclass(frozen=True, eq=False)
class Subject:
    """One row of the tables.

    kind: `photos`, `grey`, `generator` or `results`.
    about: what its figures depend on beside the photos, as it stands in the JSON: hash of the weights, render factor...
    open: loads what is needed and returns what makes the pictures. That raises `BadPhoto` where there is none.
    content: names what is judged for a photo by its content.
    truths: the photos that there are pictures for; None for all.
    """

    name: str
    kind: str
    about: dict
    open: Callable[[], Paint]
    content: Callable[[Truth], str] = lambda truth: truth.sha256
    truths: list[Truth] | None = None


def photos() -> Subject:
    "The truths, judged like anything else: what a perfect colorizer would reach."
    return Subject("truth", "photos", {}, lambda: lambda truth, square: square)


def grey() -> Subject:
    "The input without any colour: what doing nothing reaches."
    return Subject("grey input", "grey", {}, lambda: lambda truth, square: square.convert("L").convert("RGB"))


def generator(name: str, weights: str, device: str, precision: str, render_factor: int | None) -> Subject:
    """What a generator makes of the photos' grey (BT.601 luma, 8 bit): network, gamut, the input's own luma.

    Raises:
        BadWeights: missing, damaged, of an unknown network, or not finite.
        DeviceUnavailable, ValueError: as `Colorizer`.
    """
    load = partial(Colorizer, weights, device, precision, render_factor)
    colorizer = load()
    network = colorizer.engine.generator
    about = {
        "weights": weights,
        "sha256": hashlib.sha256(find_weights(weights).read_bytes()).hexdigest(),
        "architecture": network.config["architecture"],
        "parameters": sum(p.numel() for p in network.parameters()),
        "render_factor": colorizer.render_factor,
        "precision": str(colorizer.engine.precision).removeprefix("torch."),
        "device": str(colorizer.engine.device),
    }

    def open_it() -> Paint:
        colorizer = load()
        return lambda truth, square: colorizer.colorize(square.convert("L"))

    return Subject(name, "generator", about, open_it)


def results(name: str, folder: Path, truths: list[Truth], everything: list[Truth]) -> tuple[Subject, list[str]]:
    """Finished pictures in a folder, and a sentence for each way in which they and the photos do not match.

    `truths` are those of the photos `everything` that are judged.

    Raises:
        NoPhotos: there is nothing to judge in the folder.
    """
    found = Results(folder, everything)
    problems = []
    if missing := [truth.name for truth in truths if truth.name not in found.files]:
        what = f"{len(missing)} of {len(truths)} photos have no picture"
        problems.append(f"{name}: {what} in {folder}: {listed(missing)}")
    if found.extra:
        extra = f"{len(found.extra)} of the pictures in {folder} belong to no photo"
        problems.append(f"{name}: {extra}: {listed(found.extra)}")

    def content(truth: Truth) -> str:
        return f"{truth.sha256}:{hashlib.sha256(found.read(truth)).hexdigest()}"

    def open_it() -> Paint:
        return lambda truth, square: found.square(truth, square.width)

    there = [truth for truth in truths if truth.name in found.files]
    return Subject(name, "results", {"folder": str(folder)}, open_it, content, there), problems


def find_subjects(
    weights: Iterable[str],
    folders: Iterable[str],
    truths: list[Truth],
    everything: list[Truth],
    device: str = "auto",
    precision: str = "auto",
    render_factor: int | None = None,
) -> tuple[list[Subject], list[str]]:
    """The generators `[NAME=]WEIGHTS` and finished pictures `NAME=FOLDER` to judge, and a sentence for each that cannot
    be judged, or not on all of `truths`, which are those of the photos `everything` that the protocol takes.

    Raises:
        DeviceUnavailable: no such device here.
        ValueError: no such precision, or two subjects of one name.
    """
    subjects, problems = [], []
    for given in weights:
        name, what = split_name(given)
        try:
            subjects.append(generator(name, what, device, precision, render_factor))
        except BadWeights as error:
            problems.append(f"{name} is left out: {error}")
    for given in folders:
        name, what = split_name(given)
        try:
            subject, about = results(name, Path(what), truths, everything)
            subjects.append(subject)
            problems += about
        except NoPhotos as error:
            problems.append(f"{name} is left out: {error}")
    taken = Counter([photos().name, grey().name, *(subject.name for subject in subjects)])
    for name, times in taken.items():
        if times > 1:
            raise UsageError(f"two of them would be called {name!r}; give them names, as in --weights NAME=FILE")
    return subjects, problems


def split_name(given: str) -> tuple[str, str]:
    "Name and the rest of `NAME=REST`; without a name the rest, less its extension, is the name."
    name, equals, rest = given.partition("=")
    if equals and "/" not in name and not Path(given).exists():
        return name, rest
    return str(Path(given).with_suffix("")) if Path(given).suffix in (".safetensors", ".pth") else given, given
