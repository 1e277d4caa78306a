"""Which finished pictures belong to which photo."""

from pathlib import Path

import pytest
from PIL import Image

from deoldify_lite.evaluate.references import find_references
from deoldify_lite.evaluate.results import Results
from deoldify_lite.photo import BadPhoto
from deoldify_lite.sources import NoPhotos


@pytest.fixture
def results(photos, tmp_path) -> Path:
    """A copy of the photos, one with another extension, one with `.png` added, one missing, one too many."""
    folder = tmp_path / "results"
    (folder / "more").mkdir(parents=True)
    for reference in find_references([photos])[0]:
        name = {"china.png": "china.bmp", "flower.png": "flower.png.png"}.get(reference.name, reference.name)
        if reference.name != "grace_hopper.png":
            with Image.open(reference.file) as image:
                image.save(folder / name)
    Image.new("RGB", (10, 10)).save(folder / "stranger.png")
    return folder


def test_results_are_found_by_name(photos, results):
    references = find_references([photos])[0]
    found = Results(results, references)
    assert {reference.name for reference in references} - found.files.keys() == {"grace_hopper.png"}
    assert found.extra == ["stranger.png"]
    china = next(reference for reference in references if reference.name == "china.png")
    assert found.crop(china, 64).tobytes() == china.crop(64).tobytes()


def test_another_extension_counts_only_if_unambiguous(tmp_path):
    """Two photos of one stem and one picture: it belongs to the one that it is named as."""
    for folder, files in (("photos", ("a.jpg", "a.png", "b.jpg", "b.png")), ("results", ("a.png", "b.bmp"))):
        (tmp_path / folder).mkdir()
        for name in files:
            Image.new("RGB", (70, 70)).save(tmp_path / folder / name)
    found = Results(tmp_path / "results", find_references([tmp_path / "photos"])[0])
    assert found.files.keys() == {"a.png"} and found.extra == ["b.bmp"]


def test_a_result_has_the_photos_size_or_is_the_crop_itself(photos, results):
    references = {reference.name: reference for reference in find_references([photos])[0]}
    found = Results(results, list(references.values()))
    Image.new("RGB", (64, 64)).save(results / "china.bmp")
    assert found.crop(references["china.png"], 64).size == (64, 64)
    Image.new("RGB", (50, 40)).save(results / "china.bmp")
    with pytest.raises(BadPhoto, match="50 x 40 pixels, the photo 100 x 80"):
        found.crop(references["china.png"], 64)


def test_sizes_are_compared_upright(tmp_path):
    """A photo stored rotated, its result stored upright."""
    for folder in ("photos", "results"):
        (tmp_path / folder).mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60), "red").save(tmp_path / "photos" / "a.jpg", exif=exif)
    Image.new("RGB", (60, 80), "red").save(tmp_path / "results" / "a.jpg")
    references = find_references([tmp_path / "photos"])[0]
    assert Results(tmp_path / "results", references).crop(references[0], 64).size == (64, 64)


def test_results_that_belong_to_no_photo(photos, tmp_path):
    references = find_references([photos])[0]
    (tmp_path / "empty").mkdir()
    (tmp_path / "strangers").mkdir()
    Image.new("RGB", (10, 10)).save(tmp_path / "strangers" / "stranger.png")
    for folder, words in (("gone", "no such folder"), ("empty", "no pictures"), ("strangers", "no picture in it has")):
        with pytest.raises(NoPhotos, match=words):
            Results(tmp_path / folder, references)
