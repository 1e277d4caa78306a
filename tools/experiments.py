"""Train and score the short experiments of docs/experiments.yaml, and write their tables into docs/experiments.md.

python tools/experiments.py --photos PHOTOS --references VALIDATION              all of them
python tools/experiments.py --photos PHOTOS --references VALIDATION --only RGB   one
python tools/experiments.py                                                  the tables alone, of what is done

Each training is scripts/nogan.py's, in a run folder of its own; what was begun goes on, what is done is not done again.
A question or a row that is `of` a run folder trains nothing: it is about that run's result, a stage of it, or other
post-processing of it; `of` several runs, about the mean of their weights. A question with `colorfulness` has all of its
rows at that mean colourfulness, by a gain before the generators' last sigmoid, so that saturation decides nothing.
"""

import json
import logging
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import typer

from deoldify_lite.cli.common import Device, script
from deoldify_lite.errors import UsageError

DOCS = Path(__file__).parent.parent / "docs"
METRICS = ("lpips_alex", "psnr", "colorfulness", "colorfulness_gap", "fd_vgg16")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    "One row: the schedule's fields that it changes, or a stage of a run that is there already."

    name: str
    changes: dict[str, Any]
    folder: Path  # for its scores, and what it trains
    render_factor: int
    of: tuple[Path, ...] = ()  # the runs that it is about, where it trains nothing
    colorfulness: float = 0.0  # scored at this mean colourfulness; 0: as it is

    @property
    def settings(self) -> list[str]:
        "The changes as `--set` wants them."
        fields = {k: v for k, v in self.changes.items() if k not in ("stage", "of")}
        return [f"{k}={json.dumps(v) if isinstance(v, bool) else v}" for k, v in fields.items()]

    @property
    def scores(self) -> dict[str, Any]:
        "What was measured, or nothing yet."
        metrics = self.folder / "metrics.json"
        return json.loads(metrics.read_text())["methods"][-1]["scores"] if metrics.exists() else {}


@dataclass(frozen=True)
class Question:
    "A table."

    title: str
    about: str
    experiments: list[Experiment]


def main(
    photos: Annotated[Path | None, typer.Option(help="Photos to train on.")] = None,
    references: Annotated[Path | None, typer.Option(help="Photos to score on; none of them among the others.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Experiments to run, by name; by default all.")] = None,
    plan: Annotated[Path, typer.Option(help="The experiments.")] = DOCS / "experiments.yaml",
    runs: Annotated[
        Path | None, typer.Option(help="Folder for run folders and scores; by default runs/NAME of the plan.")
    ] = None,
    page: Annotated[Path, typer.Option(help="Markdown with markers for the table.")] = DOCS / "experiments.md",
    device: Device = "auto",
) -> None:
    "Train with one thing changed at a time and score what comes out."
    from deoldify_lite.evaluate.comparison import write_between_markers
    from deoldify_lite.files import write_atomically

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    base, questions = read_plan(plan, runs or Path("runs") / plan.stem)
    rows = [e for q in questions for e in q.experiments]
    trained = [base] if any(not e.of for e in rows) else []  # what is there already is compared with itself
    every = {e.name: e for e in [*trained, *rows]}
    if unknown := sorted(set(only or ()) - every.keys()):
        raise UsageError(f"--only {unknown[0]!r}: no such experiment; there are {', '.join(every)}")
    if bool(photos) != bool(references):
        raise UsageError("--photos and --references belong together")
    names = [*(only or every)] if photos else []
    text = page.read_text(encoding="utf-8")
    check_nothing_is_lost(page, text, [experiment for experiment in rows if experiment.name not in names])
    for name in names:
        train_and_score(every[name], photos, references, device)
    check_nothing_is_lost(page, text, rows)  # what is left out has no scores
    tables = "\n\n".join(table(question, base) for question in questions)
    write_atomically(page, write_between_markers(text, tables, "tools/experiments.py"))
    typer.echo(page)


