"""The class that people import for video: frames in, frames in colour out."""

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from PIL import Image

from ..colorize.colorizer import Colorizer
from ..colorize.engine import working_size
from ..device import cores
from ..files import sha256
from ..modeling.weights import find_weights
from . import motion
from .ahead import ahead
from .planes import display_size, luma_of, pick_format, put_chroma, small_luma, with_luma_plane
from .shots import mark_shots
from .smoothing import smooth

WINDOW = 32  # frames that are smoothed at once
OVERLAP = 16  # frames before and after them that count as well
DUST = 24  # levels of normalised luma by which it differs from the frames around; less is grain, or blur
HELD_BYTES = 400_000_000  # of luma planes that wait for their window, at most
EVERY_FORMAT = tuple(f"yuv{c}p{d}" for c in (420, 422, 444) for d in ("", "9le", "10le", "12le", "14le", "16le"))


@dataclass
class Frame:
    "A frame on its way: what is known of it, or will be once the pool has come to it."

    index: int
    picture: av.VideoFrame
    luma: np.ndarray  # small, as the network sees it
    normalized: np.ndarray
    exposure: motion.Exposure
    begins_shot: bool = True
    motion: Future | None = None
    clean: Future | None = None
    trust: Future | None = None
    chroma: Future | None = None


