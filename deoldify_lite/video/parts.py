"""A result in parts, which a killed run finds again: a folder beside the result, one file for each run of windows."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from ..files import FolderInUse, lock_folder, remove_leftovers, write_atomically
from .containers import KEEP_TIMES, Plan, add_video_stream, encode
from .errors import BadVideo
from .reading import Video

SETTINGS = "settings.json"
FRAMES = 240  # in a part, at least, but for the last


class Parts:
    """The folder NAME.parts of a result NAME.

    Parts of other settings, or of another video, are removed. Only one process at a time works in it.

    Raises:
        BadVideo: another one does.
    """

    def __init__(self, target: Path, settings: dict[str, Any]):
        self.folder = folder_of(target.absolute())
        try:
            self._lock = lock_folder(self.folder)
        except FolderInUse as error:
            raise BadVideo(str(error)) from error
        remove_leftovers(self.folder)
        text = json.dumps(settings, sort_keys=True, indent=1)
        if self._read_settings() != text:
            for part in self.folder.glob("*.nut"):
                part.unlink()
            write_atomically(self.folder / SETTINGS, text)

    def _read_settings(self) -> str | None:
        with suppress(OSError, ValueError):
            return (self.folder / SETTINGS).read_text()
        return None

    def files(self) -> list[Path]:
        "The finished parts, in order, without a gap."
        ends = {}  # of two that begin with one frame, the longer one
        for path in sorted(self.folder.glob("*.nut")):
            begin, after = map(int, path.stem.split("-"))
            ends[begin] = after, path
        found, end = [], 0
        while end in ends:
            end, path = ends[end]
            found.append(path)
        return found

    def frames(self) -> int:
        "How many frames are done."
        files = self.files()
        return int(files[-1].stem.split("-")[1]) if files else 0

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def remove_last(self) -> None:
        if files := self.files():
            files[-1].unlink()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def path_of(folder: Path, begin: int, end: int) -> Path:
    "Of the part with the frames from `begin` to before `end`."
    return folder / f"{begin:09}-{end:09}.nut"


def is_long_enough(begin: int, end: int) -> bool:
    "Whether a part with these frames is complete, once another can begin."
    return end - begin >= FRAMES


def folder_of(target: Path) -> Path:
    return target.with_name(target.name + ".parts")


def remove_useless_parts(target: Path) -> None:
    """What a run left that was killed between finishing the result and tidying up.

    Parts that were begun after the result stay: they are of a run that is to replace it.
    """
    folder = folder_of(target)
    with suppress(OSError):
        if (folder / SETTINGS).stat().st_mtime_ns <= target.stat().st_mtime_ns:
            shutil.rmtree(folder, ignore_errors=True)


class PartWriter:
    """Encodes frames into parts; each is there as a whole or not at all.

    A part begins with a key frame, and NUT keeps any codec and the exact times.

    Args:
        folder: of the parts.
        begin: the number of the first frame.
    """

    def __init__(self, folder: Path, begin: int, plan: Plan, video: Video):
        self.folder, self.plan, self.video = folder, plan, video
        self.begin = self.end = begin
        self.container = self.stream = None

    @property
    def unfinished(self) -> Path:
        return self.folder / f"{self.begin:09}.unfinished"

    def write(self, frame: av.VideoFrame, may_begin: bool) -> None:
        "Add a frame. Where it may begin a part, and the one before is long enough, it does."
        if may_begin and is_long_enough(self.begin, self.end):
            self.finish()
        if self.container is None:
            self.container = av.open(str(self.unfinished), "w", format="nut", container_options=KEEP_TIMES)
            self.stream = add_video_stream(self.container, self.plan, self.video)
        self.container.mux(encode(self.stream, frame))
        self.end += 1

    def finish(self) -> None:
        "Close the part, bring it to the disk, and give it its name."
        if self.container is None:
            return
        self.container.mux(encode(self.stream, None))
        self.container.close()
        with self.unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        self.unfinished.replace(path_of(self.folder, self.begin, self.end))
        self.container, self.begin = None, self.end

    def abandon(self) -> None:
        "Close a part that will not be finished."
        if self.container is not None:
            with suppress(OSError, ValueError):
                self.container.close()
            self.unfinished.unlink(missing_ok=True)
            self.container = None
