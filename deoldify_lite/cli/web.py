"""`deoldify-lite web`: the site that colorizes in the visitor's browser."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .common import Weights


def web(
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The folder to write; an earlier site is replaced.")],
    weights: Weights = "lite",
    half: Annotated[bool, typer.Option("--half", help="Store the weights in float16: a larger download.")] = False,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The npm package of ONNX Runtime Web, where it cannot be downloaded."),
    ] = None,
) -> None:
    """Build a static site that colorizes photos in the visitor's browser; any web server can serve it.

    Needs ONNX Runtime Web from the npm registry, once. Prints how much a visitor downloads.
    """
    from ..modeling.export import about_weights, export_onnx
    from ..modeling.weights import default_render_factor, find_weights, load_generator
    from ..web.build import build_site, check_target
    from ..web.runtime import find_runtime

    check_target(target)
    package = find_runtime(runtime)
    path = find_weights(weights)
    generator = load_generator(path)
    about = about_weights(path, 16 * default_render_factor(path, generator.config))
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "network.onnx"
        export_onnx(generator, model, about, storage="float16" if half else "int8")
        try:
            sizes = build_site(target, model, package)
        except OSError as error:
            raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    page, wasm, webgpu, network = (size / 1e6 for size in (sizes.page, sizes.wasm, sizes.webgpu, sizes.model))
    typer.echo(
        f"{target}: a visitor downloads {page + wasm + network:.1f} MB, {page + webgpu + network:.1f} with a GPU:"
    )
    typer.echo(
        f"page {page:.2f} MB, runtime {wasm:.1f} MB (WebAssembly) or {webgpu:.1f} MB (WebGPU), network {network:.1f} MB"
    )
    typer.echo(f"try it: python -m http.server --bind 127.0.0.1 --directory {target}")
