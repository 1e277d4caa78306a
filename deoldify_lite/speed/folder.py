"""A folder of JPEGs from end to end, beside the least that it could cost.

That floor is the network, decoding and encoding, each measured alone, their processor time shared out over the cores.
"""

import io
import shutil
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..colorize.folder import Job, find_jobs
from ..colorize.pipeline import colorize_all
from ..device import cores
from ..photo import open_photo, save_photo, takes_ycbcr
from ..photo.writing import OPTIONS
from .network import batch_sizes
from .photos import KINDS, make_folder
from .rows import MeasurementFailed, Row, ratio_row, timed
from .setup import Setup

TARGET = "target for 12 megapixels: at most 1.3"


@dataclass(frozen=True)
class Turn:
    """One measurement of everything, in seconds a photo. Of processor time, but for those that say `by_clock`.

    end_to_end: the folder as the command does it, all at the same time. The rest is measured alone:
    network: the cheapest of some batch sizes.
    decoding: Pillow decodes the file to what it holds.   encoding: Pillow encodes the finished picture.
    reading, merging, writing: what the command does instead, between file and network.
    """

    end_to_end_by_clock: float
    end_to_end: float
    network_by_clock: float
    network: float
    decoding: float
    encoding: float
    reading: float
    merging: float
    writing: float

    def floor(self, cores: int, network_elsewhere: bool = False) -> float:
        "Seconds a photo takes at the least. A network elsewhere, on a GPU, works beside the cores."
        codecs = (self.decoding + self.encoding) / cores
        if network_elsewhere:
            return max(codecs, self.network_by_clock)
        return codecs + self.network / cores

    def unused(self, cores: int) -> float:
        "The share of the cores' time in which they did nothing for the folder."
        return 1 - self.end_to_end / (self.end_to_end_by_clock * cores)

    def rest(self, network_elsewhere: bool = False) -> float:
        "Processor time of the folder that none of its parts takes when measured alone."
        network = 0 if network_elsewhere else self.network
        return self.end_to_end - self.reading - network - self.merging - self.writing


def measure_folder(setup: Setup, scratch: Path, count: int, megapixels: float, mode: str, repeats: int) -> list[Row]:
    "Rows for `count` photos in mode L or RGB; the folder is done once before, to warm up."
    source = make_folder(scratch / "photos", count, megapixels, mode)
    try:
        turns = [take_turn(setup, source, scratch / f"colour {i}") for i in range(repeats + 1)][1:]
        size = statistics.mean(photo.stat().st_size for photo in source.iterdir()) / 1e6
    finally:
        shutil.rmtree(source)
    title = f"folder: {count} {KINDS[mode]} JPEGs of {megapixels:g} megapixels, {size:.2g} MB each; {setup}"
    about = setup.about | {"photos": count, "megapixels": megapixels, "mode": mode, "megabytes": size}
    return rows(title, turns, cores(), not setup.about["device"].startswith("cpu"), about)


def take_turn(setup: Setup, source: Path, target: Path) -> Turn:
    "Do the folder `source` as the command does, then each part of the work alone; `target` goes away again."
    try:
        jobs = find_jobs(source, target)
        by_clock, processor, results = timed(lambda: list(colorize_all(jobs, setup.colorizer)))
        for result in results:
            if result.status != "done":
                raise MeasurementFailed(f"{result.input}: {result.error or result.status}")
        alone = {"network_by_clock": 0.0} | dict.fromkeys(
            ("network", "decoding", "encoding", "reading", "merging", "writing"), 0.0
        )
        looks = []
        for job in jobs:
            alone["decoding"] += timed(lambda job=job: _decode(job.input))[1]
            _, seconds, look = timed(lambda job=job: _read(setup, job.input))
            alone["reading"] += seconds
            looks.append(look)
        alone["network_by_clock"], alone["network"], painted = min(
            (timed(lambda n=n: _paint(setup, looks, n)) for n in batch_sizes(looks[0].size)), key=lambda t: t[1]
        )
        for job, chroma in zip(jobs, painted):
            merging, writing, encoding = _finish(setup, job, chroma)
            alone["merging"] += merging
            alone["writing"] += writing
            alone["encoding"] += encoding
    finally:
        shutil.rmtree(target, ignore_errors=True)
    n = len(jobs)
    return Turn(by_clock / n, processor / n, **{name: seconds / n for name, seconds in alone.items()})


