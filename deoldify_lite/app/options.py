"The options of a tab."

import gradio as gr

from .service import RENDER_FACTORS, Service


def add_options(service: Service, elem_id: str) -> tuple[gr.Slider, gr.Slider, gr.Dropdown]:
    "Strength, render factor and model. Another model brings its own render factor."
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
            *RENDER_FACTORS,
            service.default_render_factor(default),
            step=1,
            label="Render factor",
            info="Lower is faster and more colourful; higher follows small things more closely.",
        )
        model = gr.Dropdown(service.models, value=default, label="Model", visible=len(service.models) > 1)
    model.input(
        service.default_render_factor,
        model,
        render_factor,
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )
    return strength, render_factor, model
