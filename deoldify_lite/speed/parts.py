"The parts of the benchmark, one after the other."

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ..device import has_fast_bfloat16, pick_device, pick_precision
from .deoldify import check, compare
from .folder import measure_folder
from .fresh import measure_memory, measure_startup
from .network import measure_network, measure_peaks, profile
from .photos import KINDS, fitted
from .rows import Row
from .setup import Setup, find_or_make

PARTS = ("peak", "network", "deoldify", "folder", "startup", "memory", "profile")
THEIR_FACTOR = 35  # DeOldify's render factor
SEEN = (1024, 768)  # of the photo whose shape the network alone works with


@dataclass(frozen=True)
class Wanted:
    """What to measure.

    parts: of `PARTS`.
    weights: for the network alone; what else there is takes the first.
    render_factors, precisions: by default the generator's own and DeOldify's 35; float32, and bfloat16 where fast.
    megapixels: of the photos in folders.   photos: how many.   scan: megapixels of one large photo.
    checkout, checkout_weights: DeOldify and its weights, if any.
    """

    parts: tuple[str, ...]
    weights: tuple[str, ...] = ("lite", "deep")
    render_factors: tuple[int, ...] = ()
    precisions: tuple[str, ...] = ()
    device: str = "auto"
    repeats: int = 3
    megapixels: tuple[float, ...] = (0.8, 12)
    photos: int = 24
    scan: float = 100
    checkout: Path | None = None
    checkout_weights: Path | None = None


def measure(wanted: Wanted) -> Iterator[list[Row]]:
    """The rows of each part, as soon as there are some.

    Raises:
        ValueError, BadWeights, DeviceUnavailable: as `Colorizer` does.
        DeOldifyFailed, NoSamples, MeasurementFailed: see there.
    """
    if "deoldify" in wanted.parts:
        check(wanted.checkout, wanted.checkout_weights)
    device = pick_device(wanted.device)
    precisions = wanted.precisions or ("float32", *(["bfloat16"] if has_fast_bfloat16(device) else []))
    for precision in precisions:
        pick_precision(device, precision)  # at once, not when its turn comes
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        several = {"network", "profile"} & {*wanted.parts}
        generators = [find_or_make(name, scratch) for name in (wanted.weights if several else wanted.weights[:1])]

        def setups(weights: list[tuple[str, Path]], precisions: Sequence[str]) -> Iterator[Setup]:
            for (name, path), precision in product(weights, precisions):
                for factor in wanted.render_factors or (None,):
                    yield Setup(name, path, str(device), precision, factor)

        best = precisions[-1:]
        peaks = []
        if {"peak", "network"} & {*wanted.parts}:
            asked = [precision for precision in precisions if precision != "auto"]
            yield (peaks := measure_peaks(device, wanted.repeats, dict.fromkeys(("bfloat16", "float32", *asked))))
        if "network" in wanted.parts:
            for setup in setups(generators, precisions):
                yield measure_network(setup, fitted(SEEN), wanted.repeats, peaks)
                if not wanted.render_factors and setup.about["render_factor"] != THEIR_FACTOR:
                    yield measure_network(
                        replace(setup, render_factor=THEIR_FACTOR), fitted(SEEN), wanted.repeats, peaks
                    )
        if "profile" in wanted.parts:
            for setup in setups(generators, best):
                yield profile(setup, fitted(SEEN))
        if "deoldify" in wanted.parts:
            yield compare(
                wanted.checkout,
                scratch,
                lite=Setup(*generators[0]),
                weights=wanted.checkout_weights,
                device=device,
                precisions=precisions,
                render_factor=(wanted.render_factors or (THEIR_FACTOR,))[0],
                repeats=wanted.repeats,
            )
        if "folder" in wanted.parts:
            for setup in setups(generators[:1], precisions):
                for megapixels, mode in product(wanted.megapixels, KINDS):
                    yield measure_folder(setup, scratch, wanted.photos, megapixels, mode, wanted.repeats)
        first = next(setups(generators, best))
        if "startup" in wanted.parts:
            yield measure_startup(first, scratch, wanted.repeats)
        if "memory" in wanted.parts:
            yield measure_memory(first, scratch, wanted.photos, max(wanted.megapixels), wanted.scan, wanted.repeats)
