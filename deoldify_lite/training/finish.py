"""What is made of the generator that the GAN phase gives, before it is anybody's to use.

The phase is short and noisy: it gives colours variety and courage, and mistakes. Weights part of the way from those
before it to those after it keep much of the first and few of the second (Wortsman et al. 2022, arXiv:2109.01903). What
BatchNorm knows of the two is not true of their mean, so it is measured anew (Izmailov et al. 2018, arXiv:1803.05407).
And a generator that is right more often can afford louder colours.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .. import color
from ..errors import UsageError
from ..metrics.image import colorfulness
from ..modeling.generator import build_generator
from ..modeling.weights import load_strictly, read_safetensors
from ..schedule import Schedule
from ..sources import spread
from .batches import channels_last
from .run import Run

log = logging.getLogger(__name__)
LOUDEST = 1.6  # beyond, what is wrong is louder than what is right
BATCH = 32


@dataclass(frozen=True)
class Finished:
    "A generator's description and weights, and in figures what was done to them."

    config: dict[str, Any]
    state: dict[str, Tensor]
    report: dict[str, Any]


def finish(run: Run, before: Path, after: Path) -> Finished:
    "The finished generator, from the weights `before` and `after` the GAN phase."
    spec = run.schedule.finish
    config, state = read_safetensors(after)
    if spec.blend != 1:
        state = blend(read_safetensors(before)[1], state, spec.blend)
    report = {"from": str(after.relative_to(run.folder)), "blend": spec.blend}
    if spec.statistics or spec.colourfulness:
        generator = build_generator(**config)
        load_strictly(generator, state, after)
        generator = generator.to(run.device, memory_format=torch.channels_last).eval()
        if spec.statistics:
            report["statistics"] = restate(run, generator)
        if spec.colourfulness:
            report |= louder(run, generator)
        state = generator.state_dict()
    log.info("finish: %s", report)
    return Finished(config, state, report)


def check(schedule: Schedule) -> None:
    """Refuse what cannot be done, before anything is trained.

    Raises:
        ValueError: a share out of range, or colours to be scaled of a generator that predicts whole pictures.
    """
    spec, name = schedule.finish, schedule.networks.generator
    for share in ("blend", "colourfulness"):
        if not 0 <= (value := getattr(spec, share)) <= 1:
            raise UsageError(f"finish.{share} is a share, from 0 to 1, not {value:g}")
    if spec.statistics < 0:
        raise UsageError(f"finish.statistics is a number of photos, not {spec.statistics}")
    if spec.colourfulness and name != "lite":
        raise UsageError(f"finish.colourfulness is for lite, which predicts chroma, not for {name}; set it to 0")


def blend(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    "Weights on the way from `before` (`share` 0) to `after` (1)."
    return {k: torch.lerp(before[k], v, share) if v.is_floating_point() else v for k, v in after.items()}


@torch.no_grad()
def restate(run: Run, generator: nn.Module) -> int:
    """Measure means and variances of the decoder's BatchNorms again, in place, on training photos as they are.

    The encoder's weights did not move in the GAN phase, and its statistics stay. The photos have the size that the
    generator was last trained at. Returns how many there were.
    """
    size = run.schedule.generator_stages[-1].size
    members = run.split(run.pack(size)).train
    index = members[spread(run.schedule.finish.statistics, len(members))]
    own = set(generator.modules()) - set(generator.encoder.modules())
    norms = [module for module in own if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    # In an order of its own, since neighbours in the list come from one folder and are alike.
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(run.schedule.seed))
    for batch in index[order].split(BATCH):
        generator.chroma(channels_last(run.clean_pairs(batch, size)[0]))
    for norm in norms:
        norm.eval()
    return len(index)


@torch.inference_mode()
def louder(run: Run, generator: nn.Module) -> dict[str, float]:
    """Scale the head of a generator that predicts chroma, in place, until its results are as colourful as is wanted.

    Wanted is a share of the truth's mean colourfulness, on validation photos at the size that the generator was last
    trained at. The head is scaled before its sigmoid, so that colours that are strong already gain least; by
    `LOUDEST` at most, and never made duller. Returns figures: the gain and the colourfulness before and after it.
    """
    spec, size = run.schedule.finish, run.schedule.generator_stages[-1].size
    greys, truth = run.fixed_batch(size, run.schedule.gan.score_photos)
    raw = torch.cat([generator.raw(channels_last(grey)) for grey in greys.split(16)])
    luma = color.luma(truth)

    def colour(gain: float) -> float:
        rgb = color.merge(luma, generator.bounded(gain * raw)).clamp(0, 1)
        return float(colorfulness(rgb).mean())

    wanted = spec.colourfulness * float(colorfulness(truth).mean())
    low, high = 1.0, LOUDEST
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if colour(middle) < wanted else (low, middle)
    gain = round(low, 3)
    generator.scale_colours(gain)
    return {"gain": gain, "wanted": wanted, "colourfulness_before": colour(1.0), "colourfulness": colour(gain)}
