"""scripts/evaluate.py: its arguments, what it says, and how it ends."""

import json

import pytest
from typer.testing import CliRunner

pytestmark = pytest.mark.usefixtures("one_thread", "networks")


@pytest.fixture
def run(load_script, tmp_path):
    """Run the script in this process, quickly."""

    def call(*arguments):
        given = ["--out", tmp_path / "out", "--size", 64, "--device", "cpu", "--precision", "float32", *arguments]
        return CliRunner().invoke(load_script("evaluate"), list(map(str, given)))

    return call


def test_lists_after_one_option(load_module):
    one_each = load_module("evaluate").one_each
    given = ["P", "--weights", "a", "b", "--out", "d", "--results", "x=y", "z=w", "--limit", "3"]
    expected = ["P", "--weights", "a", "--weights", "b", "--out", "d"]
    expected += ["--results", "x=y", "--results", "z=w", "--limit", "3"]
    assert one_each(given) == one_each(expected) == expected
    options_first = ["--weights", "a", "P"]
    assert one_each(options_first) == options_first
    assert one_each([]) == []


def test_table_on_stdout_report_in_the_folder(run, photos, weights, tmp_path):
    result = run("--weights", f"tiny={weights}", "--render-factor", 4, "--limit", 4, photos)
    assert result.exit_code == 0, result.output
    *table, path = result.stdout.splitlines()
    assert path == str(tmp_path / "out" / "report.html")
    assert [line.split("|")[1].strip() for line in table[2:]] == ["grayscale input", "tiny", "ground truth"]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["n"], metrics["size"], metrics["limit"], metrics["problems"]) == (4, 64, 4, [])


def test_something_left_out_ends_with_1(run, photos, weights, tmp_path):
    (photos / "bad.jpg").write_text("Dear grandmother")
    result = run("--weights", f"tiny={weights}", "--weights", "gone=gone.safetensors", photos)
    assert result.exit_code == 1
    assert "gone is left out: weights 'gone.safetensors': no such file" in result.stderr
    assert "bad.jpg is left out: not a photo" in result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(metrics["problems"]) == 2 and metrics["n"] == 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["gone"], 2, "gone: no such file"),
        (["--protocol", "val5k"], 2, "5000 photos at 256"),
        (["--weights", "a=lite", "--weights", "a=lite"], 2, "give them names"),
        (["--weights", "gone.safetensors"], 3, "nothing left to score"),
        (["--device", "cuda:77"], 3, "not available"),
        (["--precision", "float8"], 2, "unknown"),
    ],
)
def test_mistakes_end_with_a_sentence(run, photos, weights, arguments, code, words):
    given = [f"a={weights}" if argument == "a=lite" else argument for argument in arguments]
    result = run(*given, *([] if "gone" in given else [photos]))
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr and "Traceback" not in result.stderr


def test_damaged_records_end_with_a_sentence(run, photos, weights, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "records.sqlite").write_bytes(b"no database, that is for sure" * 100)
    result = run("--weights", weights, photos)
    assert result.exit_code == 1 and "records.sqlite" in result.stderr and "delete it" in result.stderr


def test_an_interrupt_ends_with_130(run, photos, weights, monkeypatch):
    from deoldify_lite.evaluate import evaluation

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "evaluate", interrupted)
    result = run("--weights", weights, photos)
    assert result.exit_code == 130 and "goes on from here" in result.stderr
