"""From files to batches."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deoldify_lite.schedule import Augment
from deoldify_lite.sources import NoPhotos, is_held_out, list_sources, read_sources
from deoldify_lite.training.data import (
    Pack,
    Sampler,
    Split,
    is_validation,
    jitter,
    pack,
    step_generator,
)

STILL = Augment(flip=0, zoom=1, rotate=0)


def make_photo(path: Path, size: tuple[int, int] = (60, 40), colour: tuple[int, int, int] = (200, 100, 50)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def pack_of(*photos: np.ndarray) -> Pack:
    pixels = torch.from_numpy(np.concatenate([p.reshape(-1) for p in photos]))
    sizes = [torch.tensor([p.shape[i] for p in photos]) for i in (0, 1)]
    return Pack(pixels, [f"{i}.jpg" for i in range(len(photos))], *sizes)


def test_folders_and_archives_are_searched_and_held_out_ones_left_alone(tmp_path):
    for name in ("a.jpg", "b/c.png", "b/d.txt", "val/e.jpg", ".hidden/f.jpg", "photos-valid.tar", "photos-0.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [p.relative_to(tmp_path).as_posix() for p in list_sources([tmp_path])] == [
        "a.jpg",
        "b/c.png",
        "photos-0.tar",
    ]
    assert list_sources([tmp_path / "photos-valid.tar"]) == [tmp_path / "photos-valid.tar"], (
        "named outright, it is taken"
    )


@pytest.mark.parametrize(("archive", "expected"), [("all.tar", []), ("valid.tar", ["val/b.jpg"])])
def test_in_archives_hidden_and_held_out_photos_are_left_alone_as_in_folders(tmp_path, archive, expected):
    """... unless the archive is one of photos held out, and was named outright."""
    with tarfile.open(tmp_path / archive, "w") as tar:
        for name in ("./a.jpg", "../in/c.jpg", "val/b.jpg", "._a.jpg", "__MACOSX/._a.jpg", ".thumbs/c.jpg", "d.txt"):
            tar.addfile(tarfile.TarInfo(name))
    assert [Path(name).as_posix() for name, _ in read_sources([tmp_path / archive])] == [
        "a.jpg",
        "../in/c.jpg",
        *expected,
    ]


def test_held_out_by_whole_words():
    assert is_held_out(Path("imagenet-val")) and is_held_out(Path("photos_valid.tar")) and is_held_out(Path("test2014"))
    assert is_held_out(Path("photos.val")) and is_held_out(Path("data.test"))
    assert not is_held_out(Path("valencia")) and not is_held_out(Path("contest.tar"))


def test_no_photos_is_a_clear_error(tmp_path):
    with pytest.raises(NoPhotos, match="no such file or folder"):
        list_sources([tmp_path / "nothing"])
    with pytest.raises(NoPhotos, match="no photos"):
        list_sources([tmp_path])
    (tmp_path / "a.jpg").write_text("not a photo")
    with pytest.raises(NoPhotos, match="none of the 1 files"):
        pack(list_sources([tmp_path]), 16, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir()), "nothing half-made stays behind"


def test_broken_photos_are_counted_and_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    make_photo(tmp_path / "good.jpg")
    (tmp_path / "text.jpg").write_text("not a photo")
    data = make_photo(tmp_path / "cut.jpg", (300, 300)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    photos = pack(list_sources([tmp_path]), 16, tmp_path / "cache")
    assert photos.names == ["good.jpg"]
    assert "2 broken ones left out" in caplog.text
    assert "text.jpg" in caplog.text


def test_archive_with_a_broken_end(tmp_path, caplog):
    """What can be read of it is used."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(3):
            photo = make_photo(tmp_path / "photo.png", (64, 64), (i * 50, 0, 0)).read_bytes()
            info = tarfile.TarInfo(f"{i}.png")
            info.size = len(photo)
            archive.addfile(info, io.BytesIO(photo))
    shard = tmp_path / "shard.tar"
    shard.write_bytes(buffer.getvalue()[:1100])
    photos = pack([shard], 16, tmp_path / "cache")
    assert photos.names == ["0.png"]


