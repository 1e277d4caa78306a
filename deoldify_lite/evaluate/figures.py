"""What the figures are called, which way is better, and what they mean: the one place that tables and reports ask."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    "A figure's title, the better direction (`higher`, `lower`, or none), its decimals, and its meaning in a sentence."

    title: str
    better: str
    digits: int
    about: str


FIGURES = {
    "lpips_alex": Figure("LPIPS", "lower", 4, "Perceptual distance from the truth: AlexNet, version 0.1."),
    "psnr": Figure("PSNR", "higher", 2, "Nearness to the truth in dB, over RGB; rewards grey-brown averages."),
    "ssim": Figure("SSIM", "higher", 4, "Structural similarity to the truth, over RGB; mostly that of the given luma."),
    "ab_histogram": Figure(
        "ab distance", "lower", 4, "Share of a photo's pixels that would have to change CIE a or b."
    ),
    "ab_histogram_pooled": Figure("pooled ab distance", "lower", 4, "The same for the pixels of all photos together."),
    "colourfulness": Figure("colourfulness", "", 2, "Hasler and Suesstrunk's: 0 grey, 30 ordinary, 60 very colourful."),
    "colourfulness_gap": Figure("gap", "lower", 2, "How far mean colourfulness is from that of the true photos."),
    "fid": Figure("FID", "lower", 2, "Frechet distance of Inception's features from those of the true photos."),
    "kid": Figure("KID", "lower", 5, "Kernel distance of Inception's features; 0, or a little below, for equal looks."),
    "inception_score": Figure("Inception Score", "higher", 3, "How sure and how varied Inception's answers are."),
    "colourfulness_abs": Figure("absolute colourfulness", "", 2, "As most published tables compute it: see the docs."),
    "colourfulness_abs_gap": Figure("absolute gap", "lower", 2, "The gap of colourfulness computed that way."),
}


def figure(name: str) -> Figure:
    "The figure of this name, be it a distance of features of any network: `fd_vgg16`, `kid_vgg16`, ..."
    if name in FIGURES:
        return FIGURES[name]
    kind, _, network = name.partition("_")
    if kind == "fd":
        return Figure(f"FD {network}", "lower", 3, f"Frechet distance, as in FID, but of {network}'s features.")
    if kind == "kid":
        return Figure(f"KD {network}", "lower", 5, f"Kernel distance, as in KID, but of {network}'s features.")
    raise KeyError(name)


def arrow(name: str) -> str:
    "Which way is better, as a sign."
    return {"higher": "\N{NO-BREAK SPACE}↑", "lower": "\N{NO-BREAK SPACE}↓", "": ""}[figure(name).better]


def best(name: str, values: Iterable[float | None]) -> float | None:
    "The best of a figure's values, where one side is better and there is more than one to choose from."
    there = [value for value in values if value is not None]
    pick = {"higher": max, "lower": min}.get(figure(name).better)
    return pick(there) if pick and len(there) > 1 else None


def text(name: str, value: float | None) -> str:
    "A figure's value as tables show it."
    if value is None:
        return "-"
    if value == float("inf"):
        return "∞"
    shown = f"{value:.{figure(name).digits}f}"
    return shown.removeprefix("-") if float(shown) == 0 else shown
