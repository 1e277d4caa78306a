"""How much hints help, and how different several answers are, on photos whose colours are known.

    python -m benchmarks.hints PHOTOS --photos 500 --variant-photos 60      # goes on where it was stopped
    ... --page docs/hints.md                                                # writes the page's tables and figure, too

A hint is the mean colour of a square of PATCH pixels of the photo itself, at a place drawn at random. Places depend on
the photo alone, and the hints of a smaller number are among those of a larger one. Each photo is its center crop. Hints
spread by least squares and, where the weights have a branch for hints beside them, by that.
"""

import hashlib
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from PIL import Image
from torch import Tensor

from deoldify_lite import Colorizer, color
from deoldify_lite.cli.common import Weights, script
from deoldify_lite.colorize.hints import Hint
from deoldify_lite.colorize.prepared import PreparedPhoto
from deoldify_lite.device import pick_device
from deoldify_lite.errors import Unavailable
from deoldify_lite.evaluate.comparison import write_between_markers
from deoldify_lite.evaluate.evaluator import Evaluator, MethodScores
from deoldify_lite.evaluate.measurements import Measurement, open_measurements
from deoldify_lite.evaluate.methods import Method, Predict, ground_truth
from deoldify_lite.evaluate.protocol import Protocol
from deoldify_lite.evaluate.records import Records
from deoldify_lite.evaluate.references import Reference, find_references
from deoldify_lite.files import atomic_path, sha256, write_atomically
from deoldify_lite.metrics.sets import frechet_distance
from deoldify_lite.modeling.weights import find_weights
from deoldify_lite.models import hint_branch_file
from deoldify_lite.sources import spread

COUNTS = (0, 1, 2, 5, 10, 50, 100)  # of hints
PATCH = 6  # pixels, as Zhang et al. 2017 reveal
VARIANTS = 4
AB_SIDE = 64  # at which variants are compared, as means of CIE a and b
CODE = ("hints", "spreading", "prepared", "engine", "variants", "../modeling/hint_branch")  # decide the results
SCRIPT = "benchmarks/hints.py"


def revealed_hints(reference: Reference, crop: Image.Image, count: int) -> list[Hint]:
    "The first `count` hints for a photo."
    draw = np.random.default_rng(int(reference.sha256[:16], 16))
    corners = draw.integers(0, crop.width - PATCH + 1, (max(COUNTS), 2))[:count]
    pixels = np.asarray(crop, np.float64)
    patches = (pixels[top : top + PATCH, left : left + PATCH].mean((0, 1)) for left, top in corners)
    return [
        Hint(left + PATCH / 2, top + PATCH / 2, tuple(int(channel) for channel in patch.round()))
        for (left, top), patch in zip(corners.tolist(), patches)
    ]


Answer = Callable[[PreparedPhoto, Reference, Image.Image], Image.Image]


def method(name: str, colorizer: Colorizer, about: dict[str, Any], answer: Answer) -> Method:
    "A way of colorizing the grayscale crop, which `answer` is given prepared."

    def predict(reference: Reference, crop: Image.Image) -> Image.Image:
        return answer(colorizer.prepare(crop.convert("L")), reference, crop)

    def opened() -> Predict:
        return predict

    return Method(name, "generator", about, opened)


def hint_methods(colorizer: Colorizer, about: dict[str, Any], way: str) -> dict[int, Method]:
    "By the number of hints, which spread in this way (`PreparedPhoto.method`)."

    def answer(count: int) -> Answer:
        def colorized(prepared: PreparedPhoto, reference: Reference, crop: Image.Image) -> Image.Image:
            prepared.method = way
            return prepared.colorize(revealed_hints(reference, crop, count))

        return colorized

    about = about | {"patch": PATCH, "way": way}
    return {n: method(f"{n} hints, {way}", colorizer, about | {"hints": n}, answer(n)) for n in COUNTS}


