"""`deoldify-lite ray`: a large archive, or a long film, with several processes."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import DeoldifyError, Unavailable, UsageError
from ..limits import MAX_PIXELS
from ..models import MODELS
from ..video.errors import INSTALL
from .colorize import find_work, report_results
from .common import (
    Codec,
    Crf,
    LikeOption,
    MaxPixels,
    Overwrite,
    Recursive,
    RenderFactor,
    Report,
    Stabilize,
    Strength,
    Variants,
    Weights,
)
from .video import colorize_videos


def ray(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A folder of photos, or a video.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the results go.")],
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    weights: Weights = "lite",
    render_factor: RenderFactor = None,
    strength: Strength = 1.0,
    like: LikeOption = None,
    variants: Variants = 1,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Processes. By default one for each GPU, or else one for each machine.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster that runs already; auto for the one around this machine.")
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    stabilize: Stabilize = True,
    codec: Codec = "auto",
    crf: Crf = None,
    report: Report = None,
) -> None:
    """Put colour on a folder of photos, or on a video, with Ray, on this machine or on a cluster.

    Prints the path of each result. What is done is skipped, so the same command goes on after an interruption. A video
    is shared out in parts of some hundred frames. On a cluster, every machine has the package and sees both folders
    under the same paths.
    """
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"} | os.environ
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise Unavailable('Ray is not here: pip install "deoldify_lite[ray]"') from error

    from ..colorize.colorizer import Colorizer
    from ..colorize.folder import PHOTOS
    from ..colorize.ray import colorize_with_actors, start_ray
    from ..modeling.weights import load_generator

    is_film = source.is_file() and source.suffix.lower() not in PHOTOS.extensions
    if is_film and (like or variants > 1):
        raise UsageError("--like and --variants are for photos")
    kind = _videos() if is_film else None
    # Absolute, since other processes and machines are elsewhere.
    jobs, report_lines = find_work(source.absolute(), target.absolute(), recursive, report, kind=kind)
    load_generator(weights)  # whose errors are told once, here, and not by every actor
    if weights not in MODELS:
        weights = str(Path(weights).absolute())
    start_ray(address)
    options = {"overwrite": overwrite, "strength": strength, "max_pixels": max_pixels, "variants": variants}
    if like:
        reads = Colorizer(weights, render_factor=render_factor)  # whose errors are told here, too
        reads.reference(like, max_pixels=max_pixels)
        options["like"] = str(like.absolute())
    try:
        if is_film:
            arguments = {"render_factor": render_factor, "strength": strength, "stabilize": stabilize}
            _colorize_film(jobs, {"weights": weights} | arguments, actors, (codec, crf), overwrite, report_lines)
        else:
            results = colorize_with_actors(jobs, (weights, render_factor, options), actors)
            report_results(results, len(jobs), report_lines, overwrite=overwrite)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DeoldifyError(f"Ray gave up: {reason}; the same command goes on from here") from error
    finally:
        ray.shutdown()


def _videos() -> Any:
    try:
        from ..video.containers import VIDEOS
    except ImportError as error:
        raise Unavailable(INSTALL) from error
    return VIDEOS


def _colorize_film(
    jobs: list, arguments: dict, actors: int | None, encoding: tuple, overwrite: bool, report: AbstractContextManager
) -> None:
    from ..video.job import Options
    from ..video.ray import RayColorizer

    colorizer = RayColorizer(arguments, actors)
    colorize_videos(jobs, colorizer, Options(*encoding), overwrite, report, colorizer.encode)
