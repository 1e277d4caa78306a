"""An archive in parts: every photo in exactly one, the same one everywhere and always."""

import json
import os
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.colorize.folder import BadRequest, Job, find_jobs
from deoldify_lite.colorize.shard import Shard

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True, database=None)

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
steps = st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)
paths = steps.map(lambda steps: PurePosixPath(*steps))


@BOUNDED
@given(paths=st.sets(paths, max_size=30), count=st.integers(1, 50))
def test_every_photo_is_in_exactly_one_part(paths, count):
    parts = [Shard(number, count) for number in range(1, count + 1)]
    assert Counter(path for part in parts for path in paths if part.holds(path)) == Counter(paths)


def test_parts_are_of_about_the_same_size():
    photos = [PurePosixPath(f"{i // 100}/{i}.jpg") for i in range(8000)]
    sizes = [sum(map(Shard(number, 8).holds, photos)) for number in range(1, 9)]
    assert sum(sizes) == 8000 and 850 < min(sizes) <= max(sizes) < 1150


def test_the_part_never_changes():
    "Written down once: another answer would do some photos twice and others never."
    photos = ["a.jpg", "b.jpg", "x/a.jpg", "Großmutter.jpg", os.fsdecode(b"\xff.jpg")]
    assert [next(n for n in range(1, 9) if Shard(n, 8).holds(PurePosixPath(photo))) for photo in photos] == [
        3,
        3,
        6,
        2,
        1,
    ]


def test_the_part_is_the_same_on_other_systems():
    for number in range(1, 6):
        part = Shard(number, 5)
        assert part.holds(PurePosixPath("x/y/a.jpg")) == part.holds(PureWindowsPath("x\\y\\a.jpg"))
        spellings = {unicodedata.normalize(form, "Großmütterchen.jpg") for form in ("NFC", "NFD")}
        assert len(spellings) == 2 and len({part.holds(PurePosixPath(name)) for name in spellings}) == 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "x", "", "/", "1/", "/3", "1/0", "-1/3", "1/3/5", "1.5/3", "1 / 3"])
def test_what_is_no_part_is_refused_with_one_sentence(text):
    with pytest.raises(BadRequest, match="is no shard") as error:
        Shard.parse(text)
    assert repr(text) in str(error.value) and "\n" not in str(error.value)


def test_parts_as_they_are_written():
    assert Shard.parse("2/8") == Shard(2, 8) and str(Shard(2, 8)) == "2/8"
    assert Shard.parse("1/1").holds(PurePosixPath("anything.jpg"))


def test_where_the_photos_lie_does_not_matter(tmp_path):
    "Nor whether some are done already."
    chosen = []
    for folder in (tmp_path / "here", tmp_path / "over there"):
        (folder / "x").mkdir(parents=True)
        for i in range(20):
            (folder / "x" / f"{i}.jpg").touch()
        jobs = find_jobs(folder, folder / "out", recursive=True)
        chosen.append([job.input.relative_to(folder) for job in Shard(1, 2).select(jobs, folder / "out")])
        (folder / "out" / "x").mkdir(parents=True)
        (folder / "out" / "x" / "3.jpg").touch()
    assert chosen[0] == chosen[1] and 3 < len(chosen[0]) < 17


def test_photos_with_one_result_meet_in_one_part():
    "Where the second is refused, as it is without parts."
    jobs = [
        Job(Path("in", name), Path("out", f"{i}.gif.png")) for i in range(30) for name in (f"{i}.gif", f"{i}.gif.png")
    ]
    for number in (1, 2, 3):
        assert all(n == 2 for n in Counter(job.output for job in Shard(number, 3).select(jobs, Path("out"))).values())


# The command.


@pytest.fixture
def photos(tmp_path) -> Path:
    for i in range(12):
        path = tmp_path / "photos" / str(i % 3) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((32 + i, 32)).save(path)
    (tmp_path / "photos" / "0" / "bad.jpg").write_text("Dear grandmother")
    return tmp_path / "photos"


@pytest.fixture
def colorize(photos, tmp_path, weights):
    def run(*arguments, source=photos):
        small = f"-r --device=cpu --render-factor=2 --weights={weights}".split()
        return CliRunner().invoke(program, ["colorize", str(source), str(tmp_path / "out"), *small, *arguments])

    return run


def test_all_parts_together_do_everything_once(colorize, photos, tmp_path):
    """Each writes a report of its own, which together are the report of the whole."""
    for number in (1, 2, 3):
        result = colorize(f"--shard={number}/3", f"--report={tmp_path / f'{number}.jsonl'}")
        assert result.exit_code == ("failed" in result.stderr) and 0 < len(result.stdout.splitlines()) < 12
    lines = [json.loads(line) for path in sorted(tmp_path.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert sorted(line["input"] for line in lines) == sorted(str(p) for p in photos.rglob("*.*"))
    assert Counter(line["status"] for line in lines) == {"done": 12, "failed": 1}
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.*")) == sorted(f"{i}.png" for i in range(12))

    again = [colorize(f"--shard={number}/3") for number in (1, 2, 3)]
    assert "".join(result.stdout for result in again) == ""
    assert "".join(result.stderr for result in again).count("skipped") == 3


def test_parts_may_share_a_report(colorize, tmp_path):
    for number in (1, 2):
        colorize(f"--shard={number}/2", f"--report={tmp_path / 'report.jsonl'}")
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert len({line["input"] for line in lines}) == len(lines) == 13


def test_an_empty_part_is_no_failure(colorize, photos, tmp_path):
    one = photos / "1" / "1.png"
    results = [colorize(f"--shard={n}/2", source=one) for n in (1, 2)]
    assert [result.exit_code for result in results] == [0, 0]
    assert sorted(result.stdout for result in results) == ["", f"{tmp_path / 'out' / '1.png'}\n"]
    empty = next(i for i, result in enumerate(results) if not result.stdout)
    assert results[empty].stderr == f"no photos in shard {empty + 1}/2\n"


@pytest.mark.parametrize("shard", ["0/3", "4/3", "x"])
def test_what_is_no_part_is_exit_code_2(colorize, shard, tmp_path):
    result = colorize(f"--shard={shard}")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith(f"error: {shard!r} is no shard") and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