class VideoColorizer:
    """Puts steady colour on the frames of a video.

        from deoldify_lite.video import VideoColorizer
        for frame in VideoColorizer().colorize(container.decode(video=0)):
            container_out.mux(stream.encode(frame))

    The network predicts chroma at a small size, frame by frame. Within a shot it is then averaged along the motion,
    forwards and backwards, and goes onto each frame's own Y plane, which stays as it is. What is held in memory does
    not depend on how long the video or a shot is. The result is a function of the frames alone: neither the number of
    cores nor where the work was interrupted changes it.

    Args:
        weights, device, precision: as for `Colorizer`.
        render_factor: as for `Colorizer`; None for what the weights record, however large the frames: there are many.
        strength: 0 gives grey, 1 the colours as predicted, more exaggerates.
        stabilize: False for every frame on its own.
        colorizer: one that is loaded already, of these `weights`; device and precision are its own.

    Raises:
        BadWeights, DeviceUnavailable: as for `Colorizer`.
    """

    def __init__(
        self,
        weights: str | Path = "lite",
        device: str = "auto",
        precision: str = "auto",
        render_factor: int | None = None,
        strength: float = 1.0,
        stabilize: bool = True,
        colorizer: Colorizer | None = None,
    ):
        self.colorizer = colorizer or Colorizer(weights, device, precision)
        self.render_factor = self.colorizer.valid_render_factor(render_factor) or self.colorizer.engine.render_factor
        self.weights, self.strength = weights, strength
        self.stabilize = stabilize

    def settings(self) -> dict[str, Any]:
        "All that decides the colours: the weights by their hash."
        engine = self.colorizer.engine
        return {
            "weights": sha256(find_weights(self.weights)),
            "device": str(engine.device),
            "precision": str(engine.precision),
            "render_factor": self.render_factor,
            "strength": self.strength,
            "stabilize": self.stabilize,
        }

    def colorize(
        self,
        frames: Iterable[av.VideoFrame],
        pixel_aspect: Fraction | None = None,
        turns: int = 0,
        formats: tuple[str, ...] = EVERY_FORMAT,
    ) -> Iterator[av.VideoFrame]:
        """The frames in colour, in order, one for each.

        Args:
            frames: of one size; any pixel format. They should be progressive.
            pixel_aspect: width of a pixel divided by its height.
            turns: quarters of a turn, counterclockwise, that make the frames upright for the network.
            formats: pixel formats that may come out; the one nearest to what comes in is taken.
        """
        for frame, _ in self.colorize_from(0, frames, pixel_aspect, turns, formats):
            yield frame

    def colorize_from(
        self,
        first: int,
        frames: Iterable[av.VideoFrame],
        pixel_aspect: Fraction | None = None,
        turns: int = 0,
        formats: tuple[str, ...] = EVERY_FORMAT,
        number: int = 0,
        shots: Collection[int] | None = None,
    ) -> Iterator[tuple[av.VideoFrame, bool]]:
        """As `colorize`, but only from frame `first` on, and each frame with whether `first` may be it.

        All frames from the beginning are needed, since from them follows where shots begin; or it is known.

        Args:
            number: the number of the first of `frames`, from where `reading_begins` on.
            shots: the numbers of those that begin a shot, where it is known; None to find out.
        """
        cv2.setNumThreads(1)  # frames are done side by side; and flow would depend on the number of threads
        count, threads = cores(), torch.get_num_threads()
        with (
            ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as analysts,
            ThreadPoolExecutor(count) as mergers,
            closing(ahead(self.read(frames, pixel_aspect, turns, number), 8)) as reading,
            closing(ahead(self._windows(self.mark(reading, shots), first, analysts), 1)) as windows,
            closing(ahead(self._merge(windows, turns, formats, mergers), 4)) as merged,
        ):
            try:
                yield from merged
            finally:
                analysts.shutdown(wait=False, cancel_futures=True)
                torch.set_num_threads(threads)  # the analysts' number is that of all threads that begin later

    def read(
        self, frames: Iterable[av.VideoFrame], pixel_aspect: Fraction | None = None, turns: int = 0, number: int = 0
    ) -> Iterator[Frame]:
        "The frames as the network sees them, counted from `number` on."
        size = None
        for index, picture in enumerate(frames, number):
            picture = with_luma_plane(picture)
            size = size or working_size(display_size(picture, pixel_aspect, turns), self.render_factor)
            luma = small_luma(picture, size, turns)
            yield Frame(index, picture, luma, *motion.normalize_exposure(luma))

    def mark(self, frames: Iterable[Frame], shots: Collection[int] | None = None) -> Iterator[Frame]:
        "The frames, with whether each begins a shot: where it is not known, some frames behind."
        if not self.stabilize:
            marked = ((frame, True) for frame in frames)
        elif shots is None:
            marked = mark_shots(frames, lambda frame: frame.normalized)
        else:
            marked = ((frame, frame.index in shots) for frame in frames)
        for frame, begins_shot in marked:
            frame.begins_shot = begins_shot
            yield frame

    def _windows(
        self, frames: Iterator[Frame], first: int, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[list[Frame], int, int]]:
        """Runs of frames of one shot, and from which to which of them is to be done: the others are around them.

        Frames overlap, so that a long shot is done in pieces of which nobody sees the ends.
        """
        held: list[Frame] = []
        start = 0
        for frame in self._analyze(frames, first, pool):
            window, overlap = window_lengths(frame.picture)
            if frame.begins_shot:
                yield from _last_windows(held, start, window, overlap, first)
                held, start = [], 0
            held.append(frame)
            if len(held) == start + window + overlap:
                if held[start].index >= first:
                    yield held.copy(), start, start + window
                start += window
                gone = max(0, start - overlap)
                del held[:gone]
                start -= gone
        if held:
            yield from _last_windows(held, start, window, overlap, first)

    def _analyze(self, frames: Iterator[Frame], first: int, pool: ThreadPoolExecutor) -> Iterator[Frame]:
        "The same frames, with their work handed to the pool, as far as it is needed from `first` on."
        before = previous = None
        for frame in frames:
            frame.begins_shot |= previous is None
            needed = frame.index >= first - OVERLAP
            if needed and not frame.begins_shot:
                frame.motion = pool.submit(motion.estimate_motion, previous.normalized, frame.normalized)
            if previous is not None:
                self._predict(before, previous, None if frame.begins_shot else frame, first, pool)
                yield previous
            before, previous = None if frame.begins_shot else previous, frame
        if previous is not None:
            self._predict(before, previous, None, first, pool)
            yield previous

    def _predict(
        self, before: Frame | None, frame: Frame, after: Frame | None, first: int, pool: ThreadPoolExecutor
    ) -> None:
        "Hand a frame's chroma to the pool, and its trust. The pool begins work in order, so none waits for later work."
        if frame.index < first - OVERLAP:
            return
        frame.clean = pool.submit(_clean, before, frame, after)
        frame.chroma = pool.submit(self._chroma, frame)
        if before is not None and before.clean is not None:
            frame.trust = pool.submit(_trust, before, frame)

    def _chroma(self, frame: Frame) -> np.ndarray:
        "What the network makes of a frame: Cb and Cr, (h, w, 2)."
        dust = frame.normalized.astype(np.float32) - frame.clean.result()
        dust[np.abs(dust) < DUST] = 0
        luma = frame.luma - dust * (frame.exposure.deviation / motion.CONTRAST)
        luma = np.rint(luma).clip(0, 255).astype(np.uint8)
        engine = self.colorizer.engine
        chroma = engine.predict_chroma(engine.to_luma([Image.fromarray(luma)]))
        return np.ascontiguousarray(chroma[0].permute(1, 2, 0).cpu().numpy())

    def _merge(
        self,
        windows: Iterator[tuple[list[Frame], int, int]],
        turns: int,
        formats: tuple[str, ...],
        pool: ThreadPoolExecutor,
    ) -> Iterator[tuple[av.VideoFrame, bool]]:
        under_way: deque[tuple[Future, bool]] = deque()
        for frames, start, end in windows:
            chroma = [frame.chroma.result() for frame in frames]
            if self.stabilize:
                chroma = smooth(chroma, _results(frames, "motion"), _results(frames, "trust"))
            for number in range(start, end):
                picture = frames[number].picture
                target = pick_format(picture.format.name, picture.width, picture.height, formats)
                merged = pool.submit(put_chroma, picture, chroma[number] * self.strength, target, turns)
                under_way.append((merged, number == start))
                if len(under_way) > 2 * cores():
                    yield _taken(under_way)
        while under_way:
            yield _taken(under_way)


