"""From what was measured on each image to the scores of a method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import UsageError
from ..metrics.features import INCEPTION, INCEPTION_FEATURES
from ..metrics.image import histogram_distance
from ..metrics.sets import frechet_distance, inception_score, kernel_distance

Measured = Mapping[str, Tensor]  # by measurement: (N, C), one row for each image


@dataclass(frozen=True)
class Score:
    """A metric's value over all images, with the standard error where it is a mean over images.

    reason: why there is no value.
    identical: images that PSNR's mean leaves out, because it is infinite there.
    """

    value: float | None
    standard_error: float | None = None
    reason: str | None = None
    identical: int = 0


def image_scores(predicted: Measured, true: Measured) -> dict[str, Tensor]:
    "The metrics that are defined for a single image: (N,) by name."
    names = ("lpips_alex", "psnr", "ssim", "colorfulness", "colorfulness_abs")
    scores = {name: predicted[name][:, 0] for name in names if name in predicted}
    return scores | {"ab_histogram": histogram_distance(predicted["ab"], true["ab"])}


def summarize(predicted: Measured, true: Measured) -> dict[str, Score]:
    "All metrics over all images, by name."
    of_images = image_scores(predicted, true)
    scores = {name: _mean(values) for name, values in of_images.items()}
    pooled = histogram_distance(predicted["ab"].mean(0, keepdim=True), true["ab"].mean(0, keepdim=True))
    scores["ab_histogram_pooled"] = Score(float(pooled))
    for name in ("colorfulness", "colorfulness_abs"):
        scores[f"{name}_gap"] = Score(abs(float(predicted[name].mean() - true[name].mean())))
    for name in predicted.keys() - of_images.keys() - {"ab"}:
        frechet, kernel = ("fid", "kid") if name == INCEPTION else (f"fd_{name}", f"kid_{name}")
        a, b = predicted[name], true[name]
        if name == INCEPTION:
            scores["inception_score"] = _or_reason(inception_score, a[:, INCEPTION_FEATURES:])
            a, b = a[:, :INCEPTION_FEATURES], b[:, :INCEPTION_FEATURES]
        scores[frechet] = _or_reason(frechet_distance, a, b)
        scores[kernel] = _or_reason(kernel_distance, a, b)
    return scores


def _mean(values: Tensor) -> Score:
    finite = values[values.isfinite()].double()
    if not len(finite):
        return Score(float("inf"), identical=len(values))
    error = float(finite.std() / len(finite) ** 0.5) if len(finite) > 1 else None
    return Score(float(finite.mean()), error, identical=len(values) - len(finite))


def _or_reason(metric: Callable[..., float], *features: Tensor) -> Score:
    try:
        return Score(metric(*features))
    except UsageError as error:  # too few images
        return Score(None, reason=str(error))