def test_packing_keeps_shape_and_colour_and_is_done_once(tmp_path):
    make_photo(tmp_path / "wide.png", (300, 100))
    make_photo(tmp_path / "tall.png", (100, 300), (10, 20, 30))
    sources = list_sources([tmp_path])
    photos = pack(sources, 20, tmp_path / "cache")
    assert [photos.photo(i).shape for i in range(2)] == [(3, 60, 20), (3, 20, 60)]
    assert torch.allclose(photos.photo(0)[:, 5, 5] * 255, torch.tensor([10.0, 20, 30]))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    pack(sources, 20, tmp_path / "cache")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    make_photo(tmp_path / "new.png")
    assert len(pack(list_sources([tmp_path]), 20, tmp_path / "cache")) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 2 * 2, "a pack and its index each"


def test_a_cache_of_ones_own_keeps_the_last_pack_of_a_size(tmp_path, monkeypatch):
    make_photo(tmp_path / "a.png", (100, 100), (10, 20, 30))
    cache = tmp_path / "cache"
    before = pack(list_sources([tmp_path]), 20, cache, shared=False)
    pack(list_sources([tmp_path]), 10, cache, shared=False)
    monkeypatch.chdir(tmp_path)
    pack(list_sources([Path()]), 20, cache, shared=False)
    assert len(list(cache.iterdir())) == 4, "the same photos by another path, in two sizes"
    make_photo(tmp_path / "b.png", (100, 100))
    assert len(pack(list_sources([tmp_path]), 20, cache, shared=False)) == 2
    assert len(list(cache.iterdir())) == 4
    assert torch.allclose(before.photo(0)[:, 5, 5] * 255, torch.tensor([10.0, 20, 30])), "who had it open still has it"


def test_an_index_without_its_pixels_is_no_pack(tmp_path):
    make_photo(tmp_path / "a.png")
    sources = list_sources([tmp_path])
    pack(sources, 20, tmp_path / "cache")
    next((tmp_path / "cache").glob("*.bin")).unlink()
    assert pack(sources, 20, tmp_path / "cache").photo(0).shape[0] == 3


def test_middle_crop_is_the_middle():
    photo = np.zeros((8, 16, 3), np.uint8)
    photo[:, 4:12] = 255
    crop = pack_of(photo).crops(torch.tensor([0]), 8, None, torch.Generator())
    assert crop.shape == (1, 3, 8, 8)
    assert (crop == 1).all()


def test_flip_mirrors_and_crops_stay_inside():
    photo = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    photos = pack_of(photo)
    plain = photos.crops(torch.tensor([0]), 8, STILL, step_generator(0))
    flipped = photos.crops(torch.tensor([0]), 8, Augment(flip=1, zoom=1, rotate=0), step_generator(0))
    assert torch.allclose(plain[0] * 255, torch.from_numpy(photo).permute(2, 0, 1).float())
    assert torch.allclose(flipped, plain.flip(-1))
    gray = np.full((9, 13, 3), 77, np.uint8)
    for step in range(20):
        crop = pack_of(gray).crops(torch.tensor([0]), 8, Augment(zoom=1.5, rotate=30), step_generator(0, step))
        assert torch.allclose(crop * 255, torch.tensor(77.0), atol=1e-3), "rotated corners mirror the photo, not a void"


def test_crops_of_photos_of_different_shapes():
    a, b = np.full((4, 9, 3), 10, np.uint8), np.full((7, 5, 3), 200, np.uint8)
    crops = pack_of(a, b).crops(torch.tensor([1, 0, 1]), 4, Augment(), step_generator(0))
    assert torch.allclose(crops.mean((1, 2, 3)) * 255, torch.tensor([200.0, 10, 200]), atol=1e-3)


