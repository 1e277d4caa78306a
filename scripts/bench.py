"""How fast this machine colorizes, with how much memory, and what holds it.

python scripts/bench.py                                  everything, in some minutes on two cores
python scripts/bench.py --only peak,network --profile    the network alone, and where its time goes
python scripts/bench.py --deoldify CHECKOUT              also beside DeOldify, of which CHECKOUT is a clone
python scripts/bench.py --json figures.json              the same for programs

Nothing else is needed: the photos are made of the samples. Other programs at work on the machine spoil the figures.
"""

from pathlib import Path
from typing import Annotated

import typer

from deoldify_lite.cli import UNAVAILABLE, USAGE, Device, fail, script


def bench(
    only: Annotated[
        str | None,
        typer.Option(
            metavar="PART,PART",
            help="Of peak, network, profile, deoldify, folder, startup, memory. By default all but profile, and "
            "deoldify only with a checkout.",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="As for colorizing; may be given again. By default lite and deep; all but the network alone take the "
            "first. Where deep is not at hand, an untrained one stands in, which is as fast."
        ),
    ] = None,
    render_factor: Annotated[
        list[int] | None,
        typer.Option(
            min=2,
            max=64,
            help="As for colorizing; may be given again. By default what suits the weights, and for "
            "the network alone 35, too.",
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
    profile: Annotated[
        bool, typer.Option("--profile", help="Also the operators that the network spends most on.")
    ] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything to this file, too.")] = None,
) -> None:
    """Measure and print tables: each figure the median of some measurements, with the smallest and the largest."""
    import torch

    from deoldify_lite.device import DeviceUnavailable
    from deoldify_lite.modeling.weights import BadWeights
    from deoldify_lite.photo.quiet import quiet_decoders
    from deoldify_lite.speed.deoldify import DeOldifyFailed
    from deoldify_lite.speed.machine import describe, heading
    from deoldify_lite.speed.parts import PARTS, Wanted, measure
    from deoldify_lite.speed.photos import NoSamples
    from deoldify_lite.speed.rows import MeasurementFailed, table

    usual = [part for part in PARTS if part != "profile" and (part != "deoldify" or deoldify)]
    parts = [part.strip() for part in only.split(",")] if only else usual
    if unknown := [part for part in parts if part not in PARTS]:
        raise fail(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}", USAGE)
    if "deoldify" in parts and deoldify is None:
        raise fail("that part needs a clone of DeOldify: --deoldify CHECKOUT", USAGE)
    if threads:
        torch.set_num_threads(threads)
    quiet_decoders()
    wanted = Wanted(
        parts=(*parts, *(["profile"] if profile else [])),
        weights=tuple(weights or Wanted.weights),
        render_factors=tuple(render_factor or ()),
        precisions=tuple(precision or ()),
        device=device,
        repeats=repeats,
        megapixels=tuple(megapixels or Wanted.megapixels),
        photos=photos,
        scan=scan,
        checkout=deoldify,
        checkout_weights=deoldify_weights,
    )
    machine, rows = describe(), []
    typer.echo(heading(machine))
    try:
        for found in measure(wanted):
            typer.echo("\n" + table(found))
            rows += found
    except (BadWeights, DeviceUnavailable, DeOldifyFailed, NoSamples) as error:
        raise fail(str(error), UNAVAILABLE) from error
    except ValueError as error:
        raise fail(str(error), USAGE) from error
    except MeasurementFailed as error:
        raise fail(str(error), 1) from error
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror} (TMPDIR names another folder for the photos)", 1) from error
    finally:
        if json and rows:
            write_report(json, machine, rows)


def write_report(path: Path, machine: dict, rows: list) -> None:
    from deoldify_lite.speed.rows import write_json

    try:
        write_json(path, machine, rows)
    except OSError as error:
        raise fail(f"{path}: {error.strerror}", 1) from error


if __name__ == "__main__":
    script(bench)
