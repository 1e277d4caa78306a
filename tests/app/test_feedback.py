"""What people think of the results: what is kept, what is not, and the sum."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deoldify_lite.app import feedback
from deoldify_lite.app.service import Colorized, Settings

SCRIPT = Path(__file__).parents[2] / "scripts" / "feedback.py"


@pytest.fixture
def result(tmp_path) -> Colorized:
    upload = tmp_path / "uploads" / "Grandmother Ada.JPG"
    upload.parent.mkdir()
    upload.write_bytes(b"a photo")
    folder = tmp_path / "results" / "0123abcd"
    return Colorized(
        upload, folder / upload.name, folder / "b", folder / "a", Settings("lite", 0.9, 8), "3ec2140c914a", (40, 30), ()
    )


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / feedback.FILE_NAME).read_text(encoding="utf-8").splitlines()]


def test_a_line_says_what_was_judged_and_nothing_about_who(result, tmp_path):
    feedback.save(tmp_path / "kept", result, "good", "  the sky!\n\x1b[31m größer ")
    (line,) = lines(tmp_path / "kept")
    assert line.pop("time").endswith("+00:00") and line.pop("version")
    assert line == {
        "result": "0123abcd",
        "verdict": "good",
        "remark": "the sky! [31m größer",
        "model": "lite",
        "sha256": "3ec2140c914a",
        "strength": 0.9,
        "render_factor": 8,
        "size": [40, 30],
        "photo": None,
    }
    assert not (tmp_path / "kept" / "photos").exists()
    assert "Ada" not in (tmp_path / "kept" / feedback.FILE_NAME).read_text()


def test_the_photo_is_kept_where_it_was_ticked_and_once(result, tmp_path):
    for _ in range(2):
        feedback.save(tmp_path, result, "poor", with_photo=True)
    (photo,) = (tmp_path / "photos").iterdir()
    assert photo.read_bytes() == b"a photo" and photo.suffix == ".jpg" and "Ada" not in photo.name
    assert [line["photo"] for line in lines(tmp_path)] == [photo.name] * 2


def test_a_photo_that_is_gone_and_a_verdict_that_is_none(result, tmp_path):
    result.upload.unlink()
    with pytest.raises(FileNotFoundError):
        feedback.save(tmp_path, result, "good", with_photo=True)
    with pytest.raises(ValueError, match="good, poor"):
        feedback.save(tmp_path, result, "splendid")
    assert not (tmp_path / feedback.FILE_NAME).exists()


def test_a_remark_has_an_end(result, tmp_path):
    feedback.save(tmp_path, result, "good", "x" * 100_000)
    assert len(lines(tmp_path)[0]["remark"]) == feedback.MAX_REMARK


def test_lines_of_many_at_once_stay_whole(result, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: feedback.save(tmp_path, result, "good", f"{i} " + "ä" * 900), range(200)))
    assert sorted(int(line["remark"].split()[0]) for line in lines(tmp_path)) == list(range(200))


def write(folder: Path, *lines: dict | str) -> Path:
    path = folder / feedback.FILE_NAME
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def a_line(result: str, verdict: str, **other) -> dict:
    about = {"model": "lite", "sha256": "3ec2140c914a", "render_factor": 8, "strength": 1.0}
    return {"result": result, "verdict": verdict, **about, **other}


def test_the_last_word_counts_and_damage_is_counted(tmp_path):
    path = write(
        tmp_path, a_line("a", "good"), a_line("b", "good"), a_line("a", "poor"), "", '{"result": "c", "ver', "[]", "7"
    )
    read, damaged = feedback.read(path)
    assert [(line["result"], line["verdict"]) for line in read] == [("b", "good"), ("a", "poor")]
    assert damaged == 3


def test_the_script_sums_up(tmp_path):
    write(
        tmp_path,
        *[a_line(f"a{i}", "good") for i in range(8)],
        *[a_line(f"b{i}", "poor", time="2025-06-01T10:00:00", remark="blotches", photo="ab.jpg") for i in range(2)],
        a_line("c", "poor", sha256="another", strength=1.4),
        "half a li",
    )
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=True)
    head, first, second, *remarks = done.stdout.splitlines()
    assert first.split() == ["lite", "3ec2140c914a", "8", "1.0", "10", "80%", "49%", "to", "94%"]
    assert second.split() == ["lite", "another", "8", "1.4", "1", "0%", "0%", "to", "79%"]
    assert head.index("results") + len("results") == first.index("10 ") + 2, "columns are aligned"
    assert remarks == ["2025-06-01 lite poor: blotches (photos/ab.jpg)"] * 2
    assert done.stderr == "1 damaged lines left out\n"


def test_nothing_to_sum_up(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: ") and "No such file" in done.stderr


def test_the_interval():
    low, high = feedback.wilson(15, 20)
    assert (low, high) == pytest.approx((0.531, 0.888), abs=0.001)  # Wilson's, as in any table of it
    assert feedback.wilson(0, 5)[0] == 0 and feedback.wilson(5, 5)[1] == 1
