"""tools/experiments.py on a plan of two trainings that take seconds."""

import json
import os
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from deoldify_lite.cli.common import single
from deoldify_lite.presets import preset
from deoldify_lite.samples import sample_photos
from helpers.scripts import load_script

ROOT = Path(__file__).parent.parent
SCRIPT = load_script("tools/experiments.py")


def run(*arguments, **variables) -> Result:
    return CliRunner().invoke(single(SCRIPT.main), [*map(str, arguments)], env=variables)


@pytest.fixture
def plan(tmp_path) -> list:
    "A small plan, photos and a page; the arguments that name them."
    photos, references = tmp_path / "photos", tmp_path / "references"
    for folder, box, count in ((photos, (0, 0, 200, 200), 3), (references, (100, 50, 400, 350), 1)):
        folder.mkdir()
        for name, path in sample_photos().items():
            with Image.open(path) as image:
                for i in range(count):
                    moved = tuple(v + 15 * i for v in box)
                    image.convert("RGB").crop(moved).save(folder / f"{Path(name).stem}{i}.png")
    small = {
        "networks.encoder": "test_resnet",
        "networks.pretrained": False,
        "loss.network": "untrained",
        "validation": 0.3,
        "generator_stages": "[{name: a, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4, epochs: 2}]",
    }
    question = {"title": "Pixels", "about": "Which loss?", "runs": {"base": {}, "smooth L1": {"loss.smooth_l1": 0.2}}}
    stages = {"title": "Stages", "about": "How far?", "of": str(tmp_path / "runs/smooth-l1"), "render_factor": 4}
    stages["runs"] = {"after a": {"stage": "generator/1-a"}}
    other = {"title": "Nothing", "about": "?", "of": str(tmp_path / "nowhere"), "runs": {"the end": {}}}
    pair = [str(tmp_path / "runs/smooth-l1")] * 2
    equal = {"title": "Equal", "about": "In colourfulness.", "colorfulness": 5, "runs": {}}
    equal["runs"] |= {"mean of two": {"of": pair, "stage": "generator/1-a"}, "mean of results": {"of": pair}}
    whole = {"base": small, "render_factor": 3, "questions": [question, stages, other, equal]}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(whole))
    page = tmp_path / "page.md"
    page.write_text(
        "# Mine\n<!-- begin: made by tools/experiments.py -->\n<!-- end: made by tools/experiments.py -->\n"
    )
    return ["--plan", tmp_path / "plan.yaml", "--runs", tmp_path / "runs", "--page", page, "--device", "cpu"]


@pytest.mark.slow
def test_it_trains_scores_and_writes_the_table_and_does_nothing_twice(tmp_path, plan, caplog):
    empty = tmp_path / "no weights"
    empty.mkdir()
    variables = {"DEOLDIFY_LITE_WEIGHTS": os.environ.get("DEOLDIFY_LITE_WEIGHTS", str(empty))}
    both = ["--photos", tmp_path / "photos", "--references", tmp_path / "references"]
    result = run(*plan, *both, "--only", "smooth L1", **variables)
    assert result.exit_code == 0, result.stderr
    schedule = yaml.safe_load((tmp_path / "runs/smooth-l1/schedule.yaml").read_text())
    assert schedule["loss"]["smooth_l1"] == 0.2 and schedule["networks"]["encoder"] == "test_resnet"
    trained = row(tmp_path, "smooth L1")
    assert trained[1:] == scores(tmp_path / "runs/smooth-l1") and int(trained[0]) > 0
    assert set(row(tmp_path, "base")) == {"-"}, "it was not asked for"
    before = (tmp_path / "runs/smooth-l1/metrics.json").stat().st_mtime_ns
    names = ("smooth L1", "after a", "the end", "mean of two", "mean of results")
    result = run(*plan, *both, *(word for name in names for word in ("--only", name)), **variables)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "runs/smooth-l1/metrics.json").stat().st_mtime_ns == before
    assert row(tmp_path, "after a") == [trained[0], *scores(tmp_path / "runs/after-a")], "made by the same training"
    mean = row(tmp_path, "mean of two")
    assert int(mean[0]) == 2 * int(trained[0]), "what each of the two saw"
    dull, equal = (score(tmp_path / f"runs/{name}", "colorfulness") for name in ("after-a", "mean-of-two"))
    assert dull < 4 and equal == pytest.approx(5, abs=0.5)
    assert row(tmp_path, "mean of results")[0] == mean[0], "the runs' results, where no stage is named"
    assert "the end is left out: there is no run in" in caplog.text and set(row(tmp_path, "the end")) == {"-"}
    page = (tmp_path / "page.md").read_text()
    elsewhere = run(*plan, "--runs", tmp_path / "other")
    assert elsewhere.exit_code == 2 and "has figures of 'smooth L1', which were not measured here" in elsewhere.stderr
    assert (tmp_path / "page.md").read_text() == page, "no figure is lost"


def row(folder: Path, name: str) -> list[str]:
    "Samples seen and PSNR in the table."
    lines = [[cell.strip() for cell in line.split("|")] for line in (folder / "page.md").read_text().splitlines()]
    line = next(line for line in lines if len(line) > 1 and line[1] == name)
    return [line[2], line[5]]


def score(folder: Path, metric: str) -> float:
    return json.loads((folder / "metrics.json").read_text())["methods"][-1]["scores"][metric]["value"]


def scores(folder: Path) -> list[str]:
    return [f"{score(folder, 'psnr'):.2f}"]


@pytest.mark.parametrize(
    "arguments, message", [(["--only", "magic"], "there are base, smooth L1"), (["--photos", "."], "belong together")]
)
def test_mistakes_get_one_line(plan, arguments, message):
    result = run(*plan, *arguments)
    assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_a_plan_of_what_is_there_already_trains_no_base(plan):
    written = yaml.safe_load(plan[1].read_text())
    plan[1].write_text(yaml.safe_dump(written | {"questions": written["questions"][1:]}))
    result = run(*plan, "--only", "base")
    assert result.exit_code == 2 and "'base': no such experiment" in result.stderr


@pytest.mark.parametrize("name, schedule", [("experiments", "lite"), ("experiments_colour", "projected")])
def test_the_plans_of_the_docs_fit_the_schedule(tmp_path, name, schedule):
    """Every experiment's changes are fields of the preset that it is made of."""
    base, questions = SCRIPT.read_plan(ROOT / f"docs/{name}.yaml", tmp_path)
    every = [base, *(e for question in questions for e in question.experiments)]
    assert len({e.folder for e in every}) == len({e.name for e in every}), "each has a folder of its own"
    stages = {f"generator/{i}-{s.name}" for i, s in enumerate(preset(schedule).generator_stages, 1)}
    for experiment in every:
        changed = dict(text.split("=", 1) for text in experiment.settings)
        assert experiment.changes.get("stage") in {None, *stages}
        assert preset(schedule).override(changed) != preset(schedule) or experiment.of or not experiment.changes