def read_plan(plan: Path, runs: Path) -> tuple[Experiment, list[Question]]:
    "The training that all others are compared with, and the questions; `runs` is the folder for all of it."
    import yaml

    planned = yaml.safe_load(plan.read_text(encoding="utf-8"))

    def experiment(name: str, changes: dict[str, Any], question: dict[str, Any]) -> Experiment:
        of = changes.get("of", question.get("of", []))
        of = tuple(map(Path, [of] if isinstance(of, str) else of))
        folder = runs / re.sub(r"\W+", "-", name).strip("-").lower()
        factor = question.get("render_factor", planned["render_factor"])
        settings = changes if of else planned["base"] | changes
        return Experiment(name, settings, folder, factor, of, question.get("colorfulness", 0.0))

    questions = [
        Question(q["title"], q["about"], [experiment(name, changes, q) for name, changes in q["runs"].items()])
        for q in planned["questions"]
    ]
    return experiment("base", {}, {}), questions


def train_and_score(experiment: Experiment, photos: Path, references: Path, device: str) -> None:
    "What the experiment is about, then `metrics.json` in its folder, as scripts/evaluate.py writes it."
    from deoldify_lite.evaluate.evaluation import evaluate
    from deoldify_lite.evaluate.output import as_json
    from deoldify_lite.files import write_atomically

    if experiment.scores:
        return
    if absent := [run for run in experiment.of if not (run / "schedule.yaml").exists()]:
        log.warning("%s is left out: there is no run in %s", experiment.name, absent[0])
        return
    weights = remade(experiment, device) if experiment.of else trained(experiment, photos, device)
    if experiment.colorfulness:
        weights = scaled(weights, experiment, references, device)
    records = experiment.folder.parent / "records.sqlite"
    factor = experiment.render_factor
    evaluation = evaluate([references], [f"ours={weights}"], [], records, device=device, render_factor=factor)
    write_atomically(experiment.folder / "metrics.json", json.dumps(as_json(evaluation), indent=1) + "\n")


def trained(experiment: Experiment, photos: Path, device: str) -> Path:
    "Weights of the generator stages, trained in the experiment's folder."
    from deoldify_lite.training.nogan import run_nogan
    from deoldify_lite.training.run import open_run

    folder = experiment.folder
    settings = [] if (folder / "schedule.yaml").exists() else experiment.settings
    run = open_run(folder, [photos], "lite", settings, device=device, cache=folder.parent / "photos")
    return run_nogan(run, "generator")


def remade(experiment: Experiment, device: str) -> Path:
    "Weights of a stage of the run that the experiment is of, or of its newest GAN phase, or the mean of several runs'."
    import torch

    from deoldify_lite.modeling.weights import average_weights, save_weights
    from deoldify_lite.training.nogan import postprocessed
    from deoldify_lite.training.run import open_run

    stage, weights = experiment.changes.get("stage"), experiment.folder / "generator.safetensors"
    parts = [run / stage / "weights.safetensors" if stage else run / "generator.safetensors" for run in experiment.of]
    if len(parts) > 1:
        average_weights(parts, weights)
        return weights
    if stage:
        return parts[0]
    done = postprocessed(open_run(experiment.of[0], changes=experiment.settings, device=device))
    save_weights(None, weights, config=done.config, state=done.state, dtype=torch.float16)
    return weights


def scaled(weights: Path, experiment: Experiment, references: Path, device: str) -> Path:
    "Its weights with the head scaled to the experiment's mean colourfulness, on up to 125 of the references."
    import torch
    from torchvision.transforms.functional import to_tensor

    from deoldify_lite.device import pick_device
    from deoldify_lite.evaluate.references import find_references
    from deoldify_lite.modeling.weights import load_generator, save_weights
    from deoldify_lite.sources import spread
    from deoldify_lite.training.degradation import grayscale_input
    from deoldify_lite.training.postprocess import scale_to_colorfulness

    on = pick_device(device)
    generator = load_generator(weights).to(on).eval()
    found, side = find_references([references])[0], 16 * experiment.render_factor
    photos = torch.stack([to_tensor(found[i].crop(side)) for i in spread(125, len(found))]).to(on)
    report = scale_to_colorfulness(generator, grayscale_input(photos), photos, experiment.colorfulness, (0.25, 4.0))
    log.info("%s: %s", experiment.name, report)
    save_weights(generator, experiment.folder / "scaled.safetensors")
    return experiment.folder / "scaled.safetensors"


