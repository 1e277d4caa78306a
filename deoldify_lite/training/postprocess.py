"""What is done to the generator that the GAN phase gives: postprocessing, all of it off by default.

- Average the weights saved in the last part of the phase (Izmailov et al. 2018, arXiv:1803.05407): it goes to and fro,
  and their mean has its colours with fewer of its mistakes.
- Interpolate between the weights before the phase and after it (Wortsman et al. 2022, arXiv:2109.01903): the phase is
  short and noisy, and part of the way keeps much of its variety and few of its mistakes.
- Recompute the statistics of the decoder's BatchNorm, which interpolated weights do not fit (Izmailov et al.).
- Smooth what the head makes: photos have less fine detail in chroma than a network's noise puts there.
- Take off a part of each picture's colour cast, the mean of its prediction. It is the least certain of its colours, and
  calibrating the saturation makes it as much stronger as all others.
- Take off a part of all violet, magenta and crimson. Photos have little of them; what a network makes of old ones has
  more, in dark and fine detail.
- Calibrate the saturation, so that predictions are as colourful as a set fraction of real photos.
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
from ..modeling.restorer import RestorerUnet, widen
from ..modeling.weights import load_strictly, mean_of_states, read_safetensors
from ..schedule import Schedule
from ..sources import spread
from .batches import channels_last
from .inflection import saved_at, saved_steps
from .run import Run
from .stage import Stage

log = logging.getLogger(__name__)
LARGEST_GAIN = 1.6  # of the chroma: beyond, mistakes are too visible
BATCH = 32
THRESHOLDS = [i / 100 for i in range(30, 100)]


@dataclass(frozen=True)
class Postprocessed:
    "A generator's config and weights, and a report of what was done to them."

    config: dict[str, Any]
    state: dict[str, Tensor]
    report: dict[str, Any]


def postprocess(run: Run, before: Path, phase: Stage) -> Postprocessed:
    "The generator made of the weights `before` a GAN phase and those that the phase gave."
    spec, after = run.schedule.postprocess, phase.weights
    config, state = read_safetensors(after)
    report = {"from": str(after.relative_to(run.folder)), "interpolation": spec.interpolation}
    if spec.average_last:
        report["steps"] = last_steps(saved_steps(phase), spec.average_last)
        state = mean_of_states([read_safetensors(saved_at(phase, step))[1] for step in report["steps"]])
    if spec.interpolation != 1:
        state = interpolate(read_safetensors(before)[1], state, spec.interpolation)
    config, report = config | spec.head, report | spec.head
    if spec.batchnorm_photos or spec.colorfulness:
        generator = build_generator(**config)
        load_strictly(generator, state, after)
        generator = generator.to(run.device, memory_format=torch.channels_last).eval()
        if spec.batchnorm_photos:
            report["batchnorm_photos"] = recompute_batchnorm(run, generator)
        if spec.colorfulness:
            report |= calibrate_saturation(run, generator)
        state = generator.state_dict()
    if spec.clean_masked and run.schedule.restores:
        report["threshold"] = calibrate_threshold(run, config, state)
    log.info("postprocess: %s", report)
    return Postprocessed(config, state, report)


def check(schedule: Schedule) -> None:
    """Refuse what cannot be done, before anything is trained.

    Raises:
        UsageError: a value out of range, or saturation to be calibrated of a generator that predicts whole pictures.
    """
    spec, generator = schedule.postprocess, schedule.networks.generator
    for name in ("average_last", "interpolation", "cast", "magenta", "colorfulness"):
        if not 0 <= (value := getattr(spec, name)) <= 1:
            raise UsageError(f"postprocess.{name} is a fraction, from 0 to 1, not {value:g}")
    if spec.batchnorm_photos < 0:
        raise UsageError(f"postprocess.batchnorm_photos is a number of photos, not {spec.batchnorm_photos}")
    if spec.colorfulness and generator != "lite":
        raise UsageError(f"postprocess.colorfulness is for lite, which predicts chroma, not {generator}; set it to 0")
    if spec.head and generator != "lite":
        raise UsageError(
            f"postprocess.smooth, cast and magenta are for lite, which predicts chroma, not {generator}; leave them"
        )
    if spec.batchnorm_photos and schedule.restores:
        raise UsageError("postprocess.batchnorm_photos is for colorizers, not for a restorer; set it to 0")
    if not 0 <= spec.clean_masked < 1:
        raise UsageError(f"postprocess.clean_masked is a fraction, from 0 to 1, not {spec.clean_masked:g}")


def last_steps(steps: list[int], part: float) -> list[int]:
    "Those of the saved `steps` of a phase, in order, that are in its last part; the last one is among them."
    return [step for step in steps if step >= (1 - part) * steps[-1]]


def interpolate(before: dict[str, Tensor], after: dict[str, Tensor], fraction: float) -> dict[str, Tensor]:
    "Weights on the way from `before` (`fraction` 0) to `after` (1)."
    return {k: torch.lerp(before[k], v, fraction) if v.is_floating_point() else v for k, v in after.items()}


@torch.no_grad()
def recompute_batchnorm(run: Run, generator: nn.Module) -> int:
    """Recompute means and variances of the decoder's BatchNorms, in place, on clean training photos.

    The encoder's weights did not move in the GAN phase, and its statistics stay. The photos have the size that the
    generator was last trained at. Returns how many there were.
    """
    size = run.schedule.generator_stages[-1].size
    members = run.split(run.pack(size)).train
    index = members[spread(run.schedule.postprocess.batchnorm_photos, len(members))]
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
def calibrate_threshold(run: Run, config: dict[str, Any], state: dict[str, Tensor]) -> float:
    """The probability from which a restorer's mask takes a pixel for damaged, in steps of 0.01.

    It is the lowest, 0.3 at least, at which no more of the clean validation photos' pixels are masked, with what the
    mask is widened by, than the schedule's `clean_masked`.
    """
    spec, size = run.schedule.postprocess, run.schedule.generator_stages[-1].size
    restorer = RestorerUnet(config["width"], config["encoder"])
    load_strictly(restorer, state, run.folder)
    restorer = restorer.to(run.device, memory_format=torch.channels_last).eval()
    photos = run.pack(size)
    side = round(size * run.schedule.augment.zoom)
    masked = torch.zeros(len(THRESHOLDS), dtype=torch.float64)
    members = run.split(photos).valid
    for index in members.split(BATCH):
        luma = color.luma(photos.crops(index, side, None, torch.Generator())).to(run.device)
        widened = widen(torch.sigmoid(restorer(luma)[0]))
        masked += torch.stack([(widened > t).float().mean((1, 2, 3)).sum() for t in THRESHOLDS]).cpu()
    good = [t for t, part in zip(THRESHOLDS, (masked / len(members)).tolist()) if part <= spec.clean_masked]
    return good[0] if good else THRESHOLDS[-1]


@torch.inference_mode()
def calibrate_saturation(run: Run, generator: nn.Module) -> dict[str, float]:
    """Scale the head of a generator that predicts chroma, in place, to the colourfulness that the schedule wants.

    That is a fraction of the targets' mean colourfulness, on validation photos at the size that the generator was last
    trained at. The head is scaled before its sigmoid, so that colours that are strong already gain least; by
    `LARGEST_GAIN` at most, and never made duller. Returns the gain and the colourfulness before and after it.
    """
    spec, size = run.schedule.postprocess, run.schedule.generator_stages[-1].size
    grays, target = run.fixed_batch(size, run.schedule.gan.score_photos)
    return scale_to_colorfulness(generator, grays, target, spec.colorfulness * float(colorfulness(target).mean()))


@torch.inference_mode()
def scale_to_colorfulness(
    generator: nn.Module,
    grays: Tensor,
    target: Tensor,
    wanted: float,
    gains: tuple[float, float] = (1.0, LARGEST_GAIN),
) -> dict[str, float]:
    """Scale the head of a generator that predicts chroma, in place, to the mean colourfulness `wanted`.

    Args:
        grays: normalised grayscale input, (N, 3, H, W); target: the photos in colour, in [0, 1], whose luma is kept.
        gains: the smallest and the largest that may be; from 1 on, predictions are never made duller.

    Returns the gain, and what was wanted, before and after it.
    """
    raw = torch.cat([generator.raw(channels_last(gray)) for gray in grays.split(16)])
    luma = color.luma(target)

    def mean_colorfulness(gain: float) -> float:
        rgb = color.merge(luma, generator.bounded(gain * raw)).clamp(0, 1)
        return float(colorfulness(rgb).mean())

    low, high = gains
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if mean_colorfulness(middle) < wanted else (low, middle)
    gain = round(low, 3)
    generator.scale_chroma(gain)
    return {
        "gain": gain,
        "wanted": wanted,
        "colorfulness_before": mean_colorfulness(1.0),
        "colorfulness": mean_colorfulness(gain),
    }
