"""Which photos are judged, and which finished pictures belong to them."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deoldify_lite.evaluate.truths import Protocol, Results, Truth, choose_protocol, find_truths, listed
from deoldify_lite.photo import BadPhoto
from deoldify_lite.sources import NoPhotos


def names(*paths: Path) -> list[str]:
    return [truth.name for truth in find_truths(paths)[0]]


def tar_of(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.add(path, path.relative_to(folder), recursive=False)
    return archive


def test_a_folder_and_a_tar_of_it_hold_the_same_truths(photos, tmp_path):
    archive = tar_of(photos, tmp_path / "photos.tar")
    assert names(photos) == names(archive) == sorted(names(photos))
    assert "more/china.jpg" in names(photos)
    for here, there in zip(find_truths([photos])[0], find_truths([archive])[0]):
        assert here.sha256 == there.sha256
        assert here.square(64).tobytes() == there.square(64).tobytes()


def test_folders_hold_archives_and_several_places_are_one_list(photos, tmp_path):
    both = tmp_path / "both"
    (both / "x").mkdir(parents=True)
    tar_of(photos / "more", both / "x" / "photos-valid.tar")
    assert names(both) == ["x/china.jpg", "x/flower.jpg", "x/grace_hopper.jpg"]
    assert len(names(photos, both)) == 9
    again = names(photos, photos / "china.png")
    assert len(again) == len(set(again)) == 7, "one name in two places: both are kept"


def test_what_is_no_photo_is_passed_over_or_told(photos, tmp_path):
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
            find_truths([path])


def test_what_is_missing_or_empty_is_told_and_the_rest_is_there(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    truths, problems = find_truths([photos, tmp_path / "empty", tmp_path / "gone"])
    assert len(truths) == 6
    assert problems == [f"no photos in {tmp_path / 'empty'}", f"{tmp_path / 'gone'}: no such file or folder"]


def test_a_damaged_archive_is_told_and_the_rest_is_there(photos, tmp_path):
    archive = tar_of(photos, tmp_path / "photos.tar")
    archive.write_bytes(archive.read_bytes()[:-20_000])
    truths, problems = find_truths([photos, archive])
    assert len(truths) == 6 + 5 and len(problems) == 1 and "photos.tar" in problems[0]
    (tmp_path / "text.tar").write_text("Dear grandmother")
    truths, problems = find_truths([photos, tmp_path / "text.tar"])
    assert len(truths) == 6 and "text.tar" in problems[0]
    with pytest.raises(NoPhotos, match=r"text\.tar"):
        find_truths([tmp_path / "text.tar"])


def test_the_square_is_the_middle(tmp_path):
    """Red, green and blue side by side: only green is left."""
    colours = np.repeat(np.eye(3, dtype=np.uint8)[None] * 255, 80, axis=1).repeat(80, axis=0)
    Image.fromarray(colours).save(tmp_path / "a.png")
    square = np.asarray(Truth("a", tmp_path / "a.png").square(64))
    assert square.shape == (64, 64, 3)
    assert (square[:, 4:-4] == [0, 255, 0]).all()


def test_of_a_panorama_too(tmp_path):
    """Ten times as wide as high, all but the middle square black."""
    wide = np.zeros((100, 1000, 3), np.uint8)
    wide[:, 450:550] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    square = np.asarray(Truth("a", tmp_path / "a.png").square(64))
    assert (square[:, 4:-4] > 250).all()


def test_protocols():
    truths = [Truth(f"n0{i % 3}/ILSVRC2012_val_{i:08}.JPEG", Path("x")) for i in range(6000)]
    truths = sorted(truths, key=lambda truth: truth.name)
    chosen = choose_protocol("val5k").choose(truths)
    assert [int(t.name[-13:-5]) for t in chosen] == list(range(5000)), "by file name, whatever the folders"
    assert choose_protocol().choose(truths) == truths
    spread = choose_protocol(limit=3).choose(truths)
    assert [truths.index(t) for t in spread] == [0, 2000, 4000]
    assert choose_protocol(limit=3).choose(truths[:2]) == truths[:2]
    assert [truths.index(t) for t in choose_protocol(limit=3).choose(truths[:5])] == [0, 1, 3], "spread over all"
    assert choose_protocol(size=128) == Protocol("all", 128)
    for wrong in ({"size": 128}, {"limit": 10}):
        with pytest.raises(ValueError, match="5000 photos at 256"):
            choose_protocol("val5k", **wrong)
    with pytest.raises(ValueError, match="unknown"):
        choose_protocol("ctest10k")


@pytest.fixture
def results(photos, tmp_path) -> Path:
    """A copy of the photos, one with another extension, one with `.png` added, one missing, one too many."""
    folder = tmp_path / "results"
    (folder / "more").mkdir(parents=True)
    for truth in find_truths([photos])[0]:
        name = {"china.png": "china.bmp", "flower.png": "flower.png.png"}.get(truth.name, truth.name)
        if truth.name != "grace_hopper.png":
            with Image.open(truth.file) as image:
                image.save(folder / name)
    Image.new("RGB", (10, 10)).save(folder / "stranger.png")
    return folder


def test_results_are_found_by_name(photos, results):
    truths = find_truths([photos])[0]
    found = Results(results, truths)
    assert {truth.name for truth in truths} - found.files.keys() == {"grace_hopper.png"}
    assert found.extra == ["stranger.png"]
    china = next(truth for truth in truths if truth.name == "china.png")
    assert found.square(china, 64).tobytes() == china.square(64).tobytes()


def test_another_extension_counts_only_where_it_leaves_no_doubt(tmp_path):
    """Two photos of one stem and one picture: it belongs to the one whose name it has."""
    for folder, files in (("photos", ("a.jpg", "a.png", "b.jpg", "b.png")), ("results", ("a.png", "b.bmp"))):
        (tmp_path / folder).mkdir()
        for name in files:
            Image.new("RGB", (70, 70)).save(tmp_path / folder / name)
    found = Results(tmp_path / "results", find_truths([tmp_path / "photos"])[0])
    assert found.files.keys() == {"a.png"} and found.extra == ["b.bmp"]


def test_a_result_has_the_photos_size_or_is_the_square_itself(photos, results):
    truths = {truth.name: truth for truth in find_truths([photos])[0]}
    found = Results(results, list(truths.values()))
    Image.new("RGB", (64, 64)).save(results / "china.bmp")
    assert found.square(truths["china.png"], 64).size == (64, 64)
    Image.new("RGB", (50, 40)).save(results / "china.bmp")
    with pytest.raises(BadPhoto, match="50 x 40 pixels, the photo 100 x 80"):
        found.square(truths["china.png"], 64)


def test_sizes_are_compared_upright(tmp_path):
    """A photo stored lying, its result stored upright."""
    for folder in ("photos", "results"):
        (tmp_path / folder).mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60), "red").save(tmp_path / "photos" / "a.jpg", exif=exif)
    Image.new("RGB", (60, 80), "red").save(tmp_path / "results" / "a.jpg")
    truths = find_truths([tmp_path / "photos"])[0]
    assert Results(tmp_path / "results", truths).square(truths[0], 64).size == (64, 64)


def test_results_that_belong_to_nothing(photos, tmp_path):
    truths = find_truths([photos])[0]
    (tmp_path / "empty").mkdir()
    (tmp_path / "strangers").mkdir()
    Image.new("RGB", (10, 10)).save(tmp_path / "strangers" / "stranger.png")
    for folder, words in (("gone", "no such folder"), ("empty", "no pictures"), ("strangers", "no picture in it has")):
        with pytest.raises(NoPhotos, match=words):
            Results(tmp_path / folder, truths)


def test_names_that_are_no_text(tmp_path):
    import os

    data = io.BytesIO()
    Image.new("RGB", (70, 70), "red").save(data, "PNG")
    try:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
        path.write_bytes(data.getvalue())
    except OSError:
        pytest.skip("this file system takes text only")
    (truth,), _ = find_truths([tmp_path])
    assert truth.name.encode("utf-8").endswith(b".png")
    assert truth.square(64).size == (64, 64)


def test_lists_in_sentences_are_short():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcde")) == "a, b, c and 2 more"
