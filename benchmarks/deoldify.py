"DeOldify, from a checkout that the user has, and this package on the same photo, measured alternately."

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from deoldify_lite.errors import Unavailable
from deoldify_lite.modeling.weights import load_generator
from deoldify_lite.models import MODELS

from .configuration import Configuration
from .photos import fitted
from .process import last_line
from .results import Result, ratio, timed

CHILD = Path(__file__).with_name("deoldify_child.py")
NEEDED_FILES = ("deoldify/generators.py", "deoldify/filters.py", "fastai/vision/__init__.py")
# What its vendored fastai and its filters import, beside torch, torchvision, numpy and Pillow, and who brings it.
NEEDED = {
    "cv2": "opencv-python-headless",
    "fastprogress": "fastprogress",
    "matplotlib": "matplotlib",
    "pandas": "pandas",
    "requests": "requests",
    "scipy": "scipy",
    "yaml": "pyyaml",
}
SIZE = (1024, 768)
TARGETS = {"deep": "at least 6", "lite": "at least 40"}  # at factor 35 on two cores with AMX


class DeOldifyFailed(Unavailable, RuntimeError):
    "The checkout cannot be used, or its process died. The message says why."


def check(checkout: Path, weights: Path | None = None) -> None:
    """Whether a run can be tried, found out without importing anything of it.

    Raises:
        DeOldifyFailed: it is no checkout of DeOldify, packages that it needs are missing, or the weights are of another
            generator than its artistic one.
        BadWeights: the weights are missing or damaged.
    """
    missing_files = [name for name in NEEDED_FILES if not (checkout / name).is_file()]
    if missing_files:
        what = f"it has no {missing_files[0]}" if checkout.is_dir() else "no such folder"
        raise DeOldifyFailed(f"{checkout}: not a checkout of github.com/jantic/DeOldify: {what}")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DeOldifyFailed(_needs(missing))
    if weights and load_generator(weights).config["architecture"] != "deep":
        raise DeOldifyFailed(f"{weights}: not weights of DeOldify's artistic generator ({MODELS['deep'].file})")


def _needs(modules: list[str]) -> str:
    packages = " ".join(NEEDED.get(name, name) for name in modules)
    return f"DeOldify needs {', '.join(modules)}, missing here: pip install {packages}"


class DeOldify:
    """DeOldify's artistic colorizer in a process of its own, because its fastai and ours cannot be in one.

    Args:
        checkout: a clone of github.com/jantic/DeOldify; nothing is written there.
        weights: its `.pth`; where there is no such file, untrained weights are made and written to it.
        device: cpu or cuda.

    Raises:
        DeOldifyFailed: see `check`; or it could not be started.
    """

    def __init__(self, checkout: Path, weights: Path, device: str, threads: int, scratch: Path):
        check(checkout)
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self.errors = (scratch / "deoldify.log").open("w+b")
        arguments = (str(checkout.resolve()), str(weights.resolve()), device, str(threads))
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-W", "ignore", str(CHILD), *arguments],
            cwd=scratch,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def colorize(self, photo: Path, render_factor: int, save: Path | None = None) -> float:
        "Seconds from the file to the finished picture in memory, which is then saved where that is wanted."
        question = {"photo": str(photo.resolve()), "render_factor": render_factor}
        question["save"] = str(save.resolve()) if save else None
        with suppress(OSError):  # it died; the answer says why
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        return self._answer()["seconds"]

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            code = self.process.wait()
            self.errors.seek(0)
            why = last_line(self.errors.read().decode(errors="replace")) or f"exit code {code}"
            raise DeOldifyFailed(f"DeOldify's process died: {why}")
        answer = json.loads(line)
        if "missing" in answer:
            raise DeOldifyFailed(_needs([answer["missing"]]))
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def compare(
    checkout: Path,
    weights: Path | None,
    scratch: Path,
    lite: Configuration,
    device: torch.device,
    precisions: Sequence[str],
    render_factor: int,
    repeats: int,
) -> list[Result]:
    """DeOldify, `deep` with the same weights, squeezed as there and not, and `lite`, alternately, on one photo.

    Each from the JPEG file to the finished picture in memory. The ratio is that of the medians, and its spread that of
    the pairs; one call of each goes before, whose pictures are compared.
    """
    name = "deep, untrained" if weights is None else "deep"
    weights = weights or scratch / "deoldify_untrained.pth"
    photo, its_picture = scratch / "photo.jpg", scratch / "deoldify.png"
    fitted(SIZE, "RGB").save(photo, quality=90)
    its_device = "cuda" if device.type == "cuda" else "cpu"
    with closing(DeOldify(checkout, weights, its_device, torch.get_num_threads(), scratch)) as original:
        configurations = {}
        for precision in precisions:
            chosen = {"device": str(device), "precision": precision, "render_factor": render_factor}
            configurations |= {
                f"deep --squash, {precision}": Configuration(name, weights, squash=True, **chosen),
                f"deep, {precision}": Configuration(name, weights, **chosen),
                f"{lite.name}, {precision}": Configuration(lite.name, lite.path, **chosen),
            }
        original.colorize(photo, render_factor, save=its_picture)
        pictures = {what: _colorize(configuration, photo) for what, configuration in configurations.items()}
        theirs, ours = [], {what: [] for what in configurations}
        for _ in range(repeats):
            theirs.append(original.colorize(photo, render_factor))
            for what, configuration in configurations.items():
                ours[what].append(timed(lambda configuration=configuration: _colorize(configuration, photo))[0])

    title = (
        f"beside DeOldify, alternately: {SIZE[0]} x {SIZE[1]}, render factor {render_factor}, "
        f"{torch.get_num_threads()} threads, on {device}; {name}, the same weights in both"
    )
    about = {"photo": SIZE, "render_factor": render_factor, "device": its_device}
    times = [Result(title, f"DeOldify on {its_device}", "s", theirs, about=about)]
    ratios, similarities = [], []
    for what, configuration in configurations.items():
        about = configuration.about
        times.append(Result(title, what, "s", ours[what], about=about))
        target = TARGETS.get("deep" if configuration.path == weights else lite.name)
        note = f"target at factor 35 on two cores with AMX: {target}" if target else ""
        ratios.append(ratio(title, f"DeOldify / {what}", theirs, ours[what], note=note, about=about))
        if configuration.squash:
            similarities.append(_similarity(title, what, pictures[what], Image.open(its_picture), about))
    return times + ratios + similarities


def _colorize(configuration: Configuration, photo: Path) -> Image.Image:
    with Image.open(photo) as image:
        return configuration.colorizer.colorize(image)


def _similarity(title: str, what: str, ours: Image.Image, theirs: Image.Image, about: dict[str, Any]) -> Result:
    "The fraction of values within one level of DeOldify's; in another precision than its float32 they may be two away."
    apart = np.abs(np.asarray(ours, np.int16) - np.asarray(theirs, np.int16))
    within = [100 * float((apart <= levels).mean()) for levels in (1, 2)]
    is_same = within[0 if about["precision"] == "float32" else 1] >= 99
    same = "the same picture" if is_same else "NOT the same picture: below 99 %"
    note = f"{same}; {within[1]:.4g} % within two, at most {apart.max()} apart"
    return Result(title, f"{what}: within one level of DeOldify's", "%", within[:1], note, about)
