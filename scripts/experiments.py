"""Train and judge the short experiments of docs/experiments.yaml, and write their table into docs/experiments.md.

python scripts/experiments.py --photos PHOTOS --truths VALIDATION              all of them
python scripts/experiments.py --photos PHOTOS --truths VALIDATION --only RGB   one
python scripts/experiments.py                                                  the table alone, of what is done

Each training is scripts/nogan.py's, in a run folder of its own; what was begun goes on, what is done is not done again.
"""

import json
import logging
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.cli import USAGE, Device, fail, script

DOCS = Path(__file__).parent.parent / "docs"
FIGURES = ("lpips_alex", "psnr", "colourfulness", "colourfulness_gap", "fd_vgg16")


def experiments(
    photos: Annotated[Path | None, typer.Option(help="Photos to train on.")] = None,
    truths: Annotated[Path | None, typer.Option(help="Photos to judge on; none of them among the others.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Experiments to run, by name; by default all.")] = None,
    plan: Annotated[Path, typer.Option(help="The experiments.")] = DOCS / "experiments.yaml",
    runs: Annotated[Path, typer.Option(help="Folder for run folders and figures.")] = Path("runs/experiments"),
    page: Annotated[Path, typer.Option(help="Markdown with markers for the table.")] = DOCS / "experiments.md",
    device: Device = "auto",
) -> None:
    "Train with one thing changed at a time and judge what comes out."
    import yaml

    from deoldify_lite.evaluate.comparison import write_between_markers
    from deoldify_lite.files import write_atomically

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    planned = yaml.safe_load(plan.read_text(encoding="utf-8"))
    every = {name: planned["base"] | changes for q in planned["questions"] for name, changes in q["runs"].items()}
    if unknown := sorted(set(only or ()) - every.keys()):
        raise fail(f"--only {unknown[0]!r}: no such experiment; there are {', '.join(every)}", USAGE)
    chosen = {name: changes for name, changes in every.items() if name in (only or every)}
    if photos or truths:
        if not (photos and truths):
            raise fail("--photos and --truths belong together", USAGE)
        for name, changes in chosen.items():
            train_and_judge(runs / folder_name(name), changes, photos, truths, planned["render_factor"], device)
    tables = "\n\n".join(table(question, runs) for question in planned["questions"])
    write_atomically(page, write_between_markers(page.read_text(encoding="utf-8"), tables, "experiments"))
    typer.echo(page)


def folder_name(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-").lower()


def train_and_judge(folder: Path, changes: dict, photos: Path, truths: Path, render_factor: int, device: str) -> None:
    "The generator stages into `folder`, then `folder`/metrics.json, as scripts/evaluate.py writes it."
    from deoldify_lite.device import pick_device
    from deoldify_lite.evaluate.evaluation import evaluate
    from deoldify_lite.evaluate.output import as_json
    from deoldify_lite.evaluate.subjects import find_subjects
    from deoldify_lite.evaluate.truths import choose_protocol, find_truths
    from deoldify_lite.files import write_atomically
    from deoldify_lite.training.nogan import run_nogan
    from deoldify_lite.training.run import open_run

    if (folder / "metrics.json").exists():
        return
    settings = [] if (folder / "schedule.yaml").exists() else overrides(changes)
    run = open_run(folder, [photos], "lite", settings, device=device, cache=folder.parent / "photos")
    weights = run_nogan(run, "generator")
    protocol = choose_protocol("all", None, None)
    found, _ = find_truths([truths])
    subjects, _ = find_subjects([f"ours={weights}"], [], found, found, device, "auto", render_factor)
    judged = evaluate(found, subjects, protocol, [], pick_device(device), folder.parent / "records.sqlite")
    write_atomically(folder / "metrics.json", json.dumps(as_json(judged), indent=1) + "\n")


def overrides(changes: dict) -> list[str]:
    "As `--set` wants them."
    return [f"{field}={json.dumps(value) if isinstance(value, bool) else value}" for field, value in changes.items()]


def table(question: dict, runs: Path) -> str:
    "A heading, what was asked, and a row for each of its experiments; the base comes first in each."
    names = list(dict.fromkeys(["base", *question["runs"]]))
    lines = [
        f"### {question['title']}",
        question["about"],
        figures_table([(name, runs / folder_name(name)) for name in names]),
        "\n".join(
            f"- {name}: `--set {' --set '.join(shlex.quote(c) for c in overrides(changes))}`"
            for name, changes in question["runs"].items()
            if changes
        ),
    ]
    return "\n\n".join(lines)


def figures_table(rows: list[tuple[str, Path]]) -> str:
    "A row for each experiment: what it cost, and its figures, or dashes where it has not been made."
    from deoldify_lite.evaluate.comparison import markdown_table
    from deoldify_lite.evaluate.figures import text

    cells = []
    for name, folder in rows:
        done = (folder / "metrics.json").exists()
        stages = [json.loads(stage.read_text()) for stage in sorted(folder.glob("*/*/done.json"))] if done else []
        figures = json.loads((folder / "metrics.json").read_text())["subjects"][-1]["figures"] if done else {}
        cost = [
            f"{sum(stage['presentations'] for stage in stages):,}" if done else "-",
            f"{sum(stage['seconds'] for stage in stages) / 60:.0f}" if done else "-",
        ]
        cells.append([name, *cost, *(text(key, figures.get(key, {}).get("value")) for key in FIGURES)])
    return markdown_table(cells, FIGURES, "presentations", "minutes")


if __name__ == "__main__":
    script(experiments)