def variant_methods(colorizer: Colorizer, about: dict[str, Any]) -> list[Method]:
    "The first variant, the second, ..."

    def answer(i: int) -> Answer:
        return lambda prepared, reference, crop: prepared.colorize(prepared.variants(VARIANTS)[i])

    return [method(f"variant {i + 1}", colorizer, about | {"variant": i}, answer(i)) for i in range(VARIANTS)]


def mean_ab(images: Tensor, targets: Tensor) -> Tensor:
    "CIE a and b of images (N, 3, H, W) as means over squares, (N, 2 x AB_SIDE x AB_SIDE)."
    return F.adaptive_avg_pool2d(color.rgb_to_lab(images)[:, 1:], AB_SIDE).flatten(1)


def score_hints(scored: dict[int, MethodScores]) -> list[dict[str, float]]:
    "A row for each number of hints."
    none = scored[0].scores["psnr"].value
    rows = []
    for count, row in scored.items():
        psnr, lpips = row.scores["psnr"], row.scores["lpips_alex"]
        rows.append({"hints": count, "psnr": psnr.value, "psnr_error": psnr.standard_error, "gain": psnr.value - none})
        rows[-1] |= {"lpips": lpips.value, "lpips_error": lpips.standard_error}
    return rows


def score_variants(scored: list[MethodScores], records: dict[str, list[Tensor]]) -> dict[str, float]:
    "What is said of the variants of a photo together. `records`: by measurement, of the truth and of each variant."
    psnr, lpips = (torch.stack([row.image_scores[name] for row in scored]) for name in ("psnr", "lpips_alex"))
    _, *ab = (each.view(len(each), 2, -1) for each in records["mean_ab"])
    apart = [(one - other).norm(dim=1).mean(1) for one, other in combinations(ab, 2)]
    truth, *features = records["vgg16"]
    return {
        "distance": float(torch.stack(apart).mean()),
        "psnr_first": float(psnr[0].mean()),
        "psnr_best": float(psnr.max(0).values.mean()),
        "lpips_first": float(lpips[0].mean()),
        "lpips_best": float(lpips.min(0).values.mean()),
        "fd_first": frechet_distance(features[0], truth),
        "fd_all": frechet_distance(torch.cat(features), truth),
        "fd_worst": max(frechet_distance(each, truth) for each in features),
    }


