"The page: a heading, a tab for photos and one for videos, the API for programs. Each has a module."

from pathlib import Path

import gradio as gr

from .api import add_api
from .photo_tab import add_photo_tab
from .service import Service
from .video_tab import add_video_tab
from .videos import VideoService

HOUR = 3600  # seconds that uploads and results are kept
TITLE = "Colour for black\u2011and\u2011white photos"


def build_page(
    service: Service, videos: VideoService, feedback_folder: Path, samples: list[Path], max_photos: int
) -> gr.Blocks:
    "The page, not yet served; the arguments are those of the tabs."
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, HOUR)) as page:
        gr.HTML(
            f"<h1>{TITLE}</h1><p>Old photos and videos in, the same in colour out, with every detail.</p>",
            elem_id="heading",
        )
        with gr.Tabs():
            with gr.Tab("Photos", elem_id="photos-tab"):
                add_photo_tab(service, feedback_folder, samples, max_photos)
            if videos.limits.minutes:
                with gr.Tab("Video", elem_id="video-tab"):
                    add_video_tab(service, videos)
        gr.HTML("What you upload, and its results, are deleted after an hour and go nowhere else.", elem_id="privacy")
        add_api(service)
    return page
