"""A folder of JPEGs from end to end, beside the least that it could cost.

That floor is the network, decoding and encoding, each measured alone, their processor time divided by the cores.
"""

import io
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from deoldify_lite.colorize.folder import Job, find_jobs
from deoldify_lite.colorize.pipeline import colorize_all
from deoldify_lite.device import cores
from deoldify_lite.photo import save_photo, takes_ycbcr
from deoldify_lite.photo.writing import OPTIONS

from .configuration import Configuration
from .engine import batch_sizes
from .photos import KINDS, make_folder
from .results import BenchmarkFailed, Result, ratio, timed

TARGET = "target for 12 megapixels: at most 1.3"


@dataclass
class Times:
    """One run of everything, in seconds a photo. Processor time, but for those that say `by_clock`.

    end_to_end: the folder as the command does it, all at the same time. The rest is measured alone:
    network: the cheapest of some batch sizes.
    decoding: Pillow decodes the file to what it holds.   encoding: Pillow encodes the finished picture.
    reading, merging, writing: what the command does instead, between file and network.
    """

    end_to_end_by_clock: float = 0.0
    end_to_end: float = 0.0
    network_by_clock: float = 0.0
    network: float = 0.0
    decoding: float = 0.0
    encoding: float = 0.0
    reading: float = 0.0
    merging: float = 0.0
    writing: float = 0.0

    def floor(self, cores: int, network_elsewhere: bool = False) -> float:
        "Seconds a photo takes at the least. A network elsewhere, on a GPU, works beside the cores."
        codecs = (self.decoding + self.encoding) / cores
        if network_elsewhere:
            return max(codecs, self.network_by_clock)
        return codecs + self.network / cores

    def unused(self, cores: int) -> float:
        "The fraction of the cores' time in which they did nothing for the folder."
        return 1 - self.end_to_end / (self.end_to_end_by_clock * cores)

    def rest(self, network_elsewhere: bool = False) -> float:
        "Processor time of the folder that none of its parts takes when measured alone."
        network = 0 if network_elsewhere else self.network
        return self.end_to_end - self.reading - network - self.merging - self.writing


def measure_folder(
    configuration: Configuration, scratch: Path, count: int, megapixels: float, mode: str, repeats: int
) -> list[Result]:
    "Results for `count` photos in mode L or RGB; the folder is done once before, to warm up."
    source = make_folder(scratch / "photos", count, megapixels, mode)
    try:
        runs = [time_folder(configuration, source, scratch / f"colour {i}") for i in range(repeats + 1)][1:]
        size = statistics.mean(photo.stat().st_size for photo in source.iterdir()) / 1e6
    finally:
        shutil.rmtree(source)
    title = f"folder: {count} {KINDS[mode]} JPEGs of {megapixels:g} megapixels, {size:.2g} MB each; {configuration}"
    about = configuration.about | {"photos": count, "megapixels": megapixels, "mode": mode, "megabytes": size}
    return folder_results(title, runs, cores(), not configuration.about["device"].startswith("cpu"), about)


def time_folder(configuration: Configuration, source: Path, target: Path) -> Times:
    "Do the folder `source` as the command does, then each part of the work alone; `target` goes away again."
    times, inputs = Times(), []
    try:
        jobs = find_jobs(source, target)
        times.end_to_end_by_clock, times.end_to_end, results = timed(
            lambda: list(colorize_all(jobs, configuration.colorizer))
        )
        for result in results:
            if result.status != "done":
                raise BenchmarkFailed(f"{result.input}: {result.error or result.status}")
        for job in jobs:
            times.decoding += timed(lambda job=job: _decode(job.input))[1]
            _, seconds, x = timed(lambda job=job: configuration.preprocess(configuration.read(job.input)))
            times.reading += seconds
            inputs.append(x)
        times.network_by_clock, times.network, outputs = min(
            (timed(lambda n=n: _predict(configuration, inputs, n)) for n in batch_sizes(inputs[0].size)),
            key=lambda t: t[1],
        )
        for job, output in zip(jobs, outputs):
            _time_output(configuration, job, output, times)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return Times(*(seconds / len(jobs) for seconds in vars(times).values()))


def _decode(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _predict(configuration: Configuration, inputs: list[Image.Image], most: int) -> list[Any]:
    "The network's output for each input; `most` of one size at a time."
    outputs: dict[int, Any] = {}
    for size in sorted({x.size for x in inputs}):
        alike = [i for i, x in enumerate(inputs) if x.size == size]
        for start in range(0, len(alike), most):
            batch = alike[start : start + most]
            outputs |= zip(batch, configuration.predict([inputs[i] for i in batch]))
    return [outputs[i] for i in range(len(inputs))]


def _time_output(configuration: Configuration, job: Job, output: Any, times: Times) -> None:
    "Add the processor seconds of merging, of writing, and of encoding alone what was written."
    photo = configuration.read(job.input)
    for_jpeg = takes_ycbcr(job.output)
    _, merging, colour = timed(lambda: configuration.merge(photo, output, for_jpeg=for_jpeg))
    times.merging += merging
    times.writing += timed(lambda: save_photo(colour, photo, job.output))[1]
    with Image.open(job.output) as finished:
        kind = finished.format
        finished.draft("YCbCr", finished.size)  # what a JPEG is made of, so that encoding is all there is to do
        finished.load()
        times.encoding += timed(lambda: finished.save(io.BytesIO(), kind, **OPTIONS.get(kind, {})))[1]


def folder_results(
    title: str, runs: Sequence[Times], cores: int, network_elsewhere: bool, about: dict[str, Any]
) -> list[Result]:
    "Speed, ratio to the floor, and the parts of both."
    by_clock = [run.end_to_end_by_clock for run in runs]
    floors = [run.floor(cores, network_elsewhere) for run in runs]

    def ms(what: str, seconds: list[float], note: str = "") -> Result:
        return Result(title, what, "ms", [1000 * s for s in seconds], note, about)

    def part(what: str, name: str, note: str = "") -> Result:
        return ms(what, [getattr(run, name) for run in runs], note)

    unused = [100 * run.unused(cores) for run in runs]
    ratios = [ratio(title, "end to end / floor", by_clock, floors, note=TARGET, about=about)]
    if network_elsewhere:
        network = part("  network alone, by the clock", "network_by_clock")
    else:
        network = part("  network alone", "network")
        busy, note = [run.end_to_end / cores for run in runs], "as if no core ever waited, nor did anything else"
        ratios.append(ratio(title, "  in processor time", busy, floors, note=note, about=about))
    return [
        Result(title, "end to end", "photos/s", [1 / seconds for seconds in by_clock], about=about),
        ms("end to end, a photo", by_clock),
        ms("floor, a photo", floors, f"the parts' processor time, divided by {cores} cores"),
        network,
        part("  decoding alone", "decoding"),
        part("  encoding alone", "encoding"),
        *ratios,
        Result(title, "cores not used", "%", unused, "waiting, or used by other programs", about),
        part("processor time end to end", "end_to_end"),
        part("  reading alone", "reading", "decoding, and the network's input"),
        part("  merging alone", "merging"),
        part("  writing alone", "writing", "encoding, metadata, onto the disk"),
        ms("  the rest, less the network", [r.rest(network_elsewhere) for r in runs], "the parts together"),
    ]
