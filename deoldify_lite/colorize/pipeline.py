"""Colorizing many photos: reading, network and writing side by side, and no file that stops the rest."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from ..device import cores
from ..errors import DeoldifyError
from ..files import is_folder
from ..photo import MAX_PIXELS, BadPhoto, Photo, count_pixels, open_photo, save_photo, takes_ycbcr
from .colorizer import Colorizer
from .engine import Engine
from .folder import Job, Result
from .hints import BadHints, Hint, hints_beside, read_hints
from .pages import colorize_pages, has_pages
from .prepared import PreparedPhoto

if TYPE_CHECKING:
    from .matching import Reference

MAX_WORKERS = 16
QUEUED_PER_WORKER = 4  # photos that were started and have no result yet, for each worker
PIXELS_AT_ONCE = 60_000_000  # of all such photos together; one that has more is processed alone
BATCH_PIXELS = 320_000  # of the photos that go through the network together
LIGHT = 0.5  # seconds of one core: a network that takes less for a photo counts as light


def colorize_all(
    jobs: Iterable[Job],
    colorizer: Colorizer,
    *,
    overwrite: bool = False,
    render_factor: int | None = None,
    strength: float = 1.0,
    max_pixels: int = MAX_PIXELS,
    like: "Reference | None" = None,
    variants: int = 1,
) -> Iterator[Result]:
    """Do the jobs; a `Result` for each, in order. No file, however broken, stops the rest.

    A photo with hints beside it (`hints.hints_beside`) is colorized with them. `like`: a reference whose colours all
    photos take. `variants`: how many results to write for each photo, at the paths of `Job.outputs`.

    Photos are read and written in the background while the network works. A light network on a CPU works on several
    photos at once, one on each core; another, or a GPU, on those together whose inputs have one size. The pixels in
    memory are limited, however many and however large the photos are. A result is written atomically: it is complete
    or not there at all, so what exists is skipped unless `overwrite`.
    """
    engine = colorizer.engine
    todo = iter(jobs)
    claimed: dict[Path, Path] = {}
    workers = worker_count()
    budget = PixelBudget(PIXELS_AT_ONCE)
    factor = colorizer.valid_render_factor(render_factor)
    stopped = threading.Event()
    by_page = partial(
        colorize_pages,
        colorize=partial(colorizer.colorize_photo, strength=strength, render_factor=factor, like=like),
        max_pixels=max_pixels,
        keep_source=engine.needs_source,
        max_pages=engine.max_pages,
        stopped=stopped,
    )
    read = partial(
        _read,
        engine=engine,
        render_factor=factor,
        max_pixels=max_pixels,
        budget=budget,
        with_hints=bool(like) or variants > 1,
        by_page=by_page if variants == 1 else None,
    )
    write = partial(
        _write, engine=engine, strength=strength, budget=budget, like=like, variants=variants, overwrite=overwrite
    )
    threads = NetworkThreads()
    queue: deque[Item] = deque()
    # Two pools: readers wait for pixels that only writers release, so writers must never queue behind readers.
    with threads, ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        try:
            while True:
                while len(queue) < QUEUED_PER_WORKER * workers and (job := next(todo, None)):
                    queue.append(item := Item(job, _result_without_work(job, claimed, overwrite, variants)))
                    if not item.result:
                        item.reading = readers.submit(read, job)
                if not queue:
                    return
                for item in queue:
                    item.collect()
                while queue and queue[0].result:
                    yield queue.popleft().result
                ready = [item for item in queue if item.prepared]
                if ready and len(queue) > 1 and threads.light and engine.device.type == "cpu":
                    for item in ready:
                        item.writing = writers.submit(_predict_and_write, item.job, item.prepared, engine, write)
                        item.prepared = None
                elif batch := _next_batch(ready):
                    with threads.limited(len(batch), alone=len(queue) == len(batch)):
                        predictions = _predict(engine, [item.prepared for item in batch])
                    for item, prediction in zip(batch, predictions):
                        item.writing = writers.submit(write, item.job, item.prepared, prediction)
                        item.prepared = None
                elif running := [item.reading or item.writing for item in queue if not item.result]:
                    wait(running, return_when=FIRST_COMPLETED)
        finally:
            stopped.set()
            budget.lift()
            for item in queue:
                if begun := item.reading or item.writing:
                    begun.cancel()


def worker_count() -> int:
    "How many photos are read, and how many written, at a time: one more than cores, for they also wait for the disk."
    return min(cores() + 1, MAX_WORKERS)


@dataclass
class Prepared:
    """A photo that was read and waits for the network.

    pixels: its share of the budget.
    hints: for it; None where it is colorized as the network predicts it.
    """

    photo: Photo
    model_input: Image.Image
    started: float
    pixels: int
    hints: list[Hint] | None = None


@dataclass
class Item:
    "A photo in the queue: being read, prepared, being written, or done."

    job: Job
    result: Result | None = None
    reading: Future | None = None
    prepared: Prepared | None = None
    writing: Future | None = None

    def collect(self) -> None:
        "Take over what a worker has finished."
        if self.reading and self.reading.done():
            outcome = self.reading.result()
            self.reading = None
            if isinstance(outcome, Prepared):
                self.prepared = outcome
            else:
                self.result = outcome
        elif self.writing and self.writing.done():
            self.result = self.writing.result()
            self.writing = None


class PixelBudget:
    "Limits the pixels in memory. A photo that is larger than the limit waits until it is the only one."

    def __init__(self, pixels: int):
        self.limit, self.used = pixels, 0
        self.changed = threading.Condition()

    def acquire(self, pixels: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.used == 0 or self.used + pixels <= self.limit)
            self.used += pixels

    def release(self, pixels: int) -> None:
        with self.changed:
            self.used -= pixels
            self.changed.notify_all()

    def lift(self) -> None:
        "Remove the limit, so that every worker that waits can end."
        with self.changed:
            self.limit = float("inf")
            self.changed.notify_all()


class NetworkThreads:
    """How many threads the network computes with: all, unless it is light and other photos are processed beside it.

    Threads wait for each other after every layer. Where the cores also read and write photos, they wait long, and
    busily. A light network is fastest on one core, with the others at work on other photos.

    As a context it ends with all again, also for threads that begin later.

    light: whether the network takes little time for a photo; False until it has been measured.
    """

    def __init__(self):
        self.all, self.seconds = torch.get_num_threads(), float("inf")

    def __enter__(self) -> "NetworkThreads":
        return self

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self.all)

    @property
    def light(self) -> bool:
        return self.seconds < LIGHT

    @contextmanager
    def limited(self, photos: int, alone: bool) -> Iterator[None]:
        "Around a call of the network on so many photos; `alone` if no others are being processed."
        count = 1 if self.light and not alone else self.all
        torch.set_num_threads(count)
        started = time.monotonic()
        try:
            yield
        finally:
            # The minimum so far: other work on the same cores makes a call seem up to ten times as long.
            self.seconds = min(self.seconds, (time.monotonic() - started) * count / photos)
            torch.set_num_threads(self.all)


def _result_without_work(job: Job, claimed: dict[Path, Path], overwrite: bool, variants: int) -> Result | None:
    "A result at once where nothing is to be done: the output exists, or belongs to another photo."
    other = claimed.setdefault(job.output, job.input)
    if other != job.input:
        return _failed(job, f"its result would replace that of {other}")
    try:
        outputs = job.outputs(variants)
        if not overwrite and all(path.is_file() for path in outputs):
            return Result(str(job.input), str(outputs[0]), "skipped")
        if replaced := [path for path in outputs if path.exists() and path.samefile(job.input)]:
            return _failed(job, f"{replaced[0]} is the original; name another folder for the results")
    except OSError as error:  # a name that is too long once .png is added to it
        return _failed(job, error)
    return None


def _read(
    job: Job,
    *,
    engine: Engine,
    render_factor: int | None,
    max_pixels: int,
    budget: PixelBudget,
    with_hints: bool,
    by_page: Callable[[Job], Result] | None,
) -> Prepared | Result:
    "Read a photo. A file of several pages is done as a whole, by `by_page`."
    started, pixels = time.monotonic(), count_pixels(job.input)
    budget.acquire(pixels)
    prepared = None
    try:
        if is_folder(job.input):
            raise BadPhoto("a folder that cannot be listed")
        if has_pages(job):
            if not by_page or (engine.takes_hints and (job.hints or hints_beside(job.input))):
                raise BadHints("hints and variants are for files of one picture, not for pages")
            return by_page(job)
        photo = engine.restore_first(open_photo(job.input, max_pixels, keep_source=engine.needs_source))
        hints = _hints_for(job, photo, engine)
        if with_hints and hints is None:
            hints = []
        prepared = Prepared(photo, engine.preprocess(photo, render_factor), started, pixels, hints)
        return prepared
    except Exception as error:
        return _failed(job, error)
    finally:
        if not prepared:
            budget.release(pixels)


def _hints_for(job: Job, photo: Photo, engine: Engine) -> list[Hint] | None:
    "The hints in the job's file, or in the one beside the photo; None where there is neither."
    file = job.hints or hints_beside(job.input)
    if file is None or engine.takes_hints is None:
        return None
    if not engine.takes_hints:
        photo.notes.append(f"{file.name} was not used: DeOldify's way has no hints")
        return None
    hints, notes = read_hints(file, photo.size)
    photo.notes += [f"colorized with {file.name}", *notes]
    return hints


def _next_batch(items: list[Item]) -> list[Item]:
    "The first item and those that can go through the network with it; one with hints goes alone."
    if not items:
        return []
    if items[0].prepared.hints is not None:
        return items[:1]
    width, height = size = items[0].prepared.model_input.size
    most = max(1, BATCH_PIXELS // (width * height))
    alike = (item for item in items if item.prepared.hints is None and item.prepared.model_input.size == size)
    return list(islice(alike, most))


def _predict(engine: Engine, batch: list[Prepared]) -> list[Any]:
    "What the engine predicts for some photos, with an exception in the place of one that fails."
    try:
        if batch[0].hints is not None:
            return [engine.predict_with_features(batch[0].model_input)]
        return engine.predict([each.model_input for each in batch])
    except Exception as error:
        if len(batch) == 1:
            return [error]
        return [prediction for each in batch for prediction in _predict(engine, [each])]


def _predict_and_write(job: Job, prepared: Prepared, engine: Engine, write: Callable[..., Result]) -> Result:
    "The rest of the work on a photo, on one core."
    torch.set_num_threads(1)
    return write(job, prepared, *_predict(engine, [prepared]))


def _write(
    job: Job,
    prepared: Prepared,
    prediction: Any,
    *,
    engine: Engine,
    strength: float,
    budget: PixelBudget,
    like: "Reference | None",
    variants: int,
    overwrite: bool,
) -> Result:
    photo, for_jpeg, written = prepared.photo, takes_ycbcr(job.output), []
    try:
        if isinstance(prediction, Exception):
            raise prediction
        if prepared.hints is None:
            save_photo(engine.merge(photo, prediction, strength, for_jpeg), photo, job.output)
            engine.save_beside(prediction, job.output)
        else:
            changed = PreparedPhoto(engine, photo, prepared.model_input, *prediction)
            for output, each in zip(job.outputs(variants), changed.variants(variants, prepared.hints, like)):
                if variants > 1 and output.is_file() and not overwrite:
                    photo.notes.append(f"{output} was there before and stayed")
                    continue
                save_photo(changed.pixels(each, strength, for_jpeg=for_jpeg), photo, output)
                written.append(output)
    except Exception as error:
        return _failed(job, error)
    finally:
        budget.release(prepared.pixels)
    return Result.done(job, photo, prepared.started, written if variants > 1 else ())


def _failed(job: Job, error: Exception | str) -> Result:
    if isinstance(error, (DeoldifyError, str)):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "too large for this machine's memory"
    elif isinstance(error, OSError) and error.strerror:
        message = f"could not be written: {error.strerror}"
    else:
        message = f"{type(error).__name__}: {error}"
    return Result(str(job.input), str(job.output), "failed", message)