def _decode(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _read(setup: Setup, path: Path) -> Image.Image:
    photo = open_photo(path, keep_source=setup.squash)
    return setup.colorizer.engine.preprocess(photo, setup.colorizer.render_factor)


def _paint(setup: Setup, looks: list[Image.Image], most: int) -> list[Any]:
    "What the network makes of each look; `most` of one size at a time."
    painted: dict[int, Any] = {}
    for size in sorted({look.size for look in looks}):
        alike = [i for i, look in enumerate(looks) if look.size == size]
        for start in range(0, len(alike), most):
            batch = alike[start : start + most]
            painted |= zip(batch, setup.colorizer.engine.predict([looks[i] for i in batch]))
    return [painted[i] for i in range(len(looks))]


def _finish(setup: Setup, job: Job, painted: Any) -> tuple[float, float, float]:
    "Processor seconds of merging, of writing, and of encoding alone what was written."
    photo = open_photo(job.input, keep_source=setup.squash)
    for_jpeg = takes_ycbcr(job.output)
    _, merging, colour = timed(lambda: setup.colorizer.engine.merge(photo, painted, for_jpeg=for_jpeg))
    writing = timed(lambda: save_photo(colour, photo, job.output))[1]
    with Image.open(job.output) as finished:
        kind = finished.format
        finished.draft("YCbCr", finished.size)  # what a JPEG is made of, so that encoding is all there is to do
        finished.load()
        encoding = timed(lambda: finished.save(io.BytesIO(), kind, **OPTIONS.get(kind, {})))[1]
    return merging, writing, encoding


def rows(title: str, turns: Iterable[Turn], cores: int, network_elsewhere: bool, about: dict[str, Any]) -> list[Row]:
    "What the turns say: speed, ratio to the floor, and the parts of both."
    turns = list(turns)
    by_clock = [turn.end_to_end_by_clock for turn in turns]
    floors = [turn.floor(cores, network_elsewhere) for turn in turns]

    def row(what: str, unit: str, values: Iterable[float], note: str = "") -> Row:
        return Row(title, what, unit, list(values), note, about)

    def ms(what: str, seconds: Iterable[float], note: str = "") -> Row:
        return row(what, "ms", (1000 * s for s in seconds), note)

    def ratio(what: str, seconds: list[float], note: str) -> Row:
        return ratio_row(title, what, seconds, floors, note=note, about=about)

    ratios = [ratio("end to end / floor", by_clock, TARGET)]
    if network_elsewhere:
        network = ms("  network alone, by the clock", (turn.network_by_clock for turn in turns))
    else:
        network = ms("  network alone", (turn.network for turn in turns))
        busy = [turn.end_to_end / cores for turn in turns]
        ratios.append(ratio("  in processor time", busy, "as if no core ever waited, nor did anything else"))
    return [
        row("end to end", "photos/s", (1 / seconds for seconds in by_clock)),
        ms("end to end, a photo", by_clock),
        ms("floor, a photo", floors, f"the parts' processor time, shared out over {cores} cores"),
        network,
        ms("  decoding alone", (turn.decoding for turn in turns)),
        ms("  encoding alone", (turn.encoding for turn in turns)),
        *ratios,
        row("cores not used", "%", (100 * turn.unused(cores) for turn in turns), "waiting, or had by other programs"),
        ms("processor time end to end", (turn.end_to_end for turn in turns)),
        ms("  reading alone", (turn.reading for turn in turns), "in place of decoding, and what the network sees"),
        ms("  merging alone", (turn.merging for turn in turns)),
        ms("  writing alone", (turn.writing for turn in turns), "encoding, metadata, onto the disk"),
        ms("  the rest, less the network", (turn.rest(network_elsewhere) for turn in turns), "the parts together"),
    ]
