"""`deoldify-lite export`: a generator as ONNX."""

import platform
import statistics
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .common import Weights


def export(
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write, for instance lite.onnx.")],
    weights: Weights = "lite",
    half: Annotated[bool, typer.Option("--half", help="Store the weights in float16, which halves the file.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Store the weights of large layers in 8 bit and of others in float16.")
    ] = False,
    runs: Annotated[
        int, typer.Option("--time", min=0, help="Then time so many runs of ONNX Runtime and of torch, in turn.")
    ] = 0,
) -> None:
    """Write a generator to an ONNX file and check it against torch; a file whose answers differ is not kept.

    Prints the largest difference for each size that was compared, and the file's size.
    """
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; name the file to write, for instance {target / 'lite.onnx'}")
    if half and int8:
        raise UsageError("--half or --int8, not both")
    from ..modeling.export import OPSET, about_weights, export_onnx
    from ..modeling.weights import default_render_factor, find_weights, load_generator

    path = find_weights(weights)
    generator = load_generator(path)
    side = 16 * default_render_factor(path, generator.config)
    try:
        differences = export_onnx(
            generator, target, about_weights(path, side), storage="int8" if int8 else "float16" if half else "float32"
        )
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    for (batch, height, width), difference in differences.items():
        typer.echo(f"{batch} x {height} x {width}: {difference:.1e} from torch at most")
    typer.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB, opset {OPSET}, working size about {side} x {side}")
    if runs:
        time_in_turn(target, path, side, runs)


def time_in_turn(target: Path, weights: Path, side: int, runs: int) -> None:
    "Print how long ONNX Runtime and this package's engine take in float32 on the CPU, at the network's working size."
    import onnxruntime
    import torch

    from ..colorize.engine import Engine
    from ..modeling.export import LumaToChroma

    threads = torch.get_num_threads()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # would take torch's time
    session = onnxruntime.InferenceSession(target, options, providers=["CPUExecutionProvider"])
    network = LumaToChroma(Engine(weights, "cpu", "float32").generator)
    luma = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    calls = {"onnxruntime": lambda: session.run(None, {"luma": luma.numpy()}), "torch": lambda: network(luma)}
    seconds = {name: [] for name in calls}
    with torch.inference_mode():
        for turn in range(-3, runs):  # three to warm up
            for name, call in calls.items():
                began = time.perf_counter()
                call()
                if turn >= 0:
                    seconds[name].append(time.perf_counter() - began)
    for name, times in seconds.items():
        low, middle, high = (1e3 * f(times) for f in (min, statistics.median, max))
        typer.echo(f"{name}: {middle:.1f} ms (median of {runs}, {low:.1f} to {high:.1f})")
    ratios = sorted(t / o for t, o in zip(seconds["torch"], seconds["onnxruntime"]))
    quarter = len(ratios) // 4
    spread = f"middle half of {runs} pairs {ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f}"
    typer.echo(f"onnxruntime is {statistics.median(ratios):.2f} times as fast as torch ({spread})")
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}"
    typer.echo(f"{side} x {side} px, float32, {threads} threads, {versions}, {platform.machine()}")
