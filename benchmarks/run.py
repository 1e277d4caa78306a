"""How fast this machine colorizes and trains, with how much memory, and what limits it.

python benchmarks/run.py                                  engine, folder, startup, memory: some minutes on two cores
python benchmarks/run.py engine network                   the network alone, and the operators that it spends most on
python benchmarks/run.py deoldify --deoldify CHECKOUT     beside DeOldify, of which CHECKOUT is a clone
python benchmarks/run.py training --training-photos PATH  a stage of training, and what loading photos costs it
python benchmarks/run.py video --clips FOLDER              how steady colours of videos are, and how fast; needs [video]
python benchmarks/run.py browser                          the site of deoldify-lite web in Chromium; needs [export]
python benchmarks/run.py stored --scored-photos PATH      what fewer bits cost an exported network; needs [export]
python benchmarks/run.py --json results.json              the same for programs

All but training makes its photos of the samples. Other programs at work on the machine distort the results.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

if not __package__:  # run as a file: `benchmarks` lies beside the package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from deoldify_lite.cli.common import Device, script
from deoldify_lite.errors import DeoldifyError, UsageError
from deoldify_lite.files import write_atomically

NAMES = ("engine", "network", "folder", "memory", "startup", "deoldify", "training", "video", "browser", "stored")
USUAL = ("engine", "folder", "startup", "memory")
DEOLDIFY_FACTOR = 35  # DeOldify's render factor
PHOTO_SIZE = (1024, 768)  # whose shape the network alone works with


def benchmark(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help=f"Of {', '.join(NAMES)}. By default {', '.join(USUAL)}, and what else has what it needs given.",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="As for colorizing; may be given again. By default lite and deep; all but engine and network take the "
            "first. Where deep is not at hand, an untrained one stands in, which is as fast."
        ),
    ] = None,
    render_factor: Annotated[
        list[int] | None,
        typer.Option(
            min=2,
            max=64,
            help="As for colorizing; may be given again. By default what suits the weights, and for engine 35, too.",
        ),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="May be given again. By default float32, and bfloat16 where it is fast."),
    ] = None,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the network. By default one a core.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often everything is measured.")] = 3,
    megapixels: Annotated[
        list[float] | None,
        typer.Option(min=0.001, help="Size of the photos in folders; may be given again. By default 0.8 and 12."),
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="How many there are in a folder.")] = 24,
    scan: Annotated[float, typer.Option(min=0.001, help="Size of the one large photo, in megapixels.")] = 100,
    deoldify: Annotated[
        Path | None, typer.Option(metavar="CHECKOUT", help="A clone of DeOldify, to be measured on the same photo.")
    ] = None,
    deoldify_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.pth", help="ColorizeArtistic_gen.pth; without it both take the same untrained ones."
        ),
    ] = None,
    training_photos: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Photos or tar archives to train on; may be given again.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Whose stage of training to measure.")] = "lite",
    stage: Annotated[str, typer.Option(help="Name of a generator stage of that preset.")] = "64",
    steps: Annotated[int, typer.Option(min=1, help="Steps of training of each kind.")] = 10,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="As for training.")] = None,
    clips: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Coloured videos, or folders of them, for video.")
    ] = None,
    clip_frames: Annotated[int, typer.Option(min=10, help="Of each clip, at most.")] = 60,
    strips: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write pictures of neighbouring frames there, for video.")
    ] = None,
    scored_photos: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Photos in colour, or tar archives of them, for stored.")
    ] = None,
    scored: Annotated[int, typer.Option(min=1, help="How many of them, evenly spread.")] = 100,
    repetitions: Annotated[int, typer.Option(min=2, help="How often the largest clip is repeated, for speed.")] = 3,
    hours: Annotated[float, typer.Option(min=0.04, help="Length of the film that memory must not grow with.")] = 2,
    deoldify_frames: Annotated[int, typer.Option(min=2, help="Frames to colorize in DeOldify's way.")] = 8,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tables of docs/video.md to this file, for video.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything to this file, too.")] = None,
) -> None:
    """Measure and print tables: each value the median of some measurements, with the smallest and the largest."""
    import torch

    from benchmarks.configuration import Configuration, find_or_make
    from benchmarks.deoldify import check, compare
    from benchmarks.engine import measure_engine, measure_peaks, profile_network
    from benchmarks.folder import measure_folder
    from benchmarks.machine import describe, heading
    from benchmarks.photos import KINDS, fitted
    from benchmarks.process import measure_memory, measure_startup
    from benchmarks.results import Result, table, write_json
    from deoldify_lite.device import has_fast_bfloat16, pick_device, pick_precision
    from deoldify_lite.photo.decoders import configure_decoders

    given = {"deoldify": deoldify, "training": training_photos, "video": clips, "stored": scored_photos}
    names = names or [*USUAL, *(name for name, value in given.items() if value)]
    if unknown := [name for name in names if name not in NAMES]:
        raise UsageError(f"there is no benchmark {', '.join(unknown)}; choose {', '.join(NAMES)}")
    if "deoldify" in names:
        if deoldify is None:
            raise UsageError("deoldify needs a clone of DeOldify: --deoldify CHECKOUT")
        check(deoldify, deoldify_weights)
    if "training" in names and not training_photos:
        raise UsageError("training needs photos: --training-photos PATH")
    if "video" in names and not clips:
        raise UsageError("video needs coloured clips: --clips PATH")
    if "stored" in names and not scored_photos:
        raise UsageError("stored needs photos in colour: --scored-photos PATH")
    where = pick_device(device)
    precision = precision or ["float32", *(["bfloat16"] if has_fast_bfloat16(where) else [])]
    for name in precision:
        pick_precision(where, name)  # fails at once, not after half of the work
    if threads:
        torch.set_num_threads(threads)
    megapixels = megapixels or [0.8, 12]
    configure_decoders()

    def measure(scratch: Path) -> Iterator[list[Result]]:
        several = {"engine", "network"} & {*names}
        generators = [find_or_make(name, scratch) for name in (weights or ["lite", "deep"])[: None if several else 1]]

        def configurations(generators: list[tuple[str, Path]], precisions: list[str]) -> Iterator[Configuration]:
            for (name, path), kind, factor in product(generators, precisions, render_factor or [None]):
                yield Configuration(name, path, str(where), kind, factor)

        first = next(configurations(generators, precision[-1:]))
        if "engine" in names:
            kinds = dict.fromkeys(["bfloat16", "float32", *(name for name in precision if name != "auto")])
            yield (peaks := measure_peaks(where, repeats, kinds))
            for configuration in configurations(generators, precision):
                yield measure_engine(configuration, fitted(PHOTO_SIZE), repeats, peaks)
                if not render_factor and configuration.about["render_factor"] != DEOLDIFY_FACTOR:
                    larger = replace(configuration, render_factor=DEOLDIFY_FACTOR)
                    yield measure_engine(larger, fitted(PHOTO_SIZE), repeats, peaks)
        if "network" in names:
            for configuration in configurations(generators, precision[-1:]):
                yield profile_network(configuration, fitted(PHOTO_SIZE))
        if "deoldify" in names:
            lite, factor = Configuration(*generators[0]), (render_factor or [DEOLDIFY_FACTOR])[0]
            yield compare(deoldify, deoldify_weights, scratch, lite, where, precision, factor, repeats)
        if "folder" in names:
            for configuration, size, mode in product(configurations(generators[:1], precision), megapixels, KINDS):
                yield measure_folder(configuration, scratch, photos, size, mode, repeats)
        if "startup" in names:
            yield measure_startup(first, scratch, repeats)
        if "memory" in names:
            yield measure_memory(first, scratch, photos, max(megapixels), scan, repeats)
        if "training" in names:
            from benchmarks.training import measure_training  # imports fastai

            changes = dict(change.partition("=")[::2] for change in set_ or [])
            yield measure_training(scratch, training_photos, preset, stage, changes, device, steps)

        if "video" in names:
            from benchmarks.video import find_clips, largest, measure_video  # needs the extra
            from benchmarks.video_speed import measure_deoldify, measure_files, measure_length, measure_parts

            found, weights_file = find_clips(clips), generators[0][1]
            chosen = (weights_file, str(where), precision[-1], (render_factor or [None])[0])
            yield from measure_video(found, *chosen, clip_frames, strips)
            yield measure_parts(largest(found), *chosen)
            yield (files := measure_files(largest(found), scratch, *chosen, repetitions))
            yield measure_length(scratch, *chosen[:3], hours)
            wide = find_or_make("wide", scratch)
            yield measure_deoldify(largest(found), wide, str(where), files[-1].middle, deoldify_frames)
        if "browser" in names:
            from benchmarks.browser import measure_browser  # needs the extra

            yield measure_browser(*generators[0], megapixels, repeats, scratch)
        if "stored" in names:
            from benchmarks.stored import measure_stored  # needs the extra

            yield measure_stored(*generators[0], scored_photos, scored, scratch)

    machine, results = describe(), []
    typer.echo(heading(machine))
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for found in measure(Path(scratch)):
                typer.echo("\n" + table(found))
                results += found
    except OSError as error:
        raise DeoldifyError(f"{error.filename}: {error.strerror} (TMPDIR names another folder for photos)") from error
    finally:
        if json and results:
            write_json(json, machine, results)
        if markdown and results:
            from benchmarks.video_tables import as_markdown

            write_atomically(markdown, as_markdown(results))


if __name__ == "__main__":
    script(benchmark)
