"""One evaluation: all methods on the same photos."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..device import pick_device
from ..errors import Unavailable
from ..metrics.info import METRICS
from ..sources import NoPhotos
from .evaluator import Evaluator, MethodScores
from .measurements import Measurement, open_measurements
from .methods import find_methods, grayscale, ground_truth
from .protocol import Protocol
from .records import Records
from .references import find_references
from .scores import Score

log = logging.getLogger(__name__)
NETWORKS = ("inception", "vgg16")  # whose features are always compared
ALL_PHOTOS = Protocol()


@dataclass(frozen=True)
class Evaluation:
    """The scores of all methods.

    device: what the networks ran on, in words.
    rows: the ground truth, the grayscale input, then the given methods.
    missing: by measurement, why it is not available.
    problems: a sentence for everything that was left out.
    """

    protocol: Protocol
    device: str
    rows: list[MethodScores]
    measurements: list[Measurement]
    missing: dict[str, str]
    problems: list[str]

    @property
    def ground_truth(self) -> MethodScores:
        return self.rows[0]

    @property
    def grayscale(self) -> MethodScores:
        return self.rows[1]

    @property
    def methods(self) -> list[MethodScores]:
        return self.rows[2:]

    @property
    def metrics(self) -> list[str]:
        "The metrics in the order of the tables, also those that are not available."
        networks = [m.name for m in self.measurements if f"fd_{m.name}" in self.ground_truth.scores]
        networks += [name for name in self.missing if name not in ("inception", "lpips_alex")]
        distances = [f"{kind}_{name}" for name in networks for kind in ("fd", "kid")]
        return sorted([*METRICS, *distances], key=lambda name: name.startswith("colorfulness_abs"))  # those last

    def score(self, row: MethodScores, metric: str) -> Score:
        "A method's score, or the reason why there is none."
        no_image = None if row.references else "no picture could be scored"
        return row.scores.get(metric) or Score(None, reason=no_image or self.missing.get(measurement_of(metric)))


def measurement_of(metric: str) -> str:
    "The measurement that a metric is computed from."
    if metric in ("fid", "kid", "inception_score"):
        return "inception"
    if metric.startswith("ab_"):
        return "ab"
    return metric.removesuffix("_gap").removeprefix("fd_").removeprefix("kid_")


def evaluate(
    photos: Iterable[Path],
    weights: Iterable[str],
    results: Iterable[str],
    records: Path,
    *,
    protocol: Protocol = ALL_PHOTOS,
    networks: Iterable[str] = (),
    device: str = "auto",
    precision: str = "auto",
    render_factor: int | None = None,
    warn: Callable[[str], None] = log.warning,
) -> Evaluation:
    """Score generators and finished pictures, beside the photos themselves and their grayscale versions.

    photos: folders, photos or tar archives.
    weights: generators `[NAME=]WEIGHTS`. results: finished pictures `NAME=FOLDER`.
    records: a file that keeps what was measured; an interrupted evaluation goes on from there.
    networks: further feature networks, by their names in timm.
    precision, render_factor: as `Colorizer`.
    warn: called with each problem as soon as it is known.

    Raises:
        NoPhotos: there are no photos, or none of them can be read.
        Unavailable: no such device, damaged weights of a feature network, or no method left to score.
        UsageError: an unknown network or precision, or two methods of one name.
        BadRecords: `records` cannot be used.
    """
    problems: list[str] = []

    def report(*sentences: str) -> None:
        for sentence in sentences:
            problems.append(sentence)
            warn(sentence)

    everything, unusable = find_references(photos)
    report(*unusable)
    references = protocol.choose(everything)
    if len(references) < (protocol.limit or 0):
        warn(f"note: there are {len(references)} photos where {protocol.limit} were asked for")
    methods, mismatches = find_methods(
        weights, results, references, everything, protocol.size, device, precision, render_factor
    )
    report(*mismatches)
    if not methods:
        raise Unavailable("there is nothing left to score")
    place = pick_device(device)
    measurements, missing = open_measurements(dict.fromkeys([*NETWORKS, *networks]), place)
    evaluator = Evaluator(references, protocol.size, measurements, Records(records), place, report)
    known = len(problems)
    rows = [evaluator.score(ground_truth())]
    if not evaluator.references:
        raise NoPhotos(f"none of the {len(references)} photos can be read; the first: {problems[known]}")
    rows += [evaluator.score(method) for method in (grayscale(), *methods)]
    return Evaluation(protocol, _in_words(place), rows, measurements, missing, problems)


def _in_words(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    return str(device)