def cost(experiment: Experiment) -> tuple[int, float]:
    """Samples seen, and seconds, of all stages that made it, without those of the weights that its run began with.

    Seconds by the speeds that a stage recorded, but for those below a fifth of the usual: clocks go on while a training
    is paused.
    """
    costs = [run_cost(folder, experiment.changes) for folder in experiment.of or [experiment.folder]]
    return sum(samples for samples, _ in costs), sum(seconds for _, seconds in costs)


def run_cost(folder: Path, changes: dict[str, Any]) -> tuple[int, float]:
    "Samples seen, and seconds, of a run as far as it is in an experiment with such changes."
    from deoldify_lite.training.log import read_logs

    stages = sorted(folder.glob("*/*/done.json"))
    if changes.get("postprocess.interpolation") == 0:  # nothing of the GAN phase is in it
        stages = [s for s in stages if s.is_relative_to(folder / "generator")]
    if last := changes.get("stage"):
        stages = [s for s in stages if s.is_relative_to(folder / "generator") and s.parent.name <= Path(last).name]
    logs, samples, seconds = read_logs(folder), 0, 0.0
    for stage in stages:
        done = json.loads(stage.read_text())
        shown = done["samples_seen"]
        rows = logs.get(stage.parent.relative_to(folder).as_posix(), ())
        paces = [1 / row["samples_per_second"] for row in rows if "samples_per_second" in row]
        usual = median(paces) if paces else 0
        awake = [pace for pace in paces if pace < 5 * usual]
        seconds += shown * mean(awake) if awake else done["seconds"]
        samples += shown
    return samples, seconds


def table(question: Question, base: Experiment) -> str:
    "A heading, what was asked, and a row for each of its experiments, after the base where they are trained like it."
    trains = any(not experiment.of for experiment in question.experiments)
    rows = [base, *(e for e in question.experiments if e.name != base.name)] if trains else question.experiments
    lines = [f"### {question.title}", question.about, metrics_table(rows)]
    if changed := [(e.name, changes) for e in question.experiments if (changes := beyond(e, base))]:
        lines.append("\n".join(f"- {name}: `--set {' --set '.join(map(shlex.quote, new))}`" for name, new in changed))
    return "\n\n".join(lines)


def beyond(experiment: Experiment, base: Experiment) -> list[str]:
    "Its settings but for those of the base."
    return [setting for setting in experiment.settings if experiment.of or setting not in base.settings]


def check_nothing_is_lost(page: Path, text: str, experiments: list[Experiment]) -> None:
    "Refuse to write dashes in the place of the figures that a page with this `text` has."
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.count("|") > 3]
    measured = {row[1] for row in rows if row[2][:1].isdigit()}
    if lost := [each.name for each in experiments if not each.scores and each.name in measured]:
        raise UsageError(
            f"{page} has figures of {lost[0]!r}, which were not measured here and would be lost: name a page of your "
            "own with --page, which needs the two markers"
        )


def metrics_table(experiments: list[Experiment]) -> str:
    "A row for each experiment: what it cost, and its scores, or dashes where it has not been made."
    from deoldify_lite.evaluate.tables import markdown_table
    from deoldify_lite.metrics.info import as_text

    rows = []
    for experiment in experiments:
        scores = experiment.scores
        samples, seconds = cost(experiment) if scores else (None, None)
        spent = [f"{samples:,}", f"{seconds / 60:.0f}"] if scores else ["-", "-"]
        rows.append([experiment.name, *spent, *(as_text(k, scores.get(k, {}).get("value")) for k in METRICS)])
    return markdown_table(rows, METRICS, "samples seen", "minutes")


if __name__ == "__main__":
    script(main)
