"""How fast the page answers when somebody corrects the colours of a photo, and the memory for it.

Without the browser and Gradio: from a step to the picture's file.

    python -m benchmarks.corrections --threads 2
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from deoldify_lite.app.hints import KEPT, SCREEN, HintService
from deoldify_lite.app.service import Service, Settings
from deoldify_lite.cli.common import Weights, script
from deoldify_lite.device import tune_allocator
from deoldify_lite.samples import sample_photos

from .machine import describe, heading
from .photos import QUALITY, sized

COLOR = "#2d5da8"


def measure(service: Service, photo: Path, repeats: int) -> dict[str, list[float]]:
    "Seconds of each step, `repeats` times."
    settings = Settings(service.models[0])
    seconds: dict[str, list[float]] = {}

    def timed(step: str, function: Callable, *arguments: object) -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        seconds.setdefault(step, []).append(time.perf_counter() - started)
        return result

    for _ in range(repeats):
        hints = HintService(service)
        correction = timed("open", hints.open, "a visitor", photo, settings)
        x, y = (side / 2 for side in correction.shown)
        clicked = correction.click(x, y)
        timed("click", hints.picture, clicked)
        hinted = clicked.give(COLOR)
        timed("first hint", hints.picture, hinted)
        second = hinted.click(x / 2, y / 2).give("gray")
        timed("second hint", hints.picture, second)
        timed("undo", hints.picture, second.undo())
        timed("variants", hints.find_variants, hinted)
        timed("download", hints.download, second)
    return seconds


def kept_memory(service: Service, photo: Path) -> float:
    "Megabytes that the process grows by with each photo that is being corrected (Linux)."
    hints = HintService(service)
    before = resident()
    for number in range(KEPT):
        hints.open(f"visitor {number}", photo, Settings(service.models[0]))
    return (resident() - before) / KEPT


def resident() -> float:
    "Megabytes of this process that are not files."
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main(
    weights: Weights = "lite",
    megapixels: Annotated[float, typer.Option(min=0.01, help="Of the photo.")] = 12,
    threads: Annotated[int, typer.Option(min=1, help="For the network.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Of each step.")] = 5,
) -> None:
    "Time each step of correcting the colours of a photo."
    tune_allocator(server=True)
    torch.set_num_threads(threads)
    typer.echo(heading(describe()))
    with tempfile.TemporaryDirectory() as temporary:
        photo = Path(temporary) / "photo.jpg"
        image = sized(next(iter(sample_photos().values())), megapixels, "L")
        image.save(photo, quality=QUALITY)
        service = Service([weights], Path(temporary), max_pixels=200_000_000)
        HintService(service).open("warm-up", photo, Settings(service.models[0]))
        megabytes = kept_memory(service, photo)
        seconds = measure(service, photo, repeats)
    typer.echo(f"memory    {megabytes:.0f} MB for each photo that is being corrected")
    typer.echo(f"photo     {image.width} x {image.height}, shown at up to {SCREEN} pixels")
    typer.echo(f"each step {repeats} times, seconds: median (from .. to)")
    for step, values in seconds.items():
        typer.echo(f"{step:<12} {statistics.median(values):6.2f} ({min(values):.2f} .. {max(values):.2f})")


if __name__ == "__main__":
    script(main)
