"""The command `evaluate`: its arguments, its output and its exit codes."""

import json

import pytest
from typer.testing import CliRunner

from deoldify_lite.cli.common import repeat_options, single
from deoldify_lite.cli.evaluate import evaluate

pytestmark = pytest.mark.usefixtures("networks")


@pytest.fixture
def run(tmp_path):
    """Run the command in this process, quickly."""

    def call(*arguments):
        given = ["--out", tmp_path / "out", "--size", 64, "--device", "cpu", "--precision", "float32", *arguments]
        return CliRunner().invoke(single(evaluate), list(map(str, given)))

    return call


def test_several_values_after_one_option():
    lists = {"--weights", "--results"}
    given = ["P", "--weights", "a", "b", "--out", "d", "--results", "x=y", "z=w", "--limit", "3"]
    expected = ["P", "--weights", "a", "--weights", "b", "--out", "d"]
    expected += ["--results", "x=y", "--results", "z=w", "--limit", "3"]
    assert repeat_options(given, lists) == repeat_options(expected, lists) == expected
    options_first = ["--weights", "a", "P"]
    assert repeat_options(options_first, lists) == options_first
    assert repeat_options([], lists) == []


def test_the_command_takes_several_values_after_one_option(photos, weights, tmp_path):
    given = [photos, "--weights", f"a={weights}", f"b={weights}", "--size", 64, "--out", tmp_path, "--device", "cpu"]
    result = CliRunner().invoke(single(evaluate), list(map(str, given)))
    assert result.exit_code == 0, result.output
    assert [line.split("|")[1].strip() for line in result.stdout.splitlines()[3:5]] == ["a", "b"]


def test_table_on_stdout_report_in_the_folder(run, photos, weights, tmp_path):
    result = run("--weights", f"tiny={weights}", "--render-factor", 4, "--limit", 4, photos)
    assert result.exit_code == 0, result.output
    *table, path = result.stdout.splitlines()
    assert path == str(tmp_path / "out" / "report.html")
    assert [line.split("|")[1].strip() for line in table[2:]] == ["grayscale input", "tiny", "ground truth"]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["n"], metrics["size"], metrics["limit"], metrics["problems"]) == (4, 64, 4, [])


@pytest.mark.slow
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
