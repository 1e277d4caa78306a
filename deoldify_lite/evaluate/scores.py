"""Judging: each picture beside its truth, then the figures of a subject over all its photos."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from .. import __version__
from ..metrics.features import INCEPTION, INCEPTION_FEATURES, open_network, weights_hash
from ..metrics.image import Lpips, ab_histogram, colorfulness, histogram_distance, psnr, ssim
from ..metrics.sets import frechet_distance, inception_score, kernel_distance
from ..modeling.pretrained import WeightsUnavailable
from ..modeling.winograd import use_winograd
from ..photo import BadPhoto
from .figures import FIGURES
from .records import Records
from .subjects import Subject
from .truths import Truth

FORMAT = 1  # to be raised when a measure changes its meaning: what was kept before is then measured again
BATCH = 4  # pictures that go through the networks at once
LIBRARIES = ("torch", "torchvision", "torchmetrics", "timm", "pillow")


def versions() -> dict[str, str]:
    "What the figures were computed with."
    return {"deoldify_lite": __version__} | {name: version(name) for name in LIBRARIES}


@dataclass(frozen=True)
class Measure:
    """What is measured on each picture: `of(pictures, truths)`, both RGB (N, 3, S, S) in [0, 1] -> (N,) or (N, C).

    about: the network behind it and the hash of its weights, as they stand in the JSON.
    """

    name: str
    of: Callable[[Tensor, Tensor], Tensor]
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.name}:{self.about.get('network_sha256', '')}"


def open_measures(networks: list[str], device: torch.device) -> tuple[list[Measure], dict[str, str]]:
    """All measures that can be had here, and for each of the others the reason why not.

    Raises:
        ValueError: one of the feature networks `networks` does not exist.
        BadWeights: weights that are here are damaged.
    """
    measures = [
        Measure("psnr", psnr),
        Measure("ssim", ssim),
        Measure("ab", lambda ours, truth: ab_histogram(ours)),
        Measure("colourfulness", lambda ours, truth: colorfulness(ours)),
        Measure("colourfulness_abs", lambda ours, truth: colorfulness(ours, absolute=True)),
    ]
    missing = {}
    try:
        lpips = Lpips().to(device)
        measures.append(Measure("lpips_alex", lpips, _about("LPIPS 0.1 on torchvision's AlexNet", lpips)))
    except WeightsUnavailable as error:
        missing["lpips_alex"] = str(error)
    for name in networks:
        try:
            features = open_network(name)
        except WeightsUnavailable as error:
            missing[name] = str(error)
            continue
        about = _about(features.about, features.network.to(device))
        if device.type == "cpu":  # where nearly all of the time goes into VGG16's convolutions
            use_winograd(features.network)
        measures.append(Measure(name, lambda ours, truth, features=features: features(ours), about))
    return measures, missing


def _about(network: str, module: torch.nn.Module) -> dict[str, str]:
    return {"network": network, "network_sha256": weights_hash(module)}


@dataclass(frozen=True)
class Value:
    """A figure over all photos, with the standard error where it is a mean of the photos' own.

    reason: why there is no value.
    identical: photos that PSNR's mean leaves out, because there it is infinite.
    """

    value: float | None
    standard_error: float | None = None
    reason: str | None = None
    identical: int = 0


@dataclass(frozen=True, eq=False)
class Judged:
    "A subject with its figures, and the photos that they are over with each photo's own figures: (N,) by name."

    subject: Subject
    truths: list[Truth]
    figures: dict[str, Value]
    of_photos: dict[str, Tensor]

    def own_figures(self, truth: Truth) -> dict[str, float]:
        "The figures that one photo has by itself, by name."
        i = self.truths.index(truth)
        return {name: float(values[i]) for name, values in self.of_photos.items()}


class Judge:
    """Measures subjects on the same photos, and keeps what was measured.

    Only a handful of pictures are in memory at a time. What the records have already is not measured again.

    truths: the photos; those that turn out to be broken leave this list.
    problems: a sentence for each picture that had to be left out.
    """

    def __init__(self, truths: list[Truth], size: int, measures: list[Measure], records: Records, device: torch.device):
        self.truths, self.size, self.measures, self.records, self.device = truths, size, measures, records, device
        self.problems: list[str] = []

    def judge(self, subject: Subject) -> Judged:
        "Measure what is not measured yet, and sum up. `photos()` comes first: it is what all others are compared with."
        key = self._key(subject)
        contents = self._contents(subject)
        done = [self.records.photos(key, measure.key) for measure in self.measures]
        wanted = [measure for measure, there in zip(self.measures, done) if not there.issuperset(contents.values())]
        todo = [truth for truth, content in contents.items() if not all(content in there for there in done)]
        before = len(contents) - len(todo)
        with tqdm(total=len(contents), initial=before, desc=subject.name, unit="photo", disable=None) as bar:
            paint = subject.open() if todo else None
            for start in range(0, len(todo), BATCH):
                batch = todo[start : start + BATCH]
                pairs = self._pairs(subject, paint, batch)
                if pairs:
                    self.records.add(key, [contents[truth] for truth in pairs], self._measure(wanted, pairs.values()))
                for truth in set(batch) - set(pairs):
                    del contents[truth]
                bar.update(len(batch))
        if subject.kind == "photos":
            self.truths, self._true_key = list(contents), key
        if not contents:
            nothing = Value(None, reason="no picture could be judged")
            return Judged(subject, [], dict.fromkeys(FIGURES, nothing), {})
        ours = self._columns(key, contents.values())
        true = self._columns(self._true_key, [truth.sha256 for truth in contents])
        of_photos = figures_of_photos(ours, true)
        return Judged(subject, list(contents), sum_up(ours, true, of_photos), of_photos)

    def _key(self, subject: Subject) -> str:
        "A hash of all that the figures depend on, but for the photo and the measure."
        about = {k: v for k, v in subject.about.items() if k not in ("weights", "folder")}  # names change nothing
        what = [FORMAT, subject.kind, about, self.size, str(self.device), versions()]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def _contents(self, subject: Subject) -> dict[Truth, str]:
        there = set(self.truths if subject.truths is None else subject.truths)
        contents = {}
        for truth in self.truths:
            if truth in there:
                try:
                    contents[truth] = subject.content(truth)
                except BadPhoto as error:
                    self._leave_out(subject, truth, error)
        return contents

    def _pairs(self, subject: Subject, paint, truths: list[Truth]) -> dict[Truth, tuple[Image.Image, Image.Image]]:
        "Picture and truth of each photo that there is a picture for."
        pairs = {}
        for truth in truths:
            try:
                square = truth.square(self.size)
                pairs[truth] = paint(truth, square), square
            except BadPhoto as error:
                self._leave_out(subject, truth, error)
        return pairs

    def _leave_out(self, subject: Subject, truth: Truth, error: BadPhoto) -> None:
        whose = "" if subject.kind == "photos" else f"{subject.name}: "
        self.problems.append(f"{whose}{truth.name} is left out: {error}")

    @torch.inference_mode()
    def _measure(self, measures: list[Measure], pairs: Iterable[tuple[Image.Image, Image.Image]]) -> dict[str, Tensor]:
        ours, truth = (_tensor(pictures).to(self.device) for pictures in zip(*pairs))
        return {measure.key: measure.of(ours, truth) for measure in measures}

    def _columns(self, key: str, contents: Iterable[str]) -> dict[str, Tensor]:
        contents = list(contents)
        return {measure.name: self.records.read(key, measure.key, contents) for measure in self.measures}


def _tensor(pictures: Sequence[Image.Image]) -> Tensor:
    "RGB pictures of one size as (N, 3, H, W) in [0, 1]."
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2).float() / 255


def figures_of_photos(ours: dict[str, Tensor], true: dict[str, Tensor]) -> dict[str, Tensor]:
    "The figures that every photo has by itself: (N,) by name. Takes what was measured on both: (N, C) by measure."
    names = ("lpips_alex", "psnr", "ssim", "colourfulness", "colourfulness_abs")
    found = {name: ours[name][:, 0] for name in names if name in ours}
    return found | {"ab_histogram": histogram_distance(ours["ab"], true["ab"])}


def sum_up(ours: dict[str, Tensor], true: dict[str, Tensor], of_photos: dict[str, Tensor]) -> dict[str, Value]:
    "All figures over all photos, by name."
    figures = {name: _mean(values) for name, values in of_photos.items()}
    pooled = histogram_distance(ours["ab"].mean(0, keepdim=True), true["ab"].mean(0, keepdim=True))
    figures["ab_histogram_pooled"] = Value(float(pooled))
    for name in ("colourfulness", "colourfulness_abs"):
        figures[f"{name}_gap"] = Value(abs(float(ours[name].mean() - true[name].mean())))
    for name in ours.keys() - of_photos.keys() - {"ab"}:
        fd, kid = ("fid", "kid") if name == INCEPTION else (f"fd_{name}", f"kid_{name}")
        a, b = ours[name], true[name]
        if name == INCEPTION:
            figures["inception_score"] = _or_reason(inception_score, a[:, INCEPTION_FEATURES:])
            a, b = a[:, :INCEPTION_FEATURES], b[:, :INCEPTION_FEATURES]
        figures[fd] = _or_reason(frechet_distance, a, b)
        figures[kid] = _or_reason(kernel_distance, a, b)
    return figures


def _mean(values: Tensor) -> Value:
    finite = values[values.isfinite()].double()
    if not len(finite):
        return Value(float("inf"), identical=len(values))
    error = float(finite.std() / len(finite) ** 0.5) if len(finite) > 1 else None
    return Value(float(finite.mean()), error, identical=len(values) - len(finite))


def _or_reason(metric: Callable[..., float], *features: Tensor) -> Value:
    try:
        return Value(metric(*features))
    except ValueError as error:  # too few photos
        return Value(None, reason=str(error))
