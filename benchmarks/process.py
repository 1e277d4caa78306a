"Start-up and memory: the command in a new process each time, measured from within by `probe`."

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from .configuration import Configuration
from .photos import KINDS, fitted, make_folder
from .results import BenchmarkFailed, Result

ROOT = Path(__file__).parents[1]
FOLDERS = (1, 2)  # how many times the photos of a folder, to see that memory does not grow with them
MOMENTS = {
    "imported": "start to all imported",
    "loaded": "start to weights loaded",
    "called": "start to the first network call",
    "ended": "start to the end, the photo done",
}


def probe(configuration: Configuration, source: Path, scratch: Path) -> dict[str, Any]:
    """Colorize the photo or folder `source` with the command in a process of its own.

    Returns seconds from its start to each of `MOMENTS`, `peak_memory` in bytes, and whether `fastai` was imported.

    Raises:
        BenchmarkFailed: it did not end well; the message is its last line.
    """
    about, target, notes = configuration.about, scratch / "colour", scratch / "notes.json"
    options = {"weights": configuration.path, "device": about["device"], "precision": about["precision"]}
    if configuration.render_factor:
        options |= {"render-factor": configuration.render_factor}
    command = [sys.executable, "-m", "benchmarks.probe", str(notes), "colorize", str(source), str(target)]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    began = time.time()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    seconds = time.time() - began
    shutil.rmtree(target, ignore_errors=True)
    if ended.returncode:
        raise BenchmarkFailed(last_line(ended.stderr) or f"the command ended with {ended.returncode}")
    noted = json.loads(notes.read_text())
    return noted | {name: noted[name] - began for name in ("imported", "loaded", "called")} | {"ended": seconds}


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def measure_startup(configuration: Configuration, scratch: Path, repeats: int) -> list[Result]:
    "Seconds from the start of a process with one photo of 1024x768 to its first network call, and on the way there."
    photo = scratch / "photo.jpg"
    fitted((1024, 768)).save(photo, quality=90)
    noted = [probe(configuration, photo, scratch) for _ in range(repeats + 1)][1:]  # the first fills the file cache
    title = f"start-up: {configuration}"
    target = "target: under 3; " + ("fastai was imported" if any(n["fastai"] for n in noted) else "without fastai")
    return [
        Result(title, what, "s", [n[name] for n in noted], target if name == "called" else "", configuration.about)
        for name, what in MOMENTS.items()
    ]


def measure_memory(
    configuration: Configuration, scratch: Path, count: int, megapixels: float, scan: float, repeats: int
) -> list[Result]:
    """Peak memory of the process: for a folder of JPEGs and one of several times as many, and for one large scan.

    scan: its size in megapixels.
    """
    cases = [(count * times, megapixels, ".jpg", "") for times in FOLDERS]
    cases += [(1, scan, extension, "target for 100 megapixels: within 3") for extension in (".jpg", ".tif")]
    results = []
    for number, size, extension, target in cases:
        source = make_folder(scratch / "photos", number, size, "RGB", extension)
        peaks = [probe(configuration, source, scratch)["peak_memory"] / 1e9 for _ in range(repeats)]
        shutil.rmtree(source)
        kind = f"{KINDS['RGB']} {'JPEG' if extension == '.jpg' else 'TIFF'}{'s' if number > 1 else ''}"
        about = configuration.about | {"photos": number, "megapixels": size, "format": extension[1:]}
        title = f"memory, peak: {configuration}"
        results.append(Result(title, f"{number} {kind} of {size:g} megapixels", "GB", peaks, target, about))
    return results
