"""Faces from videos: photos of people, each person with all photos in train or all in test.

Frames are read with PyAV, faces found with the Haar cascade that comes inside OpenCV 4 (Viola and Jones 2001). One
video, or one folder of videos, is one person.
"""

import glob
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DeoldifyError, Unavailable, UsageError
from ..files import atomic_path, walk
from ..video.extensions import EXTENSIONS

DONE, NEW, SIDES = "faces.jsonl", ".new", ("train", "test")
DETECTION_SIDE = 640  # pixels: frames are searched at this length of their longer side


class FacesUnavailable(Unavailable, RuntimeError):
    "The libraries for videos and faces are not installed. The message says how to."


class NoVideos(UsageError):
    "No videos where some were expected. The message names the folder."


class BadVideo(DeoldifyError, ValueError):
    "A video that cannot be read, or not to its end. The message says why."


@dataclass
class VideoFaces:
    "The result for one video; `error` is empty where all went well."

    video: str
    person: str
    frames: int = 0
    faces: int = 0
    error: str = ""
    skipped: bool = False


def find_people(folder: Path) -> dict[str, list[Path]]:
    """The videos of each person in `folder`: a video's own name, or that of the folder in it that the video is in.

    Raises:
        NoVideos: no such folder, or no videos in it.
    """
    if not folder.is_dir():
        raise NoVideos(f"{folder}: no such folder; give a folder of videos, one video or one folder a person")
    people: dict[str, list[Path]] = {}
    for place in walk(folder, EXTENSIONS):
        path = folder / place
        if path.is_file():
            people.setdefault(place.parts[0] if len(place.parts) > 1 else path.stem, []).append(path)
    if not people:
        raise NoVideos(f"{folder}: no videos in it; known are {' '.join(sorted(EXTENSIONS))}")
    return people


def assign_sides(target: Path, fraction: float) -> dict[str, str]:
    """Move the people in `target`/.new to train or test: `fraction` of all to test, at least one if there are two.

    People who have a side keep it; for new ones a hash of the name decides. Returns everybody's side.
    """
    sides = {folder.name: side for side in SIDES for folder in (target / side).glob("*") if folder.is_dir()}
    new = [folder.name for folder in (target / NEW).glob("*")]
    new.sort(key=lambda name: hashlib.blake2b(name.encode(errors="surrogateescape")).digest())
    count = len(sides) + len(new)
    wanted = max(1, round(fraction * count)) if fraction and count > 1 else 0
    lacking = wanted - sum(side == "test" for side in sides.values())
    for i, name in enumerate(new):
        sides[name] = "test" if i < lacking else "train"
        (target / sides[name]).mkdir(exist_ok=True)
        (target / NEW / name).rename(target / sides[name] / name)
    if (target / NEW).is_dir():
        (target / NEW).rmdir()
    return sides


def read_frames(video: Path, every: float) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) of a video, uint8 RGB, upright, at least `every` seconds apart.

    Raises:
        BadVideo: not a video, or damaged from here on.
        FacesUnavailable: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise FacesUnavailable('videos need PyAV: pip install "deoldify_lite[faces]"') from error
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise BadVideo("there are no pictures in it")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate, due = float(stream.average_rate or 25), 0.0
            for i, frame in enumerate(container.decode(stream)):
                now = frame.time if frame.time is not None else i / rate
                if i and now < due:
                    continue
                due = now + every - 0.5 / rate  # frames hardly ever fall on a round second
                quarters = round((getattr(frame, "rotation", 0) or 0) / 90)  # as phones store upright videos
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters))
    except BadVideo:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadVideo(f"damaged, or not a video ({' '.join(str(error).split())})") from error


