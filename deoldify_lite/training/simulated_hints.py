"""Hints as a person might give them, made of photos whose colours are known (Zhang et al. 2017, arXiv:1705.02999).

Hints are planes (N, 3, H, W): Cb and Cr in [-0.5, 0.5] and 1 where there is a hint, all three 0 elsewhere.
"""

import torch
from torch import Tensor

CHANCE = 1 / 8  # that no further hint follows: there are 7 on average
LARGEST = 9  # pixels, the side of the largest patch
SPREAD = 0.25  # standard deviation of a patch's place around the middle, as a fraction of the side
UNIFORM = 0.5  # of the pictures have hints anywhere alike
EVERYTHING = 0.01  # of the pictures show all of their colours


def simulate_hints(chroma: Tensor, generator: torch.Generator) -> Tensor:
    """Hints for pictures of known `chroma` (N, 2, H, W).

    Their number is geometrically distributed, and 0 for some pictures; each is a square of 1 to 9 pixels with the mean
    chroma of the picture there. Half of the pictures have them around the middle, as in Zhang et al., half anywhere.
    All randomness comes from `generator`, on the CPU.
    """
    hints = chroma.new_zeros(len(chroma), 3, *chroma.shape[-2:])
    for picture, target in zip(hints, chroma):
        everything, uniform = torch.rand(2, generator=generator).tolist()
        count = int(torch.empty(()).geometric_(CHANCE, generator=generator)) - 1
        if everything < EVERYTHING:
            picture[:2], picture[2] = target, 1
            continue
        sides = torch.randint(1, LARGEST + 1, (count,), generator=generator)
        draw = torch.rand if uniform < UNIFORM else _around_the_middle
        for side, place in zip(sides.tolist(), draw(count, 2, generator=generator).tolist()):
            reveal(picture, target, place, side)
    return hints


def reveal_patches(chroma: Tensor, count: int, side: int, generator: torch.Generator) -> Tensor:
    "Hints for pictures (N, 2, H, W): in each `count` squares of `side` pixels anywhere, to score on."
    hints = chroma.new_zeros(len(chroma), 3, *chroma.shape[-2:])
    for picture, target in zip(hints, chroma):
        for place in torch.rand(count, 2, generator=generator).tolist():
            reveal(picture, target, place, side)
    return hints


def reveal(hints: Tensor, chroma: Tensor, place: list[float], side: int) -> None:
    """Write a hint into `hints` (3, H, W): the mean of `chroma` (2, H, W) in a square of `side` pixels.

    place: where its corner is, from the top and from the left, in [0, 1] of where it can be.
    """
    top, left = (round(part * max(0, whole - side)) for part, whole in zip(place, chroma.shape[-2:]))
    patch = (slice(None), slice(top, top + side), slice(left, left + side))
    hints[patch] = torch.cat([chroma[patch].mean((1, 2)), chroma.new_ones(1)])[:, None, None]


def _around_the_middle(*shape: int, generator: torch.Generator) -> Tensor:
    return (0.5 + SPREAD * torch.randn(*shape, generator=generator)).clamp(0, 1)
