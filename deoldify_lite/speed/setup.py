"One way of colorizing that is measured: which weights, on what, how precisely, at which render factor."

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..colorize.colorizer import Colorizer
from ..colorize.deoldify_colorizer import DeOldifyColorizer
from ..modeling.generator import build_generator
from ..modeling.weights import PUBLISHED, BadWeights, find_weights, save_weights


@dataclass(frozen=True)
class Setup:
    """The arguments of a `Colorizer`, and the colorizer that they make.

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
        return {
            "weights": self.name,
            "precision": str(engine.precision).removeprefix("torch."),
            "device": str(engine.device),
            "render_factor": self.colorizer.render_factor,
        }

    def __str__(self) -> str:
        return "{weights}, {precision} on {device}, render factor {render_factor}".format(**self.about)


def find_or_make(weights: str, folder: Path) -> tuple[str, Path]:
    """A name to show and the file of some weights. Where DeOldify's own file is not here, an untrained network of the
    same kind is made in `folder`: it is as fast.

    Raises:
        BadWeights: no such name and no such file.
    """
    try:
        return Path(weights).stem, find_weights(weights)
    except BadWeights:
        if weights not in PUBLISHED:
            raise
    path = folder / f"{weights}.safetensors"
    if not path.exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_weights(_calmed(build_generator(weights)), path)
    return f"{weights} (untrained)", path


def _calmed(network: nn.Module) -> nn.Module:
    "An untrained network whose BatchNorms have seen something, so that numbers neither vanish nor overflow."
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain average of what comes, from the first on
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 64, 64))
    return network.eval()
