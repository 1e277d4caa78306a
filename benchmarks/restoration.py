"""How well damage is found and filled in, on photos with made damage, beside OpenCV and doing nothing.

    python -m benchmarks.restoration --photos photos-valid.tar --out docs/restore/scores.json

Each photo gets one kind of damage at a time: the kinds that are trained on at strengths that are not, and kinds that
are never trained on. What is scored is the result before the correction of tone, against the photo without damage.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from deoldify_lite.cli.common import Device, Precision, script
from deoldify_lite.files import atomic_path, write_atomically
from deoldify_lite.metrics.image import Lpips, psnr, ssim
from deoldify_lite.photo import Photo, read_rgb
from deoldify_lite.photo.sheet import sheet
from deoldify_lite.restore.engine import RestorationEngine
from deoldify_lite.restore.restorer import Restorer
from deoldify_lite.samples import sample_photos
from deoldify_lite.sources import list_sources, read_sources, spread
from deoldify_lite.training.damage import HELD_OUT, HELD_OUT_STRENGTHS, KINDS, add_kind

from .photos import QUALITY, sized
from .probe import peak_memory

RADIUS = 3  # of cv2.inpaint, in pixels
NEAR = 2  # pixels around damage in which a mask does no harm: it covers soft edges on purpose
CLEAN = 0.002  # the part of a clean photo that may be masked
SHOWN = (("scratches", "dust"), ("folds", "hairs"), ("cracks", "dust"))  # on the photos of `before_and_after`
SHOWN_SIDE, SHOWN_HEIGHT = 480, 300  # pixels: their short side, and how high they are in the sheet


@dataclass
class Scores:
    "Means over photos: of a method's results, and of the masks that it went by."

    kind: str
    method: str
    psnr: float
    ssim: float
    lpips: float
    precision: float | None = None
    recall: float | None = None
    largest_change_outside: int | None = None  # levels of 255


def measure(
    photos: Sequence[np.ndarray], engine: RestorationEngine, kinds: Sequence[str], scale: float, lpips: Lpips | None
) -> Iterator[Scores]:
    "The scores of each kind of damage and method. Photos are luma (H, W), uint8."
    engine.tone = False
    for kind in tqdm(kinds, unit="kind", disable=None):
        rows: dict[str, list[dict[str, float]]] = {}
        for i, clean in enumerate(photos):
            draw = np.random.default_rng([i, *kind.encode()])
            strength = draw.uniform(*HELD_OUT_STRENGTHS)
            damaged, true = add_kind(clean.astype(np.float32) / 255, kind, draw, scale, strength)
            damaged = np.rint(damaged * 255).astype(np.uint8)
            if not true.any():
                continue
            for method, (result, mask) in restore_by_all(engine, damaged, true).items():
                rows.setdefault(method, []).append(score(result, clean, damaged, mask, true, lpips))
        for method, values in rows.items():
            means = {k: [v[k] for v in values if v[k] is not None] for k in values[0]}
            combined = {
                k: (max(v) if k == "largest_change_outside" else fmean(v)) if v else None for k, v in means.items()
            }
            yield Scores(kind, method, **combined)


def restore_by_all(
    engine: RestorationEngine, damaged: np.ndarray, true: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    "By each method: the result, and the mask that it went by, bool."
    import cv2

    found = engine.find(damaged)
    given = engine.find(damaged, np.where(true, np.uint8(255), np.uint8(0)))
    photo = Photo(damaged)
    inpaint: Callable[[np.ndarray], np.ndarray] = lambda mask: cv2.inpaint(  # noqa: E731
        damaged, mask.astype(np.uint8) * 255, RADIUS, cv2.INPAINT_TELEA
    )
    return {
        "nothing": (damaged, None),
        "ours": (engine.restored(photo, found).luma, found.mask > 0),
        "ours, true mask": (engine.restored(photo, given).luma, true),
        "cv2.inpaint, our mask": (inpaint(found.mask > 0), found.mask > 0),
        "cv2.inpaint, true mask": (inpaint(true), true),
    }


def score(
    result: np.ndarray,
    clean: np.ndarray,
    damaged: np.ndarray,
    mask: np.ndarray | None,
    true: np.ndarray,
    lpips: Lpips | None,
) -> dict[str, float | None]:
    "The fields of `Scores` of one result."
    a, b = (_rgb(y) for y in (result, clean))
    values = {"psnr": float(psnr(a, b).clamp(max=60)), "ssim": float(ssim(a, b))}
    with torch.inference_mode():
        values["lpips"] = float(lpips(a, b)) if lpips else float("nan")
    if mask is None:
        return values | dict.fromkeys(("precision", "recall", "largest_change_outside"))
    outside = np.abs(result.astype(int) - damaged)[~mask]
    near = _near(true)
    return values | {
        "precision": float((mask & near).sum() / mask.sum()) if mask.any() else None,
        "recall": float((mask & true).sum() / true.sum()),
        "largest_change_outside": int(outside.max(initial=0)),
    }


def _rgb(luma: np.ndarray) -> Tensor:
    return torch.from_numpy(luma.astype(np.float32) / 255).expand(1, 3, -1, -1)


def _near(mask: np.ndarray) -> np.ndarray:
    pixels = torch.from_numpy(mask.astype(np.float32))[None, None]
    return torch.nn.functional.max_pool2d(pixels, 2 * NEAR + 1, 1, NEAR)[0, 0].numpy() > 0


def measure_clean(photos: Sequence[np.ndarray], engine: RestorationEngine) -> dict[str, float]:
    "What is masked of photos without damage: the mean part, the largest, and how many have more than `CLEAN`."
    parts = [float((engine.find(y).mask > 0).mean()) for y in photos]
    return {
        "photos": len(parts),
        "masked": fmean(parts),
        "median_masked": float(np.median(parts)),
        "largest_masked": max(parts),
        "photos_above": sum(part > CLEAN for part in parts) / len(parts),
    }


def time_one(restorer: Restorer, megapixels: float) -> dict[str, Any]:
    "Seconds, file to file, for a JPEG of so many megapixels, and the most memory that the process ever held."
    photo = sized(next(iter(sample_photos().values())), megapixels, "L")
    with TemporaryDirectory() as folder:
        source = Path(folder) / "photo.jpg"
        photo.save(source, quality=QUALITY)
        del photo
        before = megabytes()
        restorer.restore_file(source, Path(folder) / "restored.jpg", max_pixels=10**9)
        started = time.monotonic()
        restorer.restore_file(source, Path(folder) / "restored.jpg", max_pixels=10**9)
        seconds = time.monotonic() - started
    return {"megapixels": megapixels, "seconds": round(seconds, 2), "megabytes": megabytes(), "before": before} | {
        "threads": torch.get_num_threads()
    }


def megabytes() -> int:
    return round(peak_memory() / 1e6)


def read_photos(paths: Sequence[Path], count: int, short_side: int) -> list[np.ndarray]:
    "Luma of `count` photos, spread evenly over all."
    files = list(read_sources(list_sources(paths)))
    chosen = [files[i][1] for i in spread(count, len(files))]
    return [np.asarray(read_rgb(file, short_side).convert("L")) for file in chosen]


def examples(photos: Sequence[np.ndarray], scale: float, strengths: Sequence[float]) -> Image.Image:
    "A sheet of made damage: a row for each kind, photos and their masks by turns."
    rows = {}
    for kind in (*KINDS, *HELD_OUT):
        row = []
        for i, strength in enumerate(strengths):
            y = photos[i % len(photos)].astype(np.float32) / 255
            damaged, mask = add_kind(y, kind, np.random.default_rng([i, *kind.encode()]), scale, strength)
            row += [Image.fromarray(np.rint(p * 255).astype(np.uint8)) for p in (damaged, mask)]
        rows[f"{kind} (validation only)" if kind in HELD_OUT else kind] = row
    return sheet(rows, photos[0].shape[0])


def before_and_after(photos: dict[str, np.ndarray], engine: RestorationEngine, scale: float) -> Image.Image:
    "A sheet of photos with made damage: damaged, the mask that was found, restored, and without damage."
    engine.tone = False
    rows = {}
    for (name, clean), kinds in zip(photos.items(), cycle(SHOWN)):
        damaged, draw = clean.astype(np.float32) / 255, np.random.default_rng([*name.encode()])
        for kind in kinds:
            damaged, _ = add_kind(damaged, kind, draw, scale, fmean(HELD_OUT_STRENGTHS))
        luma = np.rint(damaged * 255).astype(np.uint8)
        found = engine.find(luma)
        pictures = (luma, found.mask, engine.restored(Photo(luma), found).luma, clean)
        rows[f"{name}: {', '.join(kinds)}"] = [Image.fromarray(picture) for picture in pictures]
    return sheet(rows, SHOWN_HEIGHT)


def table(scores: Sequence[Scores]) -> str:
    "The scores in Markdown."
    lines = [
        "| damage | method | PSNR | SSIM | LPIPS | precision | recall |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for s in scores:
        masks = ("" if v is None else f"{v:.2f}" for v in (s.precision, s.recall))
        lines.append(f"| {s.kind} | {s.method} | {s.psnr:.2f} | {s.ssim:.3f} | {s.lpips:.4f} | {' | '.join(masks)} |")
    return "\n".join(lines)


def main(
    photos: Annotated[list[Path] | None, typer.Option(help="Photos, folders or tar archives of them.")] = None,
    weights: Annotated[str, typer.Option(help="restore, or a file.")] = "restore",
    out: Annotated[Path | None, typer.Option(help="Write the figures there as JSON.")] = None,
    sheet_file: Annotated[Path | None, typer.Option("--sheet", help="Only draw examples of made damage there.")] = None,
    shown: Annotated[Path | None, typer.Option(help="Only draw sample photos before and after there.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many photos.")] = 100,
    size: Annotated[int, typer.Option(min=32, help="Their short side, in pixels.")] = 224,
    scale: Annotated[float, typer.Option(min=0.1, help="What the damage's widths are multiplied by.")] = 1.4,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of damage; may be given again.")] = None,
    megapixels: Annotated[float | None, typer.Option(help="Only time one photo of this size.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of the mask, instead of that of the weights.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    "Measure a restorer on made damage, or draw that."
    if sheet_file:
        pictures = [np.asarray(read_rgb(p, 200).convert("L").crop((0, 0, 200, 200))) for p in sample_photos().values()]
        with atomic_path(sheet_file) as temporary:
            examples(pictures, 1.2, (0.3, 0.7, 1.0)).save(temporary, "PNG" if sheet_file.suffix == ".png" else "JPEG")
        return
    if megapixels:
        typer.echo(json.dumps(time_one(Restorer(weights, device, precision, threshold=threshold), megapixels)))
        return
    engine = RestorationEngine(weights, device, precision, threshold=threshold)
    if shown:
        samples = {p.stem: np.asarray(read_rgb(p, SHOWN_SIDE).convert("L")) for p in sample_photos().values()}
        with atomic_path(shown) as temporary:
            before_and_after(samples, engine, scale).save(temporary, "JPEG", quality=QUALITY)
        return
    pictures = read_photos(photos or [], count, size)
    clean = measure_clean(pictures, engine)
    typer.echo(f"threshold {engine.threshold:g}; of {clean['photos']} clean photos: {clean}", err=True)
    lpips = Lpips()
    scores = list(measure(pictures, engine, kind or [*KINDS, *HELD_OUT], scale, lpips))
    typer.echo(table(scores))
    if out:
        content = {"threshold": engine.threshold, "clean": clean, "scores": [asdict(s) for s in scores]}
        write_atomically(out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    script(main)
