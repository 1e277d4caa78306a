"""The work on many photos: reading, network and writing side by side, and no file that stops the rest."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..device import cores
from ..photo import MAX_PIXELS, BadPhoto, Photo, count_pixels, open_photo, save_photo, takes_ycbcr
from .colorizer import Colorizer
from .folder import Job, Result

MOST_WORKERS = 16
AHEAD = 4  # photos under way for each worker
PIXELS_AT_ONCE = 60_000_000  # of all photos under way together; one that has more goes alone
BATCH_PIXELS = 320_000  # that go through the network together
LIGHT = 0.5  # seconds of one core that a light network takes for a photo at most


def colorize_all(
    jobs: Iterable[Job],
    colorizer: Colorizer,
    *,
    overwrite: bool = False,
    strength: float = 1.0,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Result]:
    """Do the jobs; a `Result` for each, in order. No file, however broken, stops the rest.

    Photos are read and written in the background while the network works, and those of like shape go through it
    together. However many and however large they are, only so many pixels are held at once. A result is written
    atomically: it is there in full or not at all, so what exists is skipped unless `overwrite`.
    """
    todo = iter(jobs)
    claimed: dict[Path, Path] = {}
    workers = reading_and_writing()
    threads = Threads()
    room = Room(PIXELS_AT_ONCE)
    line: deque[Item] = deque()
    # Two pools: writers make room for readers, and must not stand in line behind readers who wait for it.
    with ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        try:
            while True:
                while len(line) < AHEAD * workers and (job := next(todo, None)):
                    line.append(item := Item(job, _without_work(job, claimed, overwrite)))
                    if not item.result:
                        item.reading = readers.submit(_read, job, colorizer, max_pixels, room)
                if not line:
                    return
                for item in line:
                    item.look_after()
                while line and line[0].result:
                    yield line.popleft().result
                if batch := _like_shaped([item for item in line if item.read]):
                    with threads.shared_out(len(batch), alone=len(line) == len(batch)):
                        painted_ones = _paint([item.read.look for item in batch], colorizer)
                    for item, painted in zip(batch, painted_ones):
                        item.writing = writers.submit(_write, item.job, item.read, painted, colorizer, strength, room)
                        item.read = None
                elif under_way := [item.reading or item.writing for item in line if not item.result]:
                    wait(under_way, return_when=FIRST_COMPLETED)
        finally:
            room.open_wide()
            for item in line:
                if item.reading:
                    item.reading.cancel()


def reading_and_writing() -> int:
    "How many photos are read, and how many written, at a time: one more than cores, for they also wait for the disk."
    return min(cores() + 1, MOST_WORKERS)


@dataclass
class Read:
    "A photo that waits for the network."

    photo: Photo
    look: Image.Image
    began: float
    pixels: int


@dataclass
class Item:
    "A photo's place in the line: it is being read, then read, then being written, then there is a result."

    job: Job
    result: Result | None = None
    reading: Future | None = None
    read: Read | None = None
    writing: Future | None = None

    def look_after(self) -> None:
        "Take what a worker has finished."
        if self.reading and self.reading.done():
            outcome = self.reading.result()
            self.reading = None
            if isinstance(outcome, Read):
                self.read = outcome
            else:
                self.result = outcome
        elif self.writing and self.writing.done():
            self.result = self.writing.result()
            self.writing = None


class Room:
    "How many pixels are held at once. A photo that is larger than all of the room has it for itself."

    def __init__(self, pixels: int):
        self.pixels, self.taken = pixels, 0
        self.changed = threading.Condition()

    def enter(self, pixels: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.taken == 0 or self.taken + pixels <= self.pixels)
            self.taken += pixels

    def leave(self, pixels: int) -> None:
        with self.changed:
            self.taken -= pixels
            self.changed.notify_all()

    def open_wide(self) -> None:
        "Let all in who wait, so that they can end."
        with self.changed:
            self.pixels = float("inf")
            self.changed.notify_all()


class Threads:
    """How many threads the network computes with: all, unless it is light and other photos are under way beside it.

    Threads wait for each other after every layer, and where the cores have photos to read and write as well they wait
    long, busily. A light network is served best by one core, the others being kept at work by the other photos.
    """

    def __init__(self):
        self.all, self.seconds = torch.get_num_threads(), float("inf")

    @contextmanager
    def shared_out(self, photos: int, alone: bool) -> Iterator[None]:
        "Around a call of the network on so many photos."
        count = 1 if self.seconds < LIGHT and not alone else self.all
        torch.set_num_threads(count)
        began = time.monotonic()
        try:
            yield
        finally:
            # The least so far: other work on the same cores makes a call seem up to ten times as long.
            self.seconds = min(self.seconds, (time.monotonic() - began) * count / photos)
            torch.set_num_threads(self.all)


def _without_work(job: Job, claimed: dict[Path, Path], overwrite: bool) -> Result | None:
    "A result at once where there is no work: done before, or in the way of another photo."
    other = claimed.setdefault(job.output, job.input)
    if other != job.input:
        return _failed(job, f"its result would replace that of {other}")
    try:
        if job.output.is_file() and not overwrite:
            return Result(str(job.input), str(job.output), "skipped")
    except OSError as error:  # a name that is too long once .png is added to it
        return _failed(job, error)
    return None


def _read(job: Job, colorizer: Colorizer, max_pixels: int, room: Room) -> Read | Result:
    began, pixels = time.monotonic(), count_pixels(job.input)
    room.enter(pixels)
    try:
        if job.input.is_dir():
            raise BadPhoto("a folder that cannot be listed")
        photo = open_photo(job.input, max_pixels, keep_source=colorizer.squash)
        return Read(photo, colorizer.look(photo), began, pixels)
    except Exception as error:
        room.leave(pixels)
        return _failed(job, error)


def _like_shaped(items: list[Item]) -> list[Item]:
    "The first item and those that can go through the network with it."
    if not items:
        return []
    width, height = size = items[0].read.look.size
    most = max(1, BATCH_PIXELS // (width * height))
    return [item for item in items if item.read.look.size == size][:most]


def _paint(looks: list[Image.Image], colorizer: Colorizer) -> list[Any]:
    "What the network makes of some looks; an exception in the place of one that it fails at."
    try:
        return colorizer.paint(looks)
    except Exception as error:
        if len(looks) == 1:
            return [error]
        return [painted for look in looks for painted in _paint([look], colorizer)]


def _write(job: Job, read: Read, painted: Any, colorizer: Colorizer, strength: float, room: Room) -> Result:
    photo = read.photo
    try:
        if isinstance(painted, Exception):
            raise painted
        save_photo(colorizer.merge(photo, painted, strength, takes_ycbcr(job.output)), photo, job.output)
    except Exception as error:
        return _failed(job, error)
    finally:
        room.leave(read.pixels)
    seconds = round(time.monotonic() - read.began, 3)
    return Result(str(job.input), str(job.output), "done", None, photo.notes, *photo.size, seconds)


def _failed(job: Job, error: Exception | str) -> Result:
    if isinstance(error, (BadPhoto, str)):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "too large for this machine's memory"
    elif isinstance(error, OSError) and error.strerror:
        message = f"could not be written: {error.strerror}"
    else:
        message = f"{type(error).__name__}: {error}"
    return Result(str(job.input), str(job.output), "failed", message)
