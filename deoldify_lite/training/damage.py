"""Damage as old prints have it, drawn on clean photos: what a restorer is trained and judged on.

Each kind is a function `(luma, draw, scale, strength) -> luma` on one photo (H, W), float32 in [0, 1]. `draw` has all
randomness, `scale` is what the widths in pixels are multiplied by, `strength` in [0, 1] how much and how opaque. The
mask is what the damage changed visibly; what it changed less than that is put back, so the mask covers all changes.

`KINDS` are trained on. `HELD_OUT` look different on purpose and are for validation alone, and so are the strengths
between `HELD_OUT_STRENGTHS`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor

from .. import color
from ..modeling.restorer import HOLE
from ..schedule import Damage, Schedule
from .degradation import blurred, degrade, jpeg

Kind = Callable[[np.ndarray, np.random.Generator, float, float], np.ndarray]
VISIBLE = 8 / 255  # a smaller change is none
SUPERSAMPLING = 2  # lines are drawn that many times as large, for smooth edges and widths below a pixel
HELD_OUT_STRENGTHS = (0.45, 0.6)


def add_damage(luma: Tensor, damage: Damage, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Damaged luma, the same without damage, and the mask: all (N, 1, H, W) of `luma`'s device, in [0, 1].

    Both have what is no damage and must stay, frames and captions, and what the scanner does: softness and JPEG. They
    are equal wherever the mask is 0. Some photos have holes: places whose luma is `HOLE`, as where a person says that
    something is to be replaced. A photo's damage follows from `generator` (on the CPU) and its own luma alone.
    """
    seeds = torch.randint(2**62, (len(luma),), generator=generator).tolist()
    soft, blocky = (torch.rand(2, len(luma), 1, 1, 1, generator=generator) * 2 - 1).clamp(min=0).to(luma.device)
    marked = (torch.rand(len(luma), 1, 1, 1, generator=generator) < damage.holes / 2).to(luma.device)
    pairs = [_damaged(y, damage, np.random.default_rng(seed)) for y, seed in zip(luma[:, 0].cpu().numpy(), seeds)]
    before, after, brushed = (
        torch.from_numpy(np.stack(part).astype(np.float32))[:, None].to(luma.device) for part in zip(*pairs)
    )
    raw = before, after
    before, after = (
        jpeg(blurred(y, soft * damage.scan_blur), blocky * damage.scan_jpeg).clamp(0, 1) for y in (before, after)
    )
    # Not what JPEG's blocks carry away from it, a level or two.
    near = F.max_pool2d(((raw[1] - raw[0]).abs() > VISIBLE / 2).float(), 5, 1, 2)
    mask = ((after - before).abs() > VISIBLE).float() * near
    after = torch.where(mask > 0, after, before)
    hole = torch.where(marked, F.max_pool2d(mask, 3, 1, 1), 0).maximum(brushed)
    return torch.where(hole > 0, HOLE, after), before, hole.maximum(mask)


