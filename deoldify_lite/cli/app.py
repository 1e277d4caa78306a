"""`deoldify-lite app`: the page."""

from pathlib import Path
from typing import Annotated

import typer

from .common import Device, MaxPixels, Precision


def app(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other computers in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    weights: Annotated[
        list[str] | None, typer.Option(help="A generator to offer before those that ship; may be given again.")
    ] = None,
    restorer: Annotated[
        str, typer.Option(help="What restores photos: restore, or a .safetensors of `nogan --preset restore`.")
    ] = "restore",
    feedback: Annotated[Path, typer.Option(help="Folder for what people think of the results.")] = Path("feedback"),
    max_megabytes: Annotated[int, typer.Option(min=1, help="Larger photos are refused.")] = 50,
    max_pixels: MaxPixels = 60_000_000,
    max_photos: Annotated[int, typer.Option(min=1, help="How many photos are taken at once.")] = 30,
    max_video_minutes: Annotated[
        float, typer.Option(min=0, help="Longer videos are refused; 0 leaves the tab for videos out.")
    ] = 5,
    max_video_megabytes: Annotated[int, typer.Option(min=1, help="Larger videos are refused.")] = 200,
    max_waiting: Annotated[int, typer.Option(min=1, help="How long the queue may be; more are asked to return.")] = 50,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Colorize photos and videos on a page in the browser.

    Prints the page's address. Works offline; uploads and results are deleted after an hour.
    """
    from ..app.server import serve

    serve(
        host=host,
        port=port,
        weights=weights or [],
        restorer=restorer,
        feedback=feedback,
        max_megabytes=max_megabytes,
        max_pixels=max_pixels,
        max_photos=max_photos,
        max_video_minutes=max_video_minutes,
        max_video_megabytes=max_video_megabytes,
        max_waiting=max_waiting,
        device=device,
        precision=precision,
    )
