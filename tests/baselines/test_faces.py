"""Faces from videos, which the tests make of the sample photos."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from deoldify_lite.baselines.faces import FaceDetector, FacesUnavailable, assign_sides, crop, find_people
from deoldify_lite.cli import program
from deoldify_lite.samples import sample_photos
from deoldify_lite.sources import list_sources


def film(photo: Image.Image, path: Path, frames: int = 8) -> None:
    """A video of `frames` frames, four a second, in which the photo slides to the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = photo.convert("RGB").resize((256, 300))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 304, "yuv420p", 4_000_000
        for i in range(frames):
            canvas = Image.new("RGB", (320, 304))
            canvas.paste(photo, (4 * i, 0))
            container.mux(stream.encode(av.VideoFrame.from_image(canvas)))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two people, one of them with two videos; a landscape; a broken video and what is no video at all."""
    folder = tmp_path_factory.mktemp("videos")
    with Image.open(sample_photos()["grace_hopper.jpg"]) as portrait, Image.open(sample_photos()["china.jpg"]) as view:
        film(portrait, folder / "grace.mp4")
        film(ImageOps.mirror(portrait), folder / "mirrored" / "first.mp4")
        film(ImageOps.mirror(portrait), folder / "mirrored" / "second.avi", frames=4)
        film(view, folder / "china.mp4")
    (folder / "broken.mp4").write_bytes(b"this is not a video" * 100)
    (folder / "notes.txt").write_text("neither is this")
    return folder


@pytest.fixture
def extract():
    return lambda *arguments: CliRunner().invoke(program, ["faces", *map(str, arguments)])


def test_frames_faces_people(videos, extract, tmp_path):
    """Two seconds, four frames a second, every other one examined: four faces, each in a square picture."""
    result = extract(videos, tmp_path / "faces", "--every", "0.5")
    assert result.exit_code == 1, result.output  # a video could not be read
    assert "broken.mp4: damaged, or not a video" in result.output
    assert "china.mp4: no face in 4 frames" in result.output
    assert "5 videos, 0 of them done before, 1 failed; 10 new faces" in result.output
    files = sorted((tmp_path / "faces").rglob("*.jpg"))
    names = {path.name for path in files}
    assert names == {
        *(f"grace.mp4-{i:05}.jpg" for i in range(4)),
        *(f"mirrored__first.mp4-{i:05}.jpg" for i in range(4)),
        *(f"mirrored__second.avi-{i:05}.jpg" for i in range(2)),
    }
    detector = FaceDetector()
    for path in files:
        with Image.open(path) as image:
            assert image.width == image.height and 100 < image.width < 256
            assert detector.largest(np.asarray(image)) is not None


def test_each_person_is_on_one_side_and_test_is_not_trained_on(videos, extract, tmp_path):
    """Of two people with faces one is in test; those whose videos have none, or are broken, do not count."""
    result = extract(videos, tmp_path / "faces")
    sides = {path.name: path.parent.name for path in (tmp_path / "faces").glob("*/*") if path.is_dir()}
    assert sides == {"grace": "train", "mirrored": "test"}
    assert "people in train: 1, in test: 1" in result.output
    assert {path.parent.name for path in list_sources([tmp_path / "faces"])} == {"grace"}


def test_the_same_command_goes_on(videos, extract, tmp_path):
    """What is done is left alone; a video that changed, and one that failed, are done again; nobody changes sides."""
    faces = tmp_path / "faces"
    extract(videos, faces)
    before = {path: path.stat().st_mtime_ns for path in faces.rglob("*.jpg")}
    result = extract(videos, faces)
    assert "5 videos, 4 of them done before, 1 failed; 0 new faces" in result.output
    assert before == {path: path.stat().st_mtime_ns for path in faces.rglob("*.jpg")}
    result = extract(videos, faces, "--every", "0.25")
    assert "0 of them done before" in result.output and "20 new faces" in result.output


def test_a_truncated_video_keeps_what_came_before(videos, extract, tmp_path):
    """Cut off in the middle; an AVI can be read until there."""
    cut = tmp_path / "videos"
    cut.mkdir()
    with Image.open(sample_photos()["grace_hopper.jpg"]) as portrait:
        film(portrait, cut / "grace.avi", frames=12)
    data = (cut / "grace.avi").read_bytes()
    (cut / "grace.avi").write_bytes(data[: len(data) // 2])
    result = extract(cut, tmp_path / "faces", "--every", "0.25")
    count = len(list((tmp_path / "faces").rglob("*.jpg")))
    assert 0 < count < 12
    assert f"{count} new faces" in result.output


@pytest.mark.parametrize(
    ("count", "fraction", "in_test"), [(20, 0.1, 2), (20, 0.5, 10), (20, 0.0, 0), (2, 0.1, 1), (1, 0.5, 0), (0, 0.1, 0)]
)
def test_who_is_in_test(count, fraction, in_test, tmp_path):
    """The fraction that was asked for, at least one of two, none of one; by name, so the same each time."""
    results = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        for i in range(count):
            (folder / ".new" / f"person {i}").mkdir(parents=True)
        results.append(assign_sides(folder, fraction))
        assert results[-1] == {p.name: p.parent.name for p in folder.glob("*/*")} and not (folder / ".new").exists()
    assert results[0] == results[1] and list(results[0].values()).count("test") == in_test


def test_nobody_changes_sides(tmp_path):
    for place in ("test/anna", "train/bert", ".new/cleo"):
        (tmp_path / place).mkdir(parents=True)
    assert assign_sides(tmp_path, 0.1) == {"anna": "test", "bert": "train", "cleo": "train"}


def test_one_video_or_one_folder_is_one_person(tmp_path):
    for name in ("anna.mp4", "anna/two.MKV", "bert/a/b.webm", ".hidden/c.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {person: [p.name for p in videos] for person, videos in find_people(tmp_path).items()}
    assert found == {"anna": ["two.MKV", "anna.mp4"], "bert": ["b.webm"]}


@pytest.mark.parametrize(
    ("face", "box"),
    [
        ((40, 30, 20), (30, 20, 70, 60)),  # in the middle, half a side of margin all around
        ((0, 0, 20), (0, 0, 40, 40)),  # in a corner: moved inside
        ((80, 60, 20), (60, 40, 100, 80)),
        ((10, 10, 60), (0, 0, 80, 80)),  # larger with its margin than the picture is high
    ],
)
def test_cuts_stay_inside(face, box):
    rgb = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    left, top, right, bottom = box
    assert np.array_equal(np.asarray(crop(rgb, face, 0.5)), rgb[top:bottom, left:right])


def test_mistakes_get_one_clear_line(extract, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for folder, message in (("nowhere", "no such folder"), ("empty", "no videos in it")):
        result = extract(tmp_path / folder, tmp_path / "faces")
        assert result.exit_code == 2 and message in result.output
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(FacesUnavailable, match="opencv-python-headless<5"):
        FaceDetector()
    (tmp_path / "empty/a.mp4").touch()
    result = extract(tmp_path / "empty", tmp_path / "faces")
    assert result.exit_code == 3 and "comes without a face detector" in result.output
