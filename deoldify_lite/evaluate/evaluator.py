"""Scores methods on the same photos, a few images at a time, and keeps on disk what was measured."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from .. import __version__
from ..photo import BadPhoto
from .measurements import Measurement
from .methods import Method, Predict
from .records import Records
from .references import Reference
from .scores import Score, image_scores, summarize

FORMAT = 2  # to be raised when a measurement changes its meaning: old records are then not used
BATCH = 4  # images that go through the networks at once
LIBRARIES = ("torch", "torchvision", "torchmetrics", "timm", "pillow")


def versions() -> dict[str, str]:
    "The versions of this package and of the libraries that decide the scores."
    return {"deoldify_lite": __version__} | {name: version(name) for name in LIBRARIES}


@dataclass(frozen=True, eq=False)
class MethodScores:
    """A method's scores, the photos that they are over, and the scores of each photo, (N,) by metric."""

    method: Method
    references: list[Reference]
    scores: dict[str, Score]
    image_scores: dict[str, Tensor]


class Evaluator:
    """Scores methods on the same photos. What the records hold is not measured again.

    references: the photos; those that turn out to be unreadable leave this list.
    report: called with a sentence for each image that is left out.
    """

    def __init__(
        self,
        references: list[Reference],
        size: int,
        measurements: list[Measurement],
        records: Records,
        device: torch.device,
        report: Callable[[str], None],
    ):
        self.references, self.size, self.measurements = references, size, measurements
        self.records, self.device, self.report = records, device, report

    def score(self, method: Method) -> MethodScores:
        "Measure what is not measured yet, and summarize. The ground truth comes first: others are compared with it."
        key = self.key(method)
        contents = self._contents(method)
        self._measure(method, key, contents)
        if method.kind == "ground_truth":
            self.references, self._true_key = list(contents), key
        if not contents:
            return MethodScores(method, [], {}, {})
        predicted = self._read(key, contents.values())
        true = self._read(self._true_key, [reference.sha256 for reference in contents])
        return MethodScores(method, list(contents), summarize(predicted, true), image_scores(predicted, true))

    def key(self, method: Method) -> str:
        "A hash of all that the scores depend on besides the photo and the measurement."
        about = {k: v for k, v in method.about.items() if k not in ("weights", "folder")}  # names change nothing
        what = [FORMAT, method.kind, about, self.size, str(self.device), versions()]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def _contents(self, method: Method) -> dict[Reference, str]:
        "The content key of each photo that the method has a prediction for."
        there = set(self.references if method.references is None else method.references)
        contents = {}
        for reference in self.references:
            if reference in there:
                try:
                    contents[reference] = method.content(reference)
                except BadPhoto as error:
                    self._leave_out(method, reference, error)
        return contents

    def _measure(self, method: Method, key: str, contents: dict[Reference, str]) -> None:
        "Measure what the records lack. Photos without a prediction are removed from `contents`."
        done = [self.records.photos(key, measurement.key) for measurement in self.measurements]
        needed = [m for m, photos in zip(self.measurements, done) if not photos.issuperset(contents.values())]
        todo = [photo for photo, content in contents.items() if not all(content in photos for photos in done)]
        before = len(contents) - len(todo)
        with tqdm(total=len(contents), initial=before, desc=method.name, unit="photo", disable=None) as bar:
            predict = method.open() if todo else None
            for start in range(0, len(todo), BATCH):
                batch = todo[start : start + BATCH]
                pairs = self._pairs(method, predict, batch)
                if pairs:
                    predictions, targets = (to_tensor(images).to(self.device) for images in zip(*pairs.values()))
                    with torch.inference_mode():
                        measured = {m.key: m.compute(predictions, targets) for m in needed}
                    self.records.add(key, [contents[reference] for reference in pairs], measured)
                for reference in set(batch) - set(pairs):
                    del contents[reference]
                bar.update(len(batch))

    def _pairs(
        self, method: Method, predict: Predict, batch: list[Reference]
    ) -> dict[Reference, tuple[Image.Image, Image.Image]]:
        "Prediction and target of each photo that has both."
        pairs = {}
        for reference in batch:
            try:
                crop = reference.crop(self.size)
                pairs[reference] = predict(reference, crop), crop
            except BadPhoto as error:
                self._leave_out(method, reference, error)
        return pairs

    def _leave_out(self, method: Method, reference: Reference, error: BadPhoto) -> None:
        prefix = "" if method.kind == "ground_truth" else f"{method.name}: "
        self.report(f"{prefix}{reference.name} is left out: {error}")

    def _read(self, key: str, contents: Iterable[str]) -> dict[str, Tensor]:
        contents = list(contents)
        return {m.name: self.records.read(key, m.key, contents) for m in self.measurements}


def to_tensor(images: Sequence[Image.Image]) -> Tensor:
    "RGB images of one size as (N, 3, H, W) in [0, 1]."
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).float() / 255
