"The options of a tab."

import gradio as gr

from .service import RENDER_FACTORS, Service


def add_options(service: Service, elem_id: str) -> tuple[gr.Slider, gr.Slider, gr.Dropdown]:
    "Strength, render factor and model. A render factor of 0 stands for the default."
    default = service.models[0]
    with gr.Accordion("Options", open=False, elem_id=elem_id):
        strength = gr.Slider(
            0,
            2,
            1,
            step=0.1,
            label="Strength",
            info="0 is grayscale, 1 as predicted, higher is more colourful.",
        )
        render_factor = gr.Slider(
            0,
            RENDER_FACTORS[1],
            0,
            step=1,
            label="Render factor",
            info="0 is the default. Low is faster and more colourful; high follows small things more closely.",
        )
        model = gr.Dropdown(service.models, value=default, label="Model", visible=len(service.models) > 1)
    return strength, render_factor, model


def render_factor_of(value: int) -> int | None:
    "What the slider stands for; its 1 is the lowest that there is."
    return max(value, RENDER_FACTORS[0]) if value else None
