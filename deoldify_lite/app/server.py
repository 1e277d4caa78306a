"Runs the page, with its limits, in a temporary folder that is removed at the end."

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Unavailable, UsageError
from ..models import shipped

if TYPE_CHECKING:
    import gradio as gr

    from .hints import HintService
    from .service import Service
    from .videos import VideoService

AT_ONCE = 2  # photos processed at a time: while one is in the network, the other is read or written
SESSIONS = 500  # visitors whose last results are remembered, at 160 KB each; an API call counts as one


def serve(
    *,
    host: str,
    port: int,
    weights: Sequence[str],
    restorer: str,
    feedback: Path,
    max_megabytes: int,
    max_pixels: int,
    max_photos: int,
    max_video_minutes: float,
    max_video_megabytes: int,
    max_waiting: int,
    device: str,
    precision: str,
) -> None:
    """Print the page's address and serve it until the process ends; `cli/app.py` says what the options are.

    Raises:
        Unavailable: no Gradio, no such weights or device.
        UsageError: the address is in use, or not of this machine.
    """
    if find_spec("gradio") is None:
        message = "the page needs Gradio: pip install 'deoldify_lite[app]', or pip install '.[app]' in a checkout"
        raise Unavailable(message)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["NO_PROXY"] = ",".join([*filter(None, [os.environ.get("NO_PROXY")]), "127.0.0.1", "localhost"])
    from ..device import tune_allocator
    from ..photo.decoders import configure_decoders
    from .hints import HintService
    from .service import Service
    from .videos import Limits, VideoService

    configure_decoders()
    tune_allocator(server=True)
    for name in ("SIGTERM", "SIGHUP"):  # from Docker and systemd, and when a terminal closes; the folder is removed
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:  # as with nohup
            signal.signal(getattr(signal, name), lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="deoldify-lite-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        cache = folder / "cache"
        cache.mkdir()
        os.environ["GRADIO_TEMP_DIR"] = str(cache)
        names = list(dict.fromkeys([*weights, *(model.name for model in shipped())]))
        service = Service(
            names,
            cache,
            max_pixels,
            device,
            precision,
            max_pages=max_photos,
            max_megabytes=max_megabytes,
            restorer=restorer,
        )
        hints = HintService(service)
        videos = VideoService(service, folder / "videos", Limits(max_video_minutes, max_video_megabytes))
        largest = max(max_megabytes, max_video_megabytes if videos.offered else 0)
        page = _page(service, hints, videos, folder, feedback, max_photos, max_waiting)
        try:
            address = _launch(page, folder, host, port, largest, max(largest, max_photos * max_megabytes))
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}; if it is in use, --port names another") from error
        print(address, flush=True)
        try:
            while True:
                time.sleep(60)
                sweep(cache)
                hints.sweep()
        finally:
            videos.close()


def _page(
    service: "Service",
    hints: "HintService",
    videos: "VideoService",
    folder: Path,
    feedback: Path,
    max_photos: int,
    max_waiting: int,
) -> "gr.Blocks":
    import gradio as gr

    from ..samples import write_samples
    from .page import build_page

    samples = write_samples(folder / "samples")
    gr.set_static_paths([folder / "samples"])  # served from there, and not deleted
    page = build_page(service, hints, videos, feedback, samples, max_photos)
    return page.queue(
        max_size=max_waiting, default_concurrency_limit=AT_ONCE, api_open=False
    )  # nothing bypasses the queue


def _launch(page: "gr.Blocks", folder: Path, host: str, port: int, max_megabytes: int, max_together: int) -> str:
    "Start the page in background threads; returns its address. `max_together`: megabytes of all files of a request."
    from starlette.middleware import Middleware

    from .middleware import OnlyPhotos
    from .style import CSS, THEME

    only_photos = Middleware(OnlyPhotos, folder=folder, max_upload=(max_together + 1) * 2**20)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        theme=THEME,
        css=CSS,
        max_file_size=max_megabytes * 2**20,
        app_kwargs={"middleware": [only_photos], "openapi_url": None},
        state_session_capacity=SESSIONS,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        footer_links=[],
        _frontend=False,  # skips a check that fails if the first answer takes more than three seconds
    )
    return address


def sweep(cache: Path, age: float = 3600 + 120) -> None:
    """Remove files in `cache` older than `age` seconds, and empty folders.

    Gradio deletes the uploads and results that it knows after an hour. It does not know interrupted uploads, its own
    placeholders, and the previews.
    """
    before = time.time() - age
    for path in sorted(cache.rglob("*"), reverse=True):  # the content of a folder comes before the folder
        with contextlib.suppress(OSError):  # deleted already, or not empty
            if path.lstat().st_ctime < before:
                path.rmdir() if path.is_dir() else path.unlink()
