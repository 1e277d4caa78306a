"One way of colorizing that is measured: which weights, on what, how precisely, at which render factor."

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from deoldify_lite.colorize.colorizer import Colorizer
from deoldify_lite.colorize.deoldify_colorizer import DeOldifyColorizer
from deoldify_lite.modeling.generator import build_generator
from deoldify_lite.modeling.weights import BadWeights, find_weights, save_weights
from deoldify_lite.models import MODELS
from deoldify_lite.photo import Photo, open_photo


@dataclass(frozen=True)
class Configuration:
    """The arguments of a `Colorizer`, and the colorizer that they make, with its steps one by one.

    name: what to call the weights, which are the file `path`.
    """

    name: str
    path: Path
    device: str = "auto"
    precision: str = "auto"
    render_factor: int | None = None
    squash: bool = False

    @cached_property
    def colorizer(self) -> Colorizer:
        kind = DeOldifyColorizer if self.squash else Colorizer
        return kind(self.path, self.device, self.precision, self.render_factor)

    @cached_property
    def about(self) -> dict[str, Any]:
        "What was chosen in the end."
        engine = self.colorizer.engine
        least, most = (engine.render_factor_for((side, side), self.render_factor) for side in (1, 10_000))
        return {
            "weights": self.name,
            "precision": str(engine.precision).removeprefix("torch."),
            "device": str(engine.device),
            "render_factor": least if least == most else f"{least} to {most}",
        }

    def __str__(self) -> str:
        return "{weights}, {precision} on {device}, render factor {render_factor}".format(**self.about)

    def read(self, path: Path) -> Photo:
        return open_photo(path, keep_source=self.squash)

    def preprocess(self, photo: Photo) -> Image.Image:
        "The small grayscale picture that the network gets."
        return self.colorizer.engine.preprocess(photo, self.render_factor)

    def predict(self, inputs: Sequence[Image.Image]) -> list[Any]:
        "The network's output for a batch of inputs of one size."
        return self.colorizer.engine.predict(inputs)

    def merge(self, photo: Photo, output: Any, for_jpeg: bool = False) -> Any:
        "The photo's luma with the predicted colour."
        return self.colorizer.engine.merge(photo, output, for_jpeg=for_jpeg)


def find_or_make(weights: str, folder: Path) -> tuple[str, Path]:
    """A name to show and the file of some weights. Where DeOldify's own file is not here, an untrained network of the
    same kind is made in `folder`: it is as fast.

    Raises:
        BadWeights: no such name and no such file.
    """
    try:
        return Path(weights).stem, find_weights(weights)
    except BadWeights:
        if weights not in MODELS:
            raise
    path = folder / f"{weights}.safetensors"
    if not path.exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_weights(_with_statistics(build_generator(weights)), path)
    return f"{weights} (untrained)", path


def _with_statistics(network: nn.Module) -> nn.Module:
    "An untrained network whose BatchNorms have statistics of data, so that numbers neither vanish nor overflow."
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain average from the first batch on
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 64, 64))
    return network.eval()
