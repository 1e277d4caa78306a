"""One evaluation: all subjects on the same photos."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ..sources import NoPhotos
from .figures import FIGURES
from .records import Records
from .scores import Judge, Judged, Measure, Value, open_measures
from .subjects import Subject, grey, photos
from .truths import Protocol, Truth

NETWORKS = ["inception", "vgg16"]  # whose features are compared in any case


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    device: what the networks ran on, in words.
    judged: in the order of the tables: the photos themselves, their grey, then the subjects that were given.
    missing: why a network's figures are not there, by measure.
    problems: sentences about what had to be left out.
    """

    protocol: Protocol
    device: str
    judged: list[Judged]
    measures: list[Measure]
    missing: dict[str, str]
    problems: list[str]

    @property
    def photos(self) -> Judged:
        return self.judged[0]

    @property
    def grey(self) -> Judged:
        return self.judged[1]

    @property
    def contenders(self) -> list[Judged]:
        return self.judged[2:]

    def is_complete(self, judged: Judged) -> bool:
        "Whether a subject was judged on all photos, so that its figures can be compared with those of others."
        return len(judged.truths) == len(self.photos.truths)

    @property
    def names(self) -> list[str]:
        "The figures, in the order of the tables, also those that could not be had."
        networks = [m.name for m in self.measures if f"fd_{m.name}" in self.photos.figures]
        networks += [name for name in self.missing if name not in ("inception", "lpips_alex")]
        distances = [f"{kind}_{name}" for name in networks for kind in ("fd", "kid")]
        return sorted([*FIGURES, *distances], key=lambda name: name.startswith("colourfulness_abs"))  # those last

    def value(self, judged: Judged, name: str) -> Value:
        "A subject's figure, or the reason why there is none."
        return judged.figures.get(name) or Value(None, reason=self.missing.get(measure_of(name)))


def measure_of(name: str) -> str:
    "The measure that a figure comes from."
    if name in ("fid", "kid", "inception_score"):
        return "inception"
    if name.startswith("ab_"):
        return "ab"
    return name.removesuffix("_gap").removeprefix("fd_").removeprefix("kid_")


def evaluate(
    truths: list[Truth],
    subjects: list[Subject],
    protocol: Protocol,
    networks: list[str],
    device: torch.device,
    records: Path,
) -> Evaluation:
    """Judge the photos themselves, their grey, and the subjects.

    What the file `records` has already is not measured again.

    Raises:
        NoPhotos: none of the photos can be read.
        ValueError: a feature network does not exist.
        BadWeights: the weights of a feature network are damaged.
        BadRecords: `records` cannot be used.
    """
    measures, missing = open_measures(list(dict.fromkeys([*NETWORKS, *networks])), device)
    judge = Judge(truths, protocol.size, measures, Records(records), device)
    judged = [judge.judge(photos())]
    if not judge.truths:
        raise NoPhotos(f"none of the {len(truths)} photos can be read; the first: {judge.problems[0]}")
    judged += [judge.judge(subject) for subject in (grey(), *subjects)]
    return Evaluation(protocol, _words(device), judged, measures, missing, judge.problems)


def _words(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    return str(device)
