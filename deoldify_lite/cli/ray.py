"""`deoldify-lite ray`: a large archive with several processes."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DeoldifyError, Unavailable
from ..limits import MAX_PIXELS
from .colorize import find_work, report_results
from .common import LikeOption, MaxPixels, Overwrite, Recursive, RenderFactor, Report, Strength, Variants, Weights


def ray(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A folder of photos.")],
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
    report: Report = None,
) -> None:
    """Put colour on a folder of photos with Ray, on this machine or on a cluster.

    Prints the path of each result. What is done is skipped, so the same command goes on after an interruption. On a
    cluster, every machine has the package and sees both folders under the same paths.
    """
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"} | os.environ
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise Unavailable('Ray is not here: pip install "deoldify_lite[ray]"') from error

    from ..colorize.colorizer import Colorizer
    from ..colorize.ray import colorize_with_actors, start_ray
    from ..modeling.weights import load_generator

    # Absolute, since other processes and machines are elsewhere.
    jobs, report_lines = find_work(source.absolute(), target.absolute(), recursive, report)
    load_generator(weights)  # whose errors are told once, here, and not by every actor
    if Path(weights).exists():
        weights = str(Path(weights).absolute())
    start_ray(address)
    options = {"overwrite": overwrite, "strength": strength, "max_pixels": max_pixels, "variants": variants}
    if like:
        Colorizer(weights, render_factor=render_factor).reference(like)  # whose errors are told here, too
        options["like"] = str(like.absolute())
    try:
        results = colorize_with_actors(jobs, (weights, render_factor, options), actors)
        report_results(results, len(jobs), report_lines)
    except ray.exceptions.RayError as error:
        raise DeoldifyError(f"Ray gave up: {str(error).strip().splitlines()[0]}") from error
    finally:
        ray.shutdown()
