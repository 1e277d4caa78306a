"""What each metric is called, which way is better, how it is printed, and what it means."""

from collections.abc import Iterable
from typing import NamedTuple


class MetricInfo(NamedTuple):
    "A metric's title, the better direction (`higher`, `lower`, or none), its decimals, and its meaning in a sentence."

    title: str
    better: str
    digits: int
    about: str


METRICS = {
    "lpips_alex": MetricInfo("LPIPS", "lower", 4, "Perceptual distance to the ground truth: AlexNet, version 0.1."),
    "psnr": MetricInfo("PSNR", "higher", 2, "Peak signal-to-noise ratio in dB over RGB; rewards gray-brown averages."),
    "ssim": MetricInfo("SSIM", "higher", 4, "Structural similarity over RGB; mostly that of the given luma."),
    "ab_histogram": MetricInfo("ab distance", "lower", 4, "Fraction of pixels that would have to change CIE a or b."),
    "ab_histogram_pooled": MetricInfo(
        "pooled ab distance", "lower", 4, "The same for the pixels of all photos at once."
    ),
    "colorfulness": MetricInfo(
        "colourfulness", "", 2, "Hasler and Suesstrunk: 0 gray, 30 ordinary, 60 very colourful."
    ),
    "colorfulness_gap": MetricInfo("gap", "lower", 2, "Difference of mean colourfulness from the ground truth's."),
    "fid": MetricInfo("FID", "lower", 2, "Frechet distance between features of Inception."),
    "kid": MetricInfo(
        "KID", "lower", 5, "Kernel distance between features of Inception; unbiased, so 0 or below if equal."
    ),
    "inception_score": MetricInfo(
        "Inception Score", "higher", 3, "How certain and how varied Inception's classes are."
    ),
    "colorfulness_abs": MetricInfo("absolute colourfulness", "", 2, "As the code behind most published tables has it."),
    "colorfulness_abs_gap": MetricInfo("absolute gap", "lower", 2, "The gap of colourfulness computed that way."),
}


def metric_info(name: str) -> MetricInfo:
    "The description of any metric, also of a distance between features of any network: `fd_vgg16`, `kid_vgg16`, ..."
    if name in METRICS:
        return METRICS[name]
    kind, _, network = name.partition("_")
    if kind == "fd":
        return MetricInfo(f"FD {network}", "lower", 3, f"Frechet distance, as in FID, between features of {network}.")
    if kind == "kid":
        return MetricInfo(f"KD {network}", "lower", 5, f"Kernel distance, as in KID, between features of {network}.")
    raise KeyError(name)


def title(name: str) -> str:
    "A metric's title with an arrow to the better side."
    info = metric_info(name)
    return info.title + {"higher": "\N{NO-BREAK SPACE}↑", "lower": "\N{NO-BREAK SPACE}↓", "": ""}[info.better]


def best(name: str, values: Iterable[float | None]) -> float | None:
    "The best of a metric's values, where one side is better and there is more than one to choose from."
    there = [value for value in values if value is not None]
    pick = {"higher": max, "lower": min}.get(metric_info(name).better)
    return pick(there) if pick and len(there) > 1 else None


def as_text(name: str, value: float | None) -> str:
    "A metric's value as tables show it."
    if value is None:
        return "-"
    if value == float("inf"):
        return "∞"
    text = f"{value:.{metric_info(name).digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