class FaceDetector:
    """Finds the largest frontal face in a picture.

    Raises:
        FacesUnavailable: OpenCV is not installed, or a version without the detector.
    """

    def __init__(self, smallest: int = 64):
        "`smallest`: side in pixels of the smallest face that counts."
        try:
            import cv2
        except ImportError as error:
            raise FacesUnavailable('finding faces needs OpenCV: pip install "deoldify_lite[faces]"') from error
        if not hasattr(cv2, "CascadeClassifier"):
            raise FacesUnavailable(
                f"OpenCV {cv2.__version__} comes without a face detector: pip install 'opencv-python-headless<5'"
            )
        self.smallest = smallest
        self.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")

    def largest(self, rgb: np.ndarray) -> tuple[int, int, int] | None:
        "Left, top and side of the largest face in (H, W, 3), uint8; None where there is none."
        scale = min(1.0, DETECTION_SIDE / max(rgb.shape[:2]))
        gray = Image.fromarray(rgb).convert("L")
        small = gray.resize((max(1, round(gray.width * scale)), max(1, round(gray.height * scale))))
        least = max(16, round(self.smallest * scale))
        boxes = self.cascade.detectMultiScale(np.asarray(small), 1.1, 5, minSize=(least, least))
        if not len(boxes):
            return None
        left, top, side, _ = max(boxes.tolist(), key=lambda box: box[2])
        return round(left / scale), round(top / scale), round(side / scale)


def crop(rgb: np.ndarray, face: tuple[int, int, int], margin: float) -> Image.Image:
    "The square around a face, wider on each side by `margin` of it, moved or shrunk to lie inside the picture."
    left, top, side = face
    height, width = rgb.shape[:2]
    whole = min(round(side * (1 + 2 * margin)), height, width)
    x = min(max(0, left + side // 2 - whole // 2), width - whole)
    y = min(max(0, top + side // 2 - whole // 2), height - whole)
    return Image.fromarray(rgb[y : y + whole, x : x + whole])


def extract_faces(
    source: Path, target: Path, every: float = 1.0, margin: float = 0.3, smallest: int = 64
) -> Iterator[VideoFaces]:
    """Cut the faces out of all videos in `source`, video by video, into `target`/.new/PERSON/VIDEO-NUMBER.jpg.

    `assign_sides` moves them from there; those of people who have a side go to it at once. Finished videos that have
    not changed are skipped. One that cannot be read gives an `error`; the faces from before the damage stay.

    Raises:
        NoVideos: there are none.
        FacesUnavailable: a library is missing.
    """
    people = find_people(source)
    detector = FaceDetector(smallest)
    target.mkdir(parents=True, exist_ok=True)
    settings = {"every": every, "margin": margin, "smallest": smallest}
    done = _read_done(target / DONE)
    for person, videos in people.items():
        for video in videos:
            name = video.relative_to(source).as_posix()
            state = {"mtime": video.stat().st_mtime_ns, "size": video.stat().st_size} | settings
            result = VideoFaces(name, person)
            if done.get(name) == state:
                result.skipped = True
            else:
                folders = [target / side / person for side in SIDES]
                folder = next((folder for folder in folders if folder.is_dir()), target / NEW / person)
                _extract(video, folder, name.replace("/", "__"), detector, every, margin, result)
                if not result.error:
                    with (target / DONE).open("a", encoding="utf-8") as file:
                        file.write(json.dumps(asdict(result) | {"state": state}) + "\n")
            yield result


def _extract(
    video: Path, folder: Path, name: str, detector: FaceDetector, every: float, margin: float, result: VideoFaces
) -> None:
    "Cut one video's faces into `folder`, replacing those of other settings, and count them in `result`."
    for old in folder.glob(f"{glob.escape(name)}-[0-9]*.jpg"):
        old.unlink()
    try:
        for rgb in read_frames(video, every):
            face = detector.largest(rgb)
            if face is not None:
                with atomic_path(folder / f"{name}-{result.frames:05}.jpg") as temporary:
                    crop(rgb, face, margin).save(temporary, "JPEG", quality=95)
                result.faces += 1
            result.frames += 1
    except BadVideo as error:
        result.error = str(error) + (f"; {result.faces} faces from before that are kept" if result.faces else "")


def _read_done(path: Path) -> dict[str, Any]:
    "For each finished video its state and the settings that it was done with."
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}"))
    return {row["video"]: row["state"] for row in rows}
