"""`deoldify-lite restore`: a damaged photo, or a folder of them."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..limits import MAX_PIXELS
from .colorize import find_work, report_results
from .common import Device, MaxPixels, Overwrite, Precision, Recursive, Report


def restore(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A photo, or a folder of photos.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Where the results go: a folder, or for one photo also a file.")
    ],
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Of one photo: fill in what is white in this image, in place of what is found."
        ),
    ] = None,
    save_mask: Annotated[
        bool, typer.Option(help="Save each mask beside its result, as NAME.mask.png, NAME with its extension.")
    ] = False,
    tone: Annotated[bool, typer.Option(help="Remove fading, too, by one curve for the whole photo.")] = True,
    strength: Annotated[float, typer.Option(min=0, max=1, help="How much of what is found is put right.")] = 1.0,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.99, help="Probability from which a pixel is damaged; lower finds more."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="restore, or a file: .safetensors of `nogan --preset restore`.")
    ] = "restore",
    device: Device = "auto",
    precision: Precision = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
    report: Report = None,
    verbose: Annotated[bool, typer.Option(help="Say how much of each photo was filled in.")] = False,
) -> None:
    """Restore a photo, or a folder of photos: scratches, dust, folds, stains, fading. Results are black and white.

    Only pixels that are found to be damaged are filled in. Prints the path of each result. What is done is skipped, so
    the same command goes on after an interruption.
    """
    if mask is not None and source.is_dir():
        raise UsageError(f"--mask is for one photo, and {source} is a folder")
    jobs, report_lines = find_work(source, target, recursive, report)

    from ..colorize.pipeline import colorize_all
    from ..restore.restorer import Restorer, read_mask

    pixels = None if mask is None else read_mask(mask, max_pixels)
    restorer = Restorer(weights, device, precision, tone=tone, threshold=threshold, mask=pixels, save_mask=save_mask)
    results = colorize_all(jobs, restorer, overwrite=overwrite, strength=strength, max_pixels=max_pixels)
    report_results(results, len(jobs), report_lines, verbose, overwrite)
