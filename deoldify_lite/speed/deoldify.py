"DeOldify, from a checkout that the user has, and this package on the same photo, in turns."

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import Unavailable
from ..modeling.weights import PUBLISHED, load_generator
from .fresh import last_line
from .photos import fitted
from .rows import Row, ratio_row, timed
from .setup import Setup

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
        raise DeOldifyFailed(f"{weights}: not weights of DeOldify's artistic generator ({PUBLISHED['deep']})")


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
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it died; the answer says why
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

    def __enter__(self) -> "DeOldify":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def compare(
    checkout: Path,
    scratch: Path,
    *,
    lite: Setup,
    weights: Path | None,
    device: torch.device,
    precisions: list[str],
    render_factor: int,
    repeats: int,
) -> list[Row]:
    """DeOldify, `deep` with the same weights, squeezed as there and not, and `lite`, in turns, on one photo.

    Each from the JPEG file to the finished picture in memory. The ratio is that of the medians, and its spread that of
    the turns; one call of each goes before, whose pictures are compared.
    """
    name = "deep, untrained" if weights is None else "deep"
    weights = weights or scratch / "deoldify_untrained.pth"
    photo, its_picture = scratch / "photo.jpg", scratch / "deoldify.png"
    fitted(SIZE, "RGB").save(photo, quality=90)
    its_device = "cuda" if device.type == "cuda" else "cpu"
    with DeOldify(checkout, weights, its_device, torch.get_num_threads(), scratch) as original:
        setups = {}
        for precision in precisions:
            chosen = {"device": str(device), "precision": precision, "render_factor": render_factor}
            setups[f"deep --squash, {precision}"] = Setup(name, weights, squash=True, **chosen)
            setups[f"deep, {precision}"] = Setup(name, weights, **chosen)
            setups[f"{lite.name}, {precision}"] = Setup(lite.name, lite.path, **chosen)
        original.colorize(photo, render_factor, save=its_picture)
        pictures = {what: _colorize(setup, photo) for what, setup in setups.items()}
        theirs, ours = [], {what: [] for what in setups}
        for _ in range(repeats):
            theirs.append(original.colorize(photo, render_factor))
            for what, setup in setups.items():
                ours[what].append(timed(lambda setup=setup: _colorize(setup, photo))[0])

    title = (
        f"beside DeOldify, in turns: {SIZE[0]} x {SIZE[1]}, render factor {render_factor}, "
        f"{torch.get_num_threads()} threads, on {device}; {name}, the same weights in both"
    )
    about = {"photo": SIZE, "render_factor": render_factor}
    rows = [Row(title, f"DeOldify on {its_device}", "s", theirs, about=about | {"device": its_device})]
    rows += [Row(title, what, "s", ours[what], about=setup.about) for what, setup in setups.items()]
    for what, setup in setups.items():
        target = TARGETS.get("deep" if setup.path == weights else lite.name)
        note = f"target at factor 35 on two cores with AMX: {target}" if target else ""
        rows.append(ratio_row(title, f"DeOldify / {what}", theirs, ours[what], note=note, about=setup.about))
    for what, setup in setups.items():
        if setup.squash:
            rows.append(_likeness(title, what, pictures[what], Image.open(its_picture), setup.about))
    return rows


def _colorize(setup: Setup, photo: Path) -> Image.Image:
    with Image.open(photo) as image:
        return setup.colorizer.colorize(image)


def _likeness(title: str, what: str, ours: Image.Image, theirs: Image.Image, about: dict[str, Any]) -> Row:
    "The share of values that are within one level of DeOldify's; other precisions than its float32 may be two away."
    apart = np.abs(np.asarray(ours, np.int16) - np.asarray(theirs, np.int16))
    within = [100 * float((apart <= levels).mean()) for levels in (1, 2)]
    is_same = within[0 if about["precision"] == "float32" else 1] >= 99
    same = "the same picture" if is_same else "NOT the same picture: below 99 %"
    note = f"{same}; {within[1]:.4g} % within two, at most {apart.max()} apart"
    return Row(title, f"{what}: within one level of DeOldify's", "%", within[:1], note, about)