def window_lengths(picture: av.VideoFrame) -> tuple[int, int]:
    "Frames in a window, and around it: fewer where frames are very large."
    held = HELD_BYTES // luma_of(picture).nbytes
    return max(2, min(WINDOW, held // 3)), max(2, min(OVERLAP, held // 6))


def reading_begins(first: int, shot: int, picture: av.VideoFrame) -> int:
    """From which frame on those have to be read that the colours of frame `first` depend on.

    `shot`: where its shot begins. One frame more than the overlap has to be clean of dust, for which it takes another.
    """
    window, overlap = window_lengths(picture)
    return max(shot, first - math.ceil((overlap + 2) / window) * window)


def _last_windows(
    held: list[Frame], start: int, window: int, overlap: int, first: int
) -> Iterator[tuple[list[Frame], int, int]]:
    "What is left at the end of a shot."
    while start < len(held):
        end = min(start + window, len(held))
        if held[start].index >= first:
            before = max(0, start - overlap)
            yield held[before:], start - before, end - before
        start = end


def _clean(before: Frame | None, frame: Frame, after: Frame | None) -> np.ndarray:
    if before is None or after is None:
        return frame.normalized
    to_previous, to_following = frame.motion.result().to_previous, after.motion.result().from_previous
    return motion.remove_dust(frame.normalized, before.normalized, after.normalized, to_previous, to_following)


def _trust(before: Frame, frame: Frame) -> motion.Trust:
    return motion.estimate_trust(frame.motion.result(), before.clean.result(), frame.clean.result())


def _results(frames: list[Frame], what: str) -> list:
    "The first frame of a window has what leads to it, or not, which is not needed."
    return [None, *(getattr(frame, what).result() for frame in frames[1:])]


def _taken(under_way: deque[tuple[Future, bool]]) -> tuple[av.VideoFrame, bool]:
    merged, may_be_first = under_way.popleft()
    return merged.result(), may_be_first