def test_the_split_hangs_on_the_name_alone():
    names = [f"photo_{i}.jpg" for i in range(2000)]
    chosen = {n for n in names if is_validation(n, 0.1)}
    assert 150 < len(chosen) < 250
    assert chosen == {n for n in reversed(names) if is_validation(n, 0.1)}
    assert {n for n in names if is_validation(n, 0.05)} < chosen, "a larger share holds the smaller one"
    photos = pack_of(*[np.zeros((1, 1, 3), np.uint8)] * 50)
    split = Split.of(photos, 0.2)
    assert sorted([*split.train.tolist(), *split.valid.tolist()]) == list(range(50))


def test_few_photos_still_split():
    split = Split.of(pack_of(*[np.zeros((1, 1, 3), np.uint8)] * 2), 0.02)
    assert len(split.train) == len(split.valid) == 1
    with pytest.raises(NoPhotos, match="one photo is not enough"):
        Split.of(pack_of(np.zeros((1, 1, 3), np.uint8)), 0.02)


def test_every_photo_once_an_epoch():
    """... in another order each time, also where batches and epochs do not fit, and with fewer photos than a batch."""
    sampler = Sampler(torch.arange(10, 17), [f"{i}.jpg" for i in range(17)], 1.0, 0, "stage")
    index = torch.cat([sampler.batch(step, 3) for step in range(14)])
    epochs = index.reshape(6, 7)
    assert all(sorted(epoch.tolist()) == list(range(10, 17)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) > 1
    assert len(Sampler(torch.tensor([5]), ["a.jpg"] * 6, 1.0, 0, "stage").batch(0, 4)) == 4


def test_balanced_sources():
    """A source of 64 photos and one of 4 at the power of a half: 4 to 1 in every epoch, each source all through before
    any photo comes again, and every step the same for a sampler that was made anew."""
    names = [f"rooms_{i:05}.jpg" for i in range(64)] + [f"pandas_{i}.png" for i in range(4)]
    sampler = Sampler(torch.arange(68), names, 0.5, 0, "stage")
    assert sampler.counts == {"pandas": 14, "rooms": 54}
    index = torch.cat([sampler.batch(step, 4) for step in range(3 * 17)])
    epochs = index.reshape(3, 68)
    assert all((epoch >= 64).sum() == 14 for epoch in epochs)
    rooms = [i for i in index.tolist() if i < 64]
    assert sorted(rooms[54:64] + rooms[:54]) != rooms  # shuffled
    for photo, seen in ((65, index.tolist().count(65)), (3, rooms.count(3))):
        expected = {65: 3 * 14 / 4, 3: 3 * 54 / 64}[photo]
        assert abs(seen - expected) <= 1
    again = Sampler(torch.arange(68), names, 0.5, 0, "stage")
    assert torch.equal(again.batch(40, 4), index[160:164])


def test_random_numbers_belong_to_their_place():
    """A step draws the same whatever ran before it, and not the same as another step."""
    first = torch.rand(4, generator=step_generator(0, "stage", 7))
    step_generator(0, "stage", 8)
    assert torch.equal(first, torch.rand(4, generator=step_generator(0, "stage", 7)))
    assert not torch.equal(first, torch.rand(4, generator=step_generator(0, "stage", 8)))
    assert not torch.equal(first, torch.rand(4, generator=step_generator(1, "stage", 7)))


def test_jitter_stays_in_range_and_can_be_off():
    rgb = torch.rand(4, 3, 8, 8)
    still = Augment(brightness=0, contrast=0, saturation=0)
    assert torch.allclose(jitter(rgb, still, step_generator(0)), rgb, atol=1e-6)
    wild = jitter(rgb, Augment(brightness=0.5, contrast=0.9, saturation=0.9), step_generator(0))
    assert wild.min() >= 0 and wild.max() <= 1 and not torch.allclose(wild, rgb, atol=0.05)
