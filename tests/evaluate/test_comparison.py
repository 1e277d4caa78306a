"""The docs table: made of metrics.json files, and of nothing else."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deoldify_lite.cli.common import single
from deoldify_lite.cli.compare import compare
from deoldify_lite.errors import UsageError
from deoldify_lite.evaluate.comparison import (
    BEGIN,
    END,
    comparison,
    published_table,
    read_methods,
    write_between_markers,
)
from deoldify_lite.evaluate.tables import score_table

ROOT = Path(__file__).parents[2]
PUBLISHED = yaml.safe_load((ROOT / "docs" / "published.yaml").read_text())


def method(name: str, kind: str = "generator", **values: float | None) -> dict:
    about = {
        "photos_sha256": "f" * 64,
        "n": 7,
        "sha256": name * 64,
        "render_factor": 8,
        "precision": "float32",
        "device": "cpu",
    }
    depends_on = {**about, "versions": {"torch": "2.0"}, "network": "a network", "network_sha256": "e" * 64}
    scores = {name: {"value": value, "depends_on": depends_on} for name, value in values.items()}
    return {"name": name, "kind": kind, **about, "scores": scores}


METRICS = {
    "size": 256,
    "crop": "middle square",
    "methods": [
        method("ground truth", "ground_truth", psnr="Infinity", lpips_alex=0.0, fid=None),
        method("grayscale input", "grayscale", psnr=20.0, lpips_alex=0.4, fid=None),
        method("a", psnr=24.123, lpips_alex=0.12345, fid=None),
        method("b", psnr=23.0, lpips_alex=0.11111, fid=None),
    ],
}


def write(path: Path, metrics: dict) -> Path:
    path.write_text(json.dumps(metrics))
    return path


def test_the_table_has_the_scores_and_marks_the_best():
    table = score_table(METRICS["methods"]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert [row[0] for row in cells] == ["", "---", "grayscale input", "a", "b", "ground truth"]
    assert cells[0][1].startswith("LPIPS") and cells[0][2].startswith("PSNR") and len(cells[0]) == 3, (
        "FID, which no method has, is left out"
    )
    assert cells[2][1:] == ["0.4000", "20.00"] and cells[5][1:] == ["0.0000", "∞"]
    assert cells[3][1:] == ["0.1235", "**24.12**"] and cells[4][1:] == ["**0.1111**", "23.00"]


def test_published_scores_are_marked_as_about_other_photos(tmp_path):
    text = comparison(read_methods([write(tmp_path / "metrics.json", METRICS)]), PUBLISHED)
    assert "cannot be ranked" in text and "2212.11613" in text
    ddcolor = next(line for line in text.splitlines() if "DDColor-L" in line)
    assert [cell.strip() for cell in ddcolor.split("|")[2:-1]] == ["228", "3.92", "38.26", "0.05", "23.85"]
    assert text.count("aaaaaaaaaaaa") == 1 and "a network (eeeeeeeeeeee)" in text, (
        "weights and networks by their hashes"
    )


def test_the_published_gaps_belong_to_one_set_of_photos():
    """Each system is as far from the same ground truth as its gap says: no number was mistyped."""
    for system in PUBLISHED["systems"]:
        assert abs(38.21 - system["colorfulness_abs"]) == pytest.approx(system["colorfulness_abs_gap"], abs=0.011), (
            system
        )


def test_several_files_make_one_table(tmp_path):
    more = copy.deepcopy(METRICS)
    more["methods"][2:] = [method("c", psnr=30.0)]
    found = read_methods([write(tmp_path / "1.json", METRICS), write(tmp_path / "2.json", more)])
    assert [s["name"] for s in found] == ["ground truth", "grayscale input", "a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["methods"][0].update(photos_sha256="0" * 64), "other photos"),
        (lambda m: m["methods"][2].update(photos_sha256="0" * 64), "another 'a'"),
        (lambda m: m["methods"][2].update(render_factor=16), "another 'a'"),
        (lambda m: m["methods"].pop(0), "not a metrics.json"),
        (lambda m: m.update(size=128), "another size"),
        (lambda m: m["methods"][2].update(sha256="0" * 64), "another 'a'"),
        (lambda m: m.pop("methods"), "not a metrics.json"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, change, words):
    other = copy.deepcopy(METRICS)
    change(other)
    with pytest.raises(UsageError, match=words):
        read_methods([write(tmp_path / "1.json", METRICS), write(tmp_path / "2.json", other)])


def test_only_what_is_between_the_markers_changes():
    begin, end = BEGIN.format("scripts/compare.py"), END.format("scripts/compare.py")
    page = f"# Title\n\n{begin}\nold\n{end}\n\nThe end.\n"
    once = write_between_markers(page, "new")
    assert once == f"# Title\n\n{begin}\n\nnew\n\n{end}\n\nThe end.\n"
    assert write_between_markers(once, "new") == once
    with pytest.raises(UsageError, match="place for the table"):
        write_between_markers("# Title", "new")


def test_the_command_writes_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = tmp_path / "page.md"
    page.write_text("\n".join(marker.format("scripts/compare.py") for marker in (BEGIN, END)))
    metrics = write(tmp_path / "metrics.json", METRICS)
    run = lambda *arguments: CliRunner().invoke(single(compare), list(map(str, arguments)))  # noqa: E731
    result = run(metrics, "--page", page)
    assert (result.exit_code, result.stdout.strip()) == (0, str(page))
    assert "**24.12**" in page.read_text()
    before = page.read_text()
    result = run(tmp_path / "gone.json", "--page", page)
    assert result.exit_code == 2 and "gone.json: No such file" in result.stderr
    assert run(metrics, "--page", tmp_path / "gone.md").exit_code == 2
    assert page.read_text() == before


def test_the_page_of_the_docs_has_the_published_scores_of_the_data_file():
    page = (ROOT / "docs" / "comparison.md").read_text()
    rows = published_table(PUBLISHED).splitlines()[2:]
    assert len(rows) == len(PUBLISHED["systems"])
    for row in rows:
        assert "".join(row.split()) in "".join(page.split()), row


def test_a_method_with_fewer_photos_says_so_and_does_not_compete(tmp_path):
    fewer = method("easy", psnr=40.0) | {"n": 3, "photos_sha256": "0" * 64}
    metrics = METRICS | {"methods": [*METRICS["methods"], fewer]}
    table = score_table(read_methods([write(tmp_path / "metrics.json", metrics)]))
    assert "easy (3 of 7 photos)" in table and "**40.00**" not in table and "**24.12**" in table


def test_a_method_set_apart_does_not_compete():
    table = score_table([*METRICS["methods"], method("c", psnr=40.0)], apart=["c"])
    assert "| 40.00 " in table and "**24.12**" in table


def test_distances_of_any_feature_network_have_a_column():
    table = score_table([*METRICS["methods"], method("c", fd_tf_efficientnet_lite0=1.5)])
    assert "FD tf_efficientnet_lite0" in table and "1.500" in table
