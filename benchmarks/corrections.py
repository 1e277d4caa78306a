"""How fast the page answers when somebody corrects the colours of a photo, and the memory for it.

Without the browser and Gradio: from a step to the picture's file.

    python -m benchmarks.corrections --threads 2
    python -m benchmarks.corrections --threads 2 --browser     # then from a step in Chromium to the new picture in it
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from deoldify_lite.app.hints import KEPT, SCREEN, HintService
from deoldify_lite.app.service import Service, Settings
from deoldify_lite.cli.common import Weights, script
from deoldify_lite.device import tune_allocator
from deoldify_lite.samples import sample_photos

from .browser import new_page
from .machine import describe, heading
from .photos import QUALITY, sized
from .process import ROOT
from .results import BenchmarkFailed

COLOR = "#2d5da8"
PICTURE = "#hints-picture img"
ARRIVED = f"old => {{ const i = document.querySelector('{PICTURE}'); return i && i.src != old && i.complete; }}"


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


def measure_in_browser(weights: str, photo: Path, threads: int, repeats: int) -> dict[str, list[float]]:
    "Seconds from each step until its picture is there, `repeats` times, in Chromium on this machine."
    seconds: dict[str, list[float]] = {}
    with served(weights, threads) as address, new_page() as page:
        page.set_viewport_size({"width": 1280, "height": 900})

        def timed(step: str, act: Callable[[], None]) -> None:
            old = page.locator(PICTURE).get_attribute("src") if page.locator(PICTURE).count() else ""
            started = time.perf_counter()
            act()
            page.wait_for_function(ARRIVED, arg=old)
            seconds.setdefault(step, []).append(time.perf_counter() - started)

        def click(x: float, y: float) -> Callable[[], None]:
            box = page.locator(PICTURE).bounding_box()
            place = {"x": x * box["width"], "y": y * box["height"]}
            return lambda: page.locator(PICTURE).click(position=place)

        for number in range(repeats + 1):
            if number == 1:
                seconds.clear()  # the first round warmed up
            page.goto(address)
            page.get_by_role("tab", name="Correct colours").click()
            timed("open", lambda: page.set_input_files("#hints-photo input[type=file]", photo))
            timed("click", click(0.5, 0.5))
            timed("first hint", page.locator("#swatches label", has_text="Blue").click)
            timed("click", click(0.25, 0.25))
            timed("second hint", page.locator("#swatches label", has_text="Blue").click)
            timed("undo", page.locator("#hints-undo").click)
    return seconds


@contextmanager
def served(weights: str, threads: int) -> Iterator[str]:
    "The address of the page, which a process of its own serves."
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        named = str(Path(weights).resolve()) if Path(weights).is_file() else weights  # the page has a folder of its own
        command = [sys.executable, str(ROOT / "scripts/app.py"), "--weights", named, "--port", str(port)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            if not (address := process.stdout.readline().strip()).startswith("http://"):
                raise BenchmarkFailed("the page did not start")
            yield address
        finally:
            process.kill()
            process.wait()


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
    browser: Annotated[bool, typer.Option("--browser", help="In Chromium, too (pip install playwright).")] = False,
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
        in_browser = measure_in_browser(weights, photo, threads, repeats) if browser else {}
    typer.echo(f"memory    {megabytes:.0f} MB for each photo that is being corrected")
    typer.echo(f"photo     {image.width} x {image.height}, shown at up to {SCREEN} pixels")
    typer.echo(f"each step {repeats} times, seconds: median (from .. to)")
    for where, steps in (("", seconds), (", in the browser", in_browser)):
        for step, values in steps.items():
            typer.echo(f"{step + where:<28} {statistics.median(values):6.2f} ({min(values):.2f} .. {max(values):.2f})")


if __name__ == "__main__":
    script(main)
