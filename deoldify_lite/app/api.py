"The API for programs: one photo in, one photo out."

from pathlib import Path

import gradio as gr

from .messages import as_error
from .service import Refused, Service, Settings


def add_api(service: Service) -> None:
    "Gradio needs components for its parameters; they are hidden."

    def colorize_one(
        photo: str, strength: float = 1.0, render_factor: int | None = None, model: str | None = None
    ) -> str:
        if photo is None:
            raise as_error("a photo is missing")
        try:
            settings = Settings(model or service.models[0], 1.0 if strength is None else strength, render_factor)
            return str(service.colorize(Path(photo), settings).result)
        except Refused as refusal:
            raise as_error(f"{Path(photo).name}: {refusal}") from refusal

    with gr.Column(visible=False):
        photo, result = gr.File(label="photo"), gr.File(label="the photo in colour")
        strength, render_factor = gr.Number(1.0, label="strength"), gr.Number(None, precision=0, label="render factor")
        model = gr.Textbox(service.models[0], label="model")
        gr.Button().click(
            colorize_one,
            [photo, strength, render_factor, model],
            result,
            api_name="colorize",
            api_description="Colorize one photo.",
            concurrency_id="colorize",
        )
