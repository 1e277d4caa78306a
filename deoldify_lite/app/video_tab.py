"The tab for videos: upload, progress, both side by side, download."

import html
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from .messages import as_list
from .options import add_options, render_factor_of
from .service import Refused, Service, Settings
from .videos import ColorizedVideo, Progress, VideoService, clock


def add_video_tab(service: Service, videos: VideoService) -> None:
    "The components of the tab, and what happens with them; without the extra `video`, what to install."
    from ..video.errors import INSTALL

    if not videos.available:
        gr.HTML(as_list([("note", f"Not on this server: {INSTALL}")]), elem_id="video-missing", elem_classes="message")
        return
    from ..video.extensions import EXTENSIONS

    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            video = gr.File(label="A video", file_types=sorted(EXTENSIONS), height=200, elem_id="video")
            gr.HTML(f"{videos.limits} Sound and all else are kept.", elem_id="video-limits", elem_classes="caption")
            go = gr.Button("Colorize", variant="primary", size="lg", elem_id="video-go")
            stop = gr.Button("Cancel", size="lg", visible=False, elem_id="video-stop")
            options = add_options(service, "video-options")
        with gr.Column(scale=3, min_width=320):
            promise = as_list([("note", "The result will play here: in gray on the left, in colour on the right.")])
            message = gr.HTML(promise, elem_id="video-message", elem_classes="message")
            status = gr.HTML(visible=False, elem_id="video-status")
            preview = gr.Video(show_label=False, visible=False, buttons=[], elem_id="video-preview")
            download = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="video-download")

    outputs = [message, status, preview, download, go, stop]
    work = go.click(
        _Handlers(videos).colorize_video,
        [video, *options],
        outputs,
        scroll_to_output=True,
        show_progress="minimal",
        show_progress_on=status,
        concurrency_id="video",
        concurrency_limit=1,
        api_visibility="private",
    )
    stop.click(
        lambda: _outputs([("note", "Cancelled. Nothing was kept of it.")]),
        None,
        outputs,
        cancels=[work],
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )


class _Handlers:
    "The tab's event handlers."

    def __init__(self, videos: VideoService):
        self.videos = videos

    def colorize_video(self, path: str | None, strength: float, render_factor: int, model: str) -> Iterator[tuple]:
        "Gradio closes this iterator when the visitor cancels, or closes the page; that ends the work."
        if path is None:
            yield _outputs([("failed", "Choose a video first.")])
            return
        name = Path(path).name
        yield _outputs([], status=f"Reading {html.escape(name)} ...", busy=True)
        try:
            for step in self.videos.colorize(Path(path), Settings(model, strength, render_factor_of(render_factor))):
                if isinstance(step, ColorizedVideo):
                    yield _outputs([("note", note) for note in step.notes], step)
                elif step.total:
                    yield gr.skip(), gr.HTML(_status(step)), *[gr.skip()] * 4
        except Refused as refusal:
            yield _outputs([("failed", f"{name}: {refusal}")])


def _outputs(
    lines: list[tuple[str, str]], made: ColorizedVideo | None = None, status: str = "", busy: bool = False
) -> tuple:
    "All outputs: messages, and the progress or the result, if there is one."
    name = made.result.name if made else ""
    return (
        gr.HTML(as_list(lines), visible=bool(lines)),
        gr.HTML(status, visible=bool(status)),
        gr.Video(made and str(made.preview), visible=made is not None),
        gr.DownloadButton(f"Download {name}", value=made and str(made.result), visible=made is not None),
        gr.Button(visible=not busy),
        gr.Button(visible=busy),
    )


def _status(step: Progress) -> str:
    "A bar; frames done of all, frames a second, time left."
    parts = [f"{step.done:,} of {step.total:,} frames"]
    if step.done and step.rate:
        parts.append(f"{step.rate:.1f} a second")
    if step.done and step.left is not None:
        parts.append(f"{clock(step.left)} left")
    text = ", ".join(parts)
    return (
        f'<progress value="{step.done}" max="{step.total}" aria-label="Frames"></progress><p role="status">{text}</p>'
    )
