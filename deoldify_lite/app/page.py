"The page: a heading, tabs for photos, corrections and videos, the API for programs. Each has a module."

from pathlib import Path

import gradio as gr

from .api import add_api
from .hints import HintService
from .hints_tab import HintsTab
from .photo_tab import add_photo_tab
from .restore_tab import add_restore_tab
from .service import Service
from .video_tab import add_video_tab
from .videos import VideoService

HOUR = 3600  # seconds that uploads and results are kept
TITLE = "Colour for black\u2011and\u2011white photos"


def build_page(
    service: Service,
    hints: HintService,
    videos: VideoService,
    feedback_folder: Path,
    samples: list[Path],
    max_photos: int,
) -> gr.Blocks:
    "The page, not yet served; the arguments are those of the tabs."
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, HOUR)) as page:
        gr.HTML(
            f"<h1>{TITLE}</h1><p>Old photos and videos in, the same in colour out, with every detail.</p>",
            elem_id="heading",
        )
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Photos", elem_id="photos-tab"):
                shown = add_photo_tab(service, feedback_folder, samples, max_photos)
            with gr.Tab("Correct colours", id="hints", elem_id="hints-tab"):
                corrections = HintsTab(service, hints)
            if service.restores:
                with gr.Tab("Restore", elem_id="restore-tab"):
                    add_restore_tab(service)
            if videos.limits.minutes:
                with gr.Tab("Video", elem_id="video-tab"):
                    add_video_tab(service, videos)
        corrections.add_opener(*shown, tabs, "hints")
        page.unload(corrections.forget)
        gr.HTML("What you upload, and its results, are deleted after an hour and go nowhere else.", elem_id="privacy")
        add_api(service)
    return page
