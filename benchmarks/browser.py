"""The site of `deoldify-lite web` in a headless Chromium: seconds a photo, seconds to load it, and memory.

The site is served by `python -m http.server` on this machine, so loading takes no network.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from typer.testing import CliRunner

from deoldify_lite.cli import program
from deoldify_lite.samples import sample_photos

from .photos import sized
from .process import last_line
from .results import BenchmarkFailed, Result

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WAIT = 600_000  # milliseconds
SAMPLED = 0.1  # seconds between two looks at the memory
PORT_LINE = "Serving HTTP on"


def measure_browser(name: str, weights: Path, megapixels: list[float], repeats: int, scratch: Path) -> list[Result]:
    "A new browser for each size; the photos one by one, the first apart."
    site = scratch / "site"
    built = CliRunner().invoke(program, ["web", str(site), "--weights", str(weights)])
    if built.exit_code:
        raise BenchmarkFailed(last_line(built.output))
    results = []
    with serving(site) as address:
        for size in megapixels:
            photo = scratch / f"{size}.jpg"
            sized(sample_photos()["china.jpg"], size, "L").save(photo, quality=90)
            results += measure_size(name, address, photo, size, repeats)
    return results


def measure_size(name: str, address: str, photo: Path, megapixels: float, repeats: int) -> list[Result]:
    with new_page() as page:
        with peak_memory() as peak:
            began = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("#backend:not(:empty)")
            loading = time.perf_counter() - began
            seconds = [colorize(page, photo) for _ in range(repeats + 1)]
        title = f"browser: {name}, Chromium {page.context.browser.version}, {page.inner_text('#backend')}"
    about = {"weights": name, "megapixels": megapixels}
    what = f"{megapixels:g} megapixels, JPEG to JPEG"
    return [
        Result(title, "loading the page, nothing cached", "s", [loading], about=about),
        Result(title, f"{what}, the first", "s", seconds[:1], about=about),
        Result(title, what, "s", seconds[1:], "target for 12 megapixels: under 4" * (megapixels == 12), about=about),
        Result(title, f"{what}: memory of the whole browser, peak", "GB", [max(peak) / 1e9], about=about),
    ]


@contextmanager
def new_page() -> Iterator[Any]:
    "An empty page in a Chromium without a window, as Playwright drives it."
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=arguments)
        try:
            page = browser.new_context().new_page()
            page.set_default_timeout(WAIT)
            yield page
        finally:
            browser.close()


def colorize(page, photo: Path) -> float:
    "Seconds from giving the page a photo to its download being ready."
    began = time.perf_counter()
    page.set_input_files("#files", photo)
    page.wait_for_selector("#download:visible")
    seconds = time.perf_counter() - began
    page.click("#clear")
    page.wait_for_selector("#work", state="hidden")
    return seconds


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        if not line.startswith(PORT_LINE):
            raise BenchmarkFailed("http.server did not start")
        yield line.partition("(")[2].partition(")")[0]
    finally:
        process.kill()
        process.wait()


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    "Bytes of all browser processes that this one started, over and over while the block runs; shared ones count once."
    noted, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLED):
            noted.append(sum(map(memory_of, psutil.Process().children(recursive=True))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield noted
    finally:
        over.set()
        watcher.join()


def memory_of(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss if "chrom" in process.name() else 0
    except psutil.Error:
        return 0
