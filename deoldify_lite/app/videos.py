"""Colorizes videos for the page: limits, progress, cancelling, errors as sentences for visitors.

Knows nothing of Gradio.
"""

import contextlib
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import DeoldifyError
from .service import GONE, Refused, Service, Settings, check_settings, sentence_of

MODULES = ("av", "cv2", "scenedetect")  # which the extra `video` brings
MOST_FRAMES_A_SECOND = 60  # for which the minutes are meant: more frames than this take more time
EVERY = 0.5  # seconds between two reports of progress


@dataclass(frozen=True)
class Limits:
    "Of one video. No minutes: no videos."

    minutes: float = 5
    megabytes: int = 200

    def __str__(self) -> str:
        return f"At most {self.minutes:g} minutes and {self.megabytes} MB."

    def check(self, seconds: float | None, frames: int) -> None:
        """Whether a video, as long as is known, is within the limit.

        Raises:
            Refused: it is not.
        """
        if seconds and seconds > 60 * self.minutes + 1:
            raise Refused(f"too long: it takes {clock(seconds)}, and this page takes {self.minutes:g} minutes")
        most = 60 * self.minutes * MOST_FRAMES_A_SECOND
        if frames > most:
            raise Refused(f"too long: it has more than {most:,.0f} frames, which this page takes")


@dataclass(frozen=True)
class Progress:
    "Frames done of all, and the seconds that they took. `total` 0: not known yet."

    done: int
    total: int
    seconds: float

    @property
    def rate(self) -> float:
        "Frames a second."
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float | None:
        "Seconds that the rest will take, if it goes on like this."
        return (self.total - self.done) / self.rate if self.rate and self.total >= self.done else None


@dataclass(frozen=True)
class ColorizedVideo:
    "A video that was colorized: the result, and a small one of both side by side for the screen."

    result: Path
    preview: Path
    notes: tuple[str, ...]


class Cancelled(DeoldifyError):
    "The visitor does not want it any more."


class VideoService:
    """Colorizes videos with the models of a `Service`. Safe to call from several threads.

    Args:
        photos: whose models and folder of results are used.
        work: a folder for what is under way.
    """

    def __init__(self, photos: Service, work: Path, limits: Limits):
        self.photos, self.work, self.limits = photos, work, limits
        self._running: dict[threading.Thread, threading.Event] = {}

    @property
    def available(self) -> bool:
        "Whether the extra `video` is installed."
        return all(find_spec(name) is not None for name in MODULES)

    @property
    def offered(self) -> bool:
        return self.available and self.limits.minutes > 0

    def colorize(self, file: Path, settings: Settings) -> Iterator[Progress | ColorizedVideo]:
        """Colorize one video: its progress every now and then, and at last the result.

        Whoever stops listening (closes the iterator) stops the work, which then leaves nothing.

        Raises:
            Refused: not a video, too long, or settings that make no sense.
        """
        check_settings(settings)
        self.photos.colorizer(settings.model)
        task, stop = _Task(), threading.Event()
        thread = threading.Thread(target=self._run, args=(task, stop, file, settings), daemon=True)
        self._running[thread] = stop
        thread.start()
        try:
            while not wait([task.future], EVERY).done:
                yield task.progress
            yield task.future.result()
        finally:
            stop.set()

    def close(self, patience: float = 30) -> None:
        "Stop all work, and wait until it has tidied up."
        for stop in list(self._running.values()):
            stop.set()
        for thread in list(self._running):
            thread.join(patience)

    def _run(self, task: "_Task", stop: threading.Event, file: Path, settings: Settings) -> None:
        folder = self.work / secrets.token_hex(16)
        try:
            result = self._colorize(file, settings, folder, task, stop)
        except Exception as error:
            task.future.set_exception(_refusal(error))
        else:
            task.future.set_result(result)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            del self._running[threading.current_thread()]

    def _colorize(
        self, file: Path, settings: Settings, folder: Path, task: "_Task", stop: threading.Event
    ) -> ColorizedVideo:
        from ..colorize.folder import Job
        from ..video.containers import VIDEOS
        from ..video.job import colorize_file
        from ..video.preview import write_preview
        from ..video.reading import probe

        def stop_if_cancelled() -> None:
            if stop.is_set():
                raise Cancelled

        def progress(done: int, total: int) -> None:
            stop_if_cancelled()
            self.limits.check(None, done)
            task.note(done, total)

        source = _keep(file, folder / "upload")
        self.limits.check(probe(source).duration, 0)
        job = Job(source, folder / VIDEOS.output_name(file.name))
        done = colorize_file(job, self._colorizer(settings), progress=progress)
        write_preview(job.output, folder / "preview.mp4", stop_if_cancelled)
        stop_if_cancelled()
        kept = self.photos.folder / secrets.token_hex(16)
        (kept / "preview").mkdir(parents=True)
        preview = (folder / "preview.mp4").rename(kept / "preview" / "preview.mp4")
        return ColorizedVideo(job.output.rename(kept / job.output.name), preview, tuple(map(for_visitors, done.notes)))

    def _colorizer(self, settings: Settings) -> "object":
        from ..video.colorizer import VideoColorizer

        return VideoColorizer(
            self.photos.weights[settings.model],
            render_factor=settings.render_factor,
            strength=settings.strength,
            colorizer=self.photos.colorizer(settings.model),
        )


class _Task:
    "What a job says of itself while it runs."

    def __init__(self):
        self.future: Future = Future()
        self.progress = Progress(0, 0, 0.0)
        self._began: tuple[float, int] | None = None

    def note(self, done: int, total: int) -> None:
        self._began = self._began or (time.monotonic(), done)
        self.progress = Progress(done, max(done, total), time.monotonic() - self._began[0])


def _keep(file: Path, folder: Path) -> Path:
    "The upload under a second name, since uploads are deleted after an hour, and a video may take longer."
    if not file.is_file():
        raise Refused(GONE)
    folder.mkdir(parents=True)
    with contextlib.suppress(OSError):
        (folder / file.name).hardlink_to(file)
        return folder / file.name
    return Path(shutil.copy(file, folder))


def _refusal(error: Exception) -> Exception:
    from ..video.errors import BadVideo, BadVideoRequest, NoEncoder

    if isinstance(error, (Refused, Cancelled)):
        return error
    known = isinstance(error, (BadVideo, BadVideoRequest, NoEncoder)) and not isinstance(error.__cause__, OSError)
    return Refused(for_visitors(str(error)) if known else sentence_of(error, "video"))


def for_visitors(sentence: str) -> str:
    "Without advice for the command line."
    return re.sub(r"; [^;]*--\w.*$", "", sentence)


def clock(seconds: float) -> str:
    "`1:02` for 62 seconds, `1:00:00` for an hour."
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