def restoration_pair(rgb: Tensor, schedule: Schedule, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What a restorer is trained on, of pictures (N, 3, H, W) in [0, 1]: the input, and the target.

    The input is damaged, grayscale and normalised (N, 3, H, W). The target (N, 4, H, W) in [0, 1] is the same without
    damage, three equal channels, and the mask. Input and target are degraded as `degradation` has it: pixels outside
    of the mask stay as they are, so what is filled in must look like them.
    """
    luma = color.luma(color.denormalize(degrade(rgb, schedule.degradation, generator))).clamp(0, 1)
    damaged, clean, mask = add_damage(luma, schedule.damage, generator)
    return color.normalize(damaged.expand(-1, 3, -1, -1)), torch.cat([clean.expand(-1, 3, -1, -1), mask], 1)


def _damaged(y: np.ndarray, damage: Damage, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    "One photo with what must stay, without damage and with it; and where somebody brushed over it, as 0 and 1."
    brushed = _brushed(y.shape, draw) if draw.random() < damage.holes / 2 else np.zeros_like(y)
    if draw.random() < damage.frames:
        y = _frame(y, draw)
    if draw.random() < damage.captions:
        y = _caption(y, draw)
    if draw.random() >= damage.probability:
        return y, y, brushed
    after = y
    names = [name for name in KINDS if draw.random() < getattr(damage, name)]
    for name in draw.permutation(names or [draw.choice(list(KINDS))]):
        after = KINDS[name](after, draw, np.exp(draw.uniform(*np.log(damage.scales))), _trained_strength(draw))
    return y, after.clip(0, 1), brushed


def _trained_strength(draw: np.random.Generator) -> float:
    "Uniform over [0, 1] without `HELD_OUT_STRENGTHS`."
    low, high = HELD_OUT_STRENGTHS
    strength = draw.uniform(0, 1 - (high - low))
    return strength if strength < low else strength + high - low


def add_kind(
    luma: np.ndarray, kind: str, draw: np.random.Generator, scale: float = 1.0, strength: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """One kind of damage, of `KINDS` or `HELD_OUT`, on a photo: luma (H, W) float32 in [0, 1], and a mask, bool.

    Raises:
        KeyError: no such kind.
    """
    after = ({**KINDS, **HELD_OUT})[kind](luma, draw, scale, strength).clip(0, 1)
    mask = np.abs(after - luma) > VISIBLE
    return np.where(mask, after, luma), mask


# What strokes, textures and shapes are made of.

Stroke = tuple[np.ndarray, np.ndarray, np.ndarray]  # points (n, 2) as x and y; widths and opacities of n - 1 segments


def _over(y: np.ndarray, tone: np.ndarray | float, alpha: np.ndarray) -> np.ndarray:
    return y + (tone - y) * alpha


def _noise(draw: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    "Smooth noise (H, W), about normally distributed, that changes over `cell` pixels."
    small = [max(2, round(side / cell) + 1) for side in shape]
    grid = Image.fromarray(draw.standard_normal(small, np.float32))
    return np.asarray(grid.resize(shape[::-1], Image.Resampling.BICUBIC))


def _noise_along(draw: np.random.Generator, count: int, cell: float) -> np.ndarray:
    "Smooth noise of `count` values, about normally distributed."
    knots = draw.standard_normal(int(count / cell) + 2)
    return np.interp(np.arange(count) / cell, np.arange(len(knots)), knots)


def _drawn(shape: tuple[int, int], strokes: Sequence[Stroke]) -> np.ndarray:
    "The opacity (H, W) of some strokes."
    canvas = Image.new("L", (shape[1] * SUPERSAMPLING, shape[0] * SUPERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for points, widths, opacities in strokes:
        corners = np.rint(points * SUPERSAMPLING).tolist()
        for start, end, width, opacity in zip(corners, corners[1:], widths * SUPERSAMPLING, opacities):
            fill = int(255 * min(1, opacity))
            if fill < 8:
                continue
            # A line thinner than what can be drawn is drawn fainter.
            pen.line((*start, *end), int(fill * min(1, width)), max(1, round(width)))
            if width > 3:
                pen.ellipse([c + sign * width / 2 for sign in (-1, 1) for c in end], fill)
    return np.asarray(canvas.resize(shape[::-1], Image.Resampling.BOX), np.float32) / 255


def _path(
    draw: np.random.Generator, start: np.ndarray, angle: float, length: float, step: float, bend: float, jitter: float
) -> np.ndarray:
    "Points (n, 2) from `start` on: the direction drifts by `bend`, and jumps by `jitter`, radians a point."
    count = max(2, int(length / step) + 1)
    drift = np.cumsum(draw.standard_normal(count - 1) * bend) + draw.standard_normal() * bend * np.arange(count - 1)
    angles = angle + drift + draw.standard_normal(count - 1) * jitter
    return start + np.concatenate([[[0, 0]], np.cumsum(step * np.stack([np.cos(angles), np.sin(angles)], 1), 0)])


def _stroke(draw: np.random.Generator, points: np.ndarray, width: float, opacity: float, patchy: float) -> Stroke:
    "Of uneven width and opacity; `patchy` 1 leaves gaps."
    count = len(points) - 1
    widths = width * np.exp(0.3 * _noise_along(draw, count, 3))
    return points, widths, (opacity * (1 + patchy * (_noise_along(draw, count, 4) - 0.3))).clip(0, 1)


def _anywhere(draw: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return draw.uniform(0, shape[::-1])


def _across(draw: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, float, float]:
    "Where a line across the whole photo begins, its direction and its length."
    height, width = shape
    upright = draw.random() < 0.5
    ends = draw.uniform(-0.1, 1.1, 2) * (width if upright else height)
    start, end = ((ends[0], -2.0), (ends[1], height + 2.0)) if upright else ((-2.0, ends[0]), (width + 2.0, ends[1]))
    way = np.subtract(end, start)
    return np.array(start), float(np.arctan2(way[1], way[0])), float(np.hypot(*way))


def _opacity(draw: np.random.Generator, strength: float) -> float:
    return float(np.clip(0.4 + 0.5 * strength + draw.uniform(-0.1, 0.25), 0.3, 1))


def _light_or_dark(draw: np.random.Generator, light: float) -> float:
    "A tone: nearly white with the probability `light`, else nearly black."
    return draw.uniform(0.75, 1.0) if draw.random() < light else draw.uniform(0.0, 0.25)


def _textured(draw: np.random.Generator, shape: tuple[int, int], tone: float, amount: float = 0.04) -> np.ndarray:
    "A tone with the grain of paper."
    grain = draw.standard_normal(shape, np.float32) * 0.5
    return (tone + amount * (grain + _noise(draw, shape, 8))).clip(0, 1)


def _blob(draw: np.random.Generator, shape: tuple[int, int], radius: float, softness: float) -> np.ndarray:
    "An irregular spot (H, W) in [0, 1], about `radius` pixels large."
    (x, y), (rows, columns) = _anywhere(draw, shape), np.ogrid[: shape[0], : shape[1]]
    stretch = np.exp(draw.uniform(-0.4, 0.4))
    away = np.hypot((columns - x) * stretch, (rows - y) / stretch).astype(np.float32) / radius
    outline = 0.35 * _noise(draw, shape, radius) + 0.2 * _noise(draw, shape, max(2.0, radius / 3))
    return 1 / (1 + np.exp(((away + outline - 1) / softness).clip(-30, 30)))


def _soft(alpha: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray((alpha * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(radius)))
    return np.asarray(image, np.float32) / 255


# The kinds that are trained on.


def scratches(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Long thin lines, straight or slightly bent, some in parallel; emulsion gone, or dirt in it."
    for light in (0.95, 0.15) if draw.random() < 0.4 else (0.8,):
        strokes = []
        for _ in range(1 + draw.poisson(3 * strength)):
            width = scale * np.exp(draw.uniform(np.log(0.4), np.log(1.8)))
            length = draw.uniform(0.1, 1.2) * max(y.shape)
            points = _path(draw, _anywhere(draw, y.shape), draw.uniform(0, 2 * np.pi), length, 6, 0.015, 0.02)
            for i in range(1 if draw.random() < 0.75 else draw.integers(2, 5)):
                shifted = points + i * draw.uniform(-6, 6, 2) * scale
                strokes.append(_stroke(draw, shifted, width, _opacity(draw, strength), draw.uniform(0, 0.8)))
        y = _over(y, _textured(draw, y.shape, _light_or_dark(draw, light)), _drawn(y.shape, strokes))
    return y


def hairs(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Thin curved threads that lay on the print or the scanner."
    strokes = []
    for _ in range(1 + draw.poisson(2 * strength)):
        length = draw.uniform(10, 70) * scale
        points = _path(draw, _anywhere(draw, y.shape), draw.uniform(0, 2 * np.pi), length, 2.5, 0.12, 0.05)
        width = scale * draw.uniform(0.35, 1.1)
        strokes.append(_stroke(draw, points, width, _opacity(draw, strength), 0.1))
    return _over(y, _light_or_dark(draw, 0.5), _drawn(y.shape, strokes))


def dust(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Specks: dots, crumbs and short fibres, everywhere or in a cloud."
    canvas = Image.new("L", (y.shape[1] * SUPERSAMPLING, y.shape[0] * SUPERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    count = int(np.exp(draw.uniform(np.log(8), np.log(30 + 150 * strength))))
    centers = draw.uniform(0, y.shape[::-1], (count, 2))
    if draw.random() < 0.3:
        centers = _anywhere(draw, y.shape) + draw.standard_normal((count, 2)) * 0.12 * max(y.shape)
    radii = scale * np.exp(draw.normal(np.log(0.75), 0.5, count)).clip(0.25, 3.5)
    for center, radius in zip(centers, radii):
        corners = np.arange(6) * np.pi / 3 + draw.uniform(0, 1)
        reach = radius * draw.uniform(0.4, 1.4, 6) * SUPERSAMPLING
        outline = (
            center * SUPERSAMPLING
            + np.stack([np.cos(corners) * draw.uniform(0.5, 1), np.sin(corners)], 1) * reach[:, None]
        )
        pen.polygon([tuple(p) for p in outline.tolist()], int(255 * _opacity(draw, strength)))
    alpha = np.asarray(canvas.resize(y.shape[::-1], Image.Resampling.BOX), np.float32) / 255
    return _over(y, _textured(draw, y.shape, _light_or_dark(draw, 0.75)), alpha)


def folds(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Lines across the whole print: a ragged bright core where the emulsion broke, a dark rim, uneven light beside it."
    for _ in range(1 + (draw.random() < 0.3 * strength)):
        start, angle, length = _across(draw, y.shape)
        points = _path(draw, start, angle, length, 4, 0.004, 0.12)
        width = scale * np.exp(draw.uniform(np.log(0.6), np.log(3.0)))
        band = (points, np.full(len(points) - 1, 5 * width), np.ones(len(points) - 1))
        shade = _soft(_drawn(y.shape, [band]), 2 * width) * strength * draw.uniform(-0.3, 0.15)
        y = y * (1 + shade)
        rim = (
            points + width * draw.uniform(-0.8, 0.8, 2),
            np.full(len(points) - 1, 1.3 * width),
            np.ones(len(points) - 1),
        )
        y = _over(y, 0.1, _drawn(y.shape, [rim]) * draw.uniform(0, 0.6))
        core = _stroke(draw, points, width, _opacity(draw, strength), draw.uniform(0.1, 0.9))
        y = _over(y, _textured(draw, y.shape, draw.uniform(0.7, 1.0), 0.06), _drawn(y.shape, [core]))
    return y


def cracks(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Jagged lines that branch, bright with a dark rim: a print that was crumpled."
    strokes, width = [], scale * np.exp(draw.uniform(np.log(0.5), np.log(1.8)))
    for _ in range(1 + draw.poisson(8 * strength**3)):
        todo = [(_anywhere(draw, y.shape), draw.uniform(0, 2 * np.pi), draw.uniform(0.2, 0.9) * max(y.shape), width)]
        while todo and len(strokes) < 60:
            start, angle, length, wide = todo.pop()
            points = _path(draw, start, angle, length, 4 * max(1, scale / 2), 0.1, 0.35)
            strokes.append(_stroke(draw, points, wide, _opacity(draw, strength), 0.5))
            for _ in range(draw.poisson(length / 50)):
                fork = points[draw.integers(len(points))]
                turned = angle + draw.choice([-1, 1]) * draw.uniform(0.5, 1.4)
                todo.append((fork, turned, length * draw.uniform(0.15, 0.5), wide * draw.uniform(0.5, 0.9)))
    shift = width * draw.uniform(-1, 1, 2)
    rim = [(points + shift, 1.4 * widths, opacities) for points, widths, opacities in strokes]
    y = _over(y, 0.1, _drawn(y.shape, rim) * draw.uniform(0, 0.7))
    return _over(y, _textured(draw, y.shape, _light_or_dark(draw, 0.85), 0.06), _drawn(y.shape, strokes))


def stains(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "What spilled or grew: darker or paler areas under which the picture is still seen, some with a rim; foxing."
    spots = draw.random() < 0.4
    for _ in range(draw.integers(3, 12) if spots else draw.integers(1, 3)):
        radius = draw.uniform(1.5, 5) * scale if spots else draw.uniform(0.06, 0.3) * max(y.shape)
        area = _blob(draw, y.shape, radius, draw.uniform(0.04, 0.25))
        depth = 0.2 + 0.45 * strength * draw.uniform(0.5, 1)
        rim = 4 * area * (1 - area) * draw.uniform(0, 0.5)
        if draw.random() < 0.65:
            y = y * (1 - depth * (area + rim).clip(0, 1.2))
        else:
            y = _over(y, draw.uniform(0.6, 0.95), depth * area)
    return y


def tears(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Pieces that are missing at an edge or a corner: what was behind the print is seen, and a rim of white fibres."
    height, width = y.shape
    background = _textured(draw, y.shape, _light_or_dark(draw, 0.6))
    for _ in range(draw.integers(1, 4)):
        rows, columns = np.ogrid[:height, :width]
        across, along = (columns, rows) if draw.random() < 0.5 else (rows, columns)
        across = across if draw.random() < 0.5 else across.max() - across
        along = along if draw.random() < 0.5 else along.max() - along
        depth, reach = (
            (0.03 + 0.2 * strength) * max(y.shape) * draw.uniform(0.4, 1),
            draw.uniform(0.1, 0.5) * max(y.shape),
        )
        place = 0 if draw.random() < 0.6 else draw.uniform(0, along.max())
        ragged = scale * (1.5 * _noise(draw, y.shape, 10) + 0.8 * _noise(draw, y.shape, 3))
        inside = depth * (1 - np.abs(along - place) / reach) - across + ragged
        rim = draw.uniform(0, 3) * scale
        y = _over(y, _textured(draw, y.shape, draw.uniform(0.8, 1)), (inside + rim).clip(0, 1))
        y = _over(y, background, inside.clip(0, 1))
    return y


def blotches(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Spots where the emulsion is gone, or something sticks."
    for _ in range(1 + draw.poisson(3 * strength)):
        area = _blob(draw, y.shape, scale * np.exp(draw.uniform(np.log(2), np.log(9))), draw.uniform(0.02, 0.12))
        y = _over(y, _textured(draw, y.shape, _light_or_dark(draw, 0.7), 0.06), area * _opacity(draw, strength))
    return y


KINDS: Mapping[str, Kind] = {
    kind.__name__: kind for kind in (scratches, hairs, dust, folds, cracks, stains, tears, blotches)
}


# Kinds for validation alone.


def tramlines(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Scratches as a projector makes them: parallel lines from edge to edge."
    columns = np.arange(y.shape[1], dtype=np.float32)[None]
    for _ in range(draw.integers(2, 6)):
        sway = draw.uniform(0, y.shape[1]) + 1.5 * _noise_along(draw, y.shape[0], 40)[:, None]
        alpha = np.exp(-(((columns - sway) / (0.7 * scale)) ** 2)) * _opacity(draw, strength)
        y = _over(y, _light_or_dark(draw, 0.6), alpha.astype(np.float32))
    return y


def lint(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Dust as clusters of pixels: the peaks of noise."
    peaks = _noise(draw, y.shape, 1.6 * scale) + 0.6 * _noise(draw, y.shape, 40)
    alpha = ((peaks - 2.6 + 0.4 * strength) * 3).clip(0, 1) * _opacity(draw, strength)
    return _over(y, _light_or_dark(draw, 0.7), alpha)


def creases(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Folds of another make: a cross of two, a soft ridge that is light on one side and dark on the other."
    for upright in (True, False):
        side = y.shape[1] if upright else y.shape[0]
        along = np.arange(y.shape[0] if upright else y.shape[1])
        middle = (
            side * draw.uniform(0.25, 0.75) + draw.uniform(-0.1, 0.1) * along + 0.8 * _noise_along(draw, len(along), 5)
        )
        away = np.arange(side)[None] - middle[:, None]
        away = (away if upright else away.T).astype(np.float32) / (1.5 * scale)
        y = y + 0.35 * strength * -away * np.exp(-((away / 2) ** 2))
        worn = (0.6 + 0.5 * _noise(draw, y.shape, 6)).clip(0, 1)
        y = _over(y.clip(0, 1), 0.92, np.exp(-(away**2) * 2) * worn * _opacity(draw, strength))
    return y


def crazing(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Cracks as a net: the borders of cells around random points."
    rows, columns = np.mgrid[: y.shape[0], : y.shape[1]].astype(np.float32)
    shift = [2 * scale * _noise(draw, y.shape, 12) for _ in range(2)]
    points = draw.uniform(0, y.shape, (max(6, int(y.size / (40 * scale) ** 2)), 2)).astype(np.float32)
    away = np.hypot(rows + shift[0] - points[:, 0, None, None], columns + shift[1] - points[:, 1, None, None])
    nearest, second = np.partition(away, 1, 0)[:2]
    alpha = (1.2 * scale - (second - nearest)).clip(0, 1) * _opacity(draw, strength)
    return _over(y, _light_or_dark(draw, 0.7), alpha)


def tape(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "A stain of another make: a strip of old adhesive tape, with sharp edges."
    angle, (x, top) = draw.uniform(-0.5, 0.5), _anywhere(draw, y.shape)
    rows, columns = np.ogrid[: y.shape[0], : y.shape[1]]
    away = np.abs((rows - top) * np.cos(angle) - (columns - x) * np.sin(angle))
    inside = (draw.uniform(6, 14) * scale - away).clip(0, 1).astype(np.float32)
    return y * (1 - (0.15 + 0.4 * strength) * inside)


def chips(y: np.ndarray, draw: np.random.Generator, scale: float, strength: float) -> np.ndarray:
    "Blotches of another make: flakes with straight edges."
    canvas = Image.new("L", (y.shape[1] * SUPERSAMPLING, y.shape[0] * SUPERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for _ in range(draw.integers(2, 7)):
        around = np.sort(draw.uniform(0, 2 * np.pi, 5))
        reach = scale * draw.uniform(2, 9, 5)[:, None] * SUPERSAMPLING
        outline = _anywhere(draw, y.shape) * SUPERSAMPLING + np.stack([np.cos(around), np.sin(around)], 1) * reach
        pen.polygon([tuple(p) for p in outline.tolist()], 255)
    alpha = np.asarray(canvas.resize(y.shape[::-1], Image.Resampling.BOX), np.float32) / 255
    return _over(y, _textured(draw, y.shape, _light_or_dark(draw, 0.8)), alpha * _opacity(draw, strength))


HELD_OUT: Mapping[str, Kind] = {kind.__name__: kind for kind in (tramlines, lint, creases, crazing, tape, chips)}


# What is no damage, or not the print's.


def _brushed(shape: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    "Some strokes of a brush, 0 or 1."
    strokes = []
    for _ in range(draw.integers(1, 5)):
        points = _path(draw, _anywhere(draw, shape), draw.uniform(0, 2 * np.pi), draw.uniform(3, 80), 3, 0.1, 0.1)
        ones = np.ones(len(points) - 1)
        strokes.append((points, ones * np.exp(draw.uniform(np.log(2), np.log(14))), ones))
    return (_drawn(shape, strokes) > 0.5).astype(np.float32)


def _frame(y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    "The margin of a print, with rounded corners or not: on one side of the crop, or on all."
    tone, (height, width) = _light_or_dark(draw, 0.7), y.shape
    canvas = Image.new("L", (width, height), 255)
    sides = np.where(draw.random(4) < 0.5, draw.uniform(2, 0.12 * min(y.shape), 4), -20)
    left, top, right, bottom = sides if sides.max() > 0 else np.full(4, draw.uniform(2, 0.1 * min(y.shape)))
    box = (left, top, width - 1 - right, height - 1 - bottom)
    ImageDraw.Draw(canvas).rounded_rectangle(box, draw.choice([0, 0, 8]), 0)
    return _over(y, _textured(draw, y.shape, tone, 0.02), np.asarray(canvas, np.float32) / 255)


def _caption(y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    "A number or word, as photographers wrote it on the negative."
    text = "".join(draw.choice(list("0123456789ABCDEFGHIKLMNOPRSTUVWabcdeghiklmnorstuvw. -"), draw.integers(3, 12)))
    canvas = Image.new("L", y.shape[::-1])
    font = ImageFont.load_default(float(draw.uniform(7, 20)))
    ImageDraw.Draw(canvas).text(tuple(_anywhere(draw, y.shape) * (0.7, 0.9)), text, 255, font)
    return _over(y, _light_or_dark(draw, 0.6), np.asarray(canvas, np.float32) / 255)
