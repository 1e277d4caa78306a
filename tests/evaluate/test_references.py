"""Which photos are the ground reference, and the part of them that is scored."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deoldify_lite.evaluate.references import Reference, find_references
from deoldify_lite.sources import NoPhotos


def names(*paths: Path) -> list[str]:
    return [reference.name for reference in find_references(paths)[0]]


def tar_of(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.add(path, path.relative_to(folder), recursive=False)
    return archive


def test_a_folder_and_a_tar_of_it_hold_the_same_photos(photos, tmp_path):
    archive = tar_of(photos, tmp_path / "photos.tar")
    assert names(photos) == names(archive) == sorted(names(photos))
    assert "more/china.jpg" in names(photos)
    for here, there in zip(find_references([photos])[0], find_references([archive])[0]):
        assert here.sha256 == there.sha256
        assert here.crop(64).tobytes() == there.crop(64).tobytes()


def test_folders_hold_archives_and_several_places_are_one_list(photos, tmp_path):
    both = tmp_path / "both"
    (both / "x").mkdir(parents=True)
    tar_of(photos / "more", both / "x" / "photos-valid.tar")
    assert names(both) == ["x/china.jpg", "x/flower.jpg", "x/grace_hopper.jpg"]
    assert len(names(photos, both)) == 9
    again = names(photos, photos / "china.png")
    assert len(again) == len(set(again)) == 7, "one name in two places: both are kept"


def test_other_files_are_skipped_or_reported(photos, tmp_path):
    (photos / "notes.txt").write_text("Dear grandmother")
    (photos / "._china.jpg").write_bytes(b"\0")
    assert len(names(photos)) == 6
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "empty", "no photos in"),
        (tmp_path / "gone", "no such file"),
        (photos / "notes.txt", "neither"),
    ):
        with pytest.raises(NoPhotos, match=words):
            find_references([path])


def test_missing_and_empty_paths_are_reported_and_the_rest_is_found(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    references, problems = find_references([photos, tmp_path / "empty", tmp_path / "gone"])
    assert len(references) == 6
    assert problems == [f"no photos in {tmp_path / 'empty'}", f"{tmp_path / 'gone'}: no such file or folder"]


def test_a_damaged_archive_is_reported_and_the_rest_is_found(photos, tmp_path):
    archive = tar_of(photos, tmp_path / "photos.tar")
    archive.write_bytes(archive.read_bytes()[:-20_000])
    references, problems = find_references([photos, archive])
    assert len(references) == 6 + 5 and len(problems) == 1 and "photos.tar" in problems[0]
    (tmp_path / "text.tar").write_text("Dear grandmother")
    references, problems = find_references([photos, tmp_path / "text.tar"])
    assert len(references) == 6 and "text.tar" in problems[0]
    with pytest.raises(NoPhotos, match=r"text\.tar"):
        find_references([tmp_path / "text.tar"])


def test_the_crop_is_the_center(tmp_path):
    """Red, green and blue side by side: only green remains."""
    colors = np.repeat(np.eye(3, dtype=np.uint8)[None] * 255, 80, axis=1).repeat(80, axis=0)
    Image.fromarray(colors).save(tmp_path / "a.png")
    crop = np.asarray(Reference("a", tmp_path / "a.png").crop(64))
    assert crop.shape == (64, 64, 3)
    assert (crop[:, 4:-4] == [0, 255, 0]).all()


def test_of_a_panorama_as_well(tmp_path):
    """Ten times as wide as high, all but the center black."""
    wide = np.zeros((100, 1000, 3), np.uint8)
    wide[:, 450:550] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    crop = np.asarray(Reference("a", tmp_path / "a.png").crop(64))
    assert (crop[:, 4:-4] > 250).all()


def test_names_that_are_not_text(tmp_path):
    import os

    data = io.BytesIO()
    Image.new("RGB", (70, 70), "red").save(data, "PNG")
    try:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
        path.write_bytes(data.getvalue())
    except OSError:
        pytest.skip("this file system takes text only")
    (reference,), _ = find_references([tmp_path])
    assert reference.name.encode("utf-8").endswith(b".png")
    assert reference.crop(64).size == (64, 64)