def hint_table(ways: dict[str, list[dict[str, float]]]) -> str:
    "Rows of `score_hints` by the way that hints spread, side by side."
    titles = ["hints"]
    for way in ways:
        titles += [f"PSNR in dB ↑, {way}", "more than without", "LPIPS ↓"]
    lines = [f"| {' | '.join(titles)} |", f"|{' ---: |' * len(titles)}"]
    for rows in zip(*ways.values()):
        cells = [f"{rows[0]['hints']}"]
        for row in rows:
            cells.append(f"{row['psnr']:.2f} ± {row['psnr_error']:.2f}")
            cells.append(f"{row['gain']:+.2f}" if row["hints"] else "")
            cells.append(f"{row['lpips']:.4f} ± {row['lpips_error']:.4f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def variant_table(scores: dict[str, float]) -> str:
    lines = [
        f"| {VARIANTS} variants of each photo | the first | the best of them | all of them |",
        "| --- | ---: | ---: | ---: |",
        f"| PSNR in dB ↑ | {scores['psnr_first']:.2f} | {scores['psnr_best']:.2f} | |",
        f"| LPIPS ↓ | {scores['lpips_first']:.4f} | {scores['lpips_best']:.4f} | |",
        f"| FD of VGG16 features ↓ | {scores['fd_first']:.3f} | | {scores['fd_all']:.3f} |",
        f"| distance between two in CIE ab | | | {scores['distance']:.2f} |",
    ]
    return "\n".join(lines)


def draw_figure(ways: dict[str, list[dict[str, float]]], path: Path) -> None:
    "PSNR and LPIPS by the number of hints, a line for each way that they spread."
    from matplotlib.figure import Figure

    figure = Figure((8, 3), layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 2), ("psnr", "lpips"), ("PSNR in dB", "LPIPS")):
        for way, rows in ways.items():
            errors = [1.96 * row[f"{name}_error"] for row in rows]
            counts, values = ([row[key] for row in rows] for key in ("hints", name))
            axes.errorbar(counts, values, errors, marker="o", capsize=3, label=way)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks(COUNTS, map(str, COUNTS))
        axes.set_xlabel("hints")
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def main(
    photos: Annotated[list[Path], typer.Argument(help="Folders, photos or tar archives, in colour.")],
    limit: Annotated[int | None, typer.Option("--photos", min=2, help="Only so many photos, evenly spread.")] = None,
    variant_limit: Annotated[
        int | None,
        typer.Option("--variant-photos", min=2, help="Variants, which take longer, only of so many of them."),
    ] = None,
    weights: Weights = "lite",
    size: Annotated[int, typer.Option(min=64, help="Side of each photo's center crop in pixels.")] = 256,
    out: Annotated[Path, typer.Option(help="Folder for scores and records.")] = Path("runs/hints"),
    page: Annotated[
        Path | None, typer.Option(help="A Markdown page with markers for the tables; and a figure.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    "Measure hints and variants, print the tables, and write them to hints.md and hints.png in the output folder."
    references, problems = find_references(photos)
    references = Protocol(size=size, limit=limit).choose(references)
    colorizer = Colorizer(weights, device)
    package = Path(sys.modules[PreparedPhoto.__module__].__file__).parent
    about = {
        "sha256": sha256(find_weights(weights)),
        "render_factor": colorizer.engine.render_factor_for((size, size)),
        "precision": str(colorizer.engine.precision),
        "code": hashlib.sha256("".join(sha256(package / f"{name}.py") for name in CODE).encode()).hexdigest(),
    }
    place = pick_device(device)
    measurements, missing = open_measurements(["vgg16"], place)
    if missing:
        raise Unavailable("; ".join(missing.values()))
    available = {m.name: m for m in measurements}
    common = [available[name] for name in ("psnr", "ab", "colorfulness", "colorfulness_abs", "lpips_alex")]
    records = Records(out / "records.sqlite")

    hints = Evaluator(references, size, common, records, place, problems.append)
    hints.score(ground_truth())
    ways = {"least squares": about}
    if colorizer.engine.hint_branch:
        ways["trained"] = about | {"branch": sha256(hint_branch_file(find_weights(weights)))}
    hint_rows = {
        way: score_hints({n: hints.score(each) for n, each in hint_methods(colorizer, known, way).items()})
        for way, known in ways.items()
    }

    more = [*common, Measurement("mean_ab", mean_ab), available["vgg16"]]
    some = [hints.references[i] for i in spread(variant_limit or len(hints.references), len(hints.references))]
    variants = Evaluator(some, size, more, records, place, problems.append)
    truth = variants.score(ground_truth())
    scored = [variants.score(each) for each in variant_methods(colorizer, about)]
    rows = {row.method.name: variants.key(row.method) for row in (truth, *scored)}
    contents = [reference.sha256 for reference in truth.references]
    measured = {m.name: [records.read(key, m.key, contents) for key in rows.values()] for m in more}
    variant_scores = score_variants(scored, measured)

    fewer = f" ({len(truth.references)} of them for the variants)" if variant_limit else ""
    described = (
        f"{len(hints.references)} photos{fewer}, {size} x {size} pixels, "
        f"`{weights}` ({about['sha256'][:12]}), render factor {about['render_factor']}, "
        f"{about['precision'].removeprefix('torch.')}; ± is the standard error."
    )
    figure = "![PSNR and LPIPS by the number of hints](hints.png)"
    tables = "\n\n".join([described, hint_table(hint_rows), figure, variant_table(variant_scores)])
    write_atomically(out / "hints.md", tables + "\n")
    draw_figure(hint_rows, out / "hints.png")
    if page:
        write_atomically(page, write_between_markers(page.read_text(encoding="utf-8"), tables, SCRIPT))
        draw_figure(hint_rows, page.with_name("hints.png"))
    typer.echo(tables)
    for problem in problems:
        typer.echo(problem, err=True)


if __name__ == "__main__":
    script(main)
