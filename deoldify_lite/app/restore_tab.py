"The tab for restoring: the damage that was found in red, to be painted on or erased; then it is filled in."

from pathlib import Path

import gradio as gr

from ..photo import readable_suffixes
from .damage_editor import UPLOAD_MARKS, add_damage_editor, editor_value, marks_file
from .downloads import add_download
from .messages import as_error, as_list
from .restoring import Damage, RestoringService
from .service import Refused, Service


def add_restore_tab(service: Service) -> None:
    "The components of the tab, and what happens with them."
    handlers = _Handlers(RestoringService(service))
    damage = gr.State()
    gr.HTML(
        "What is damaged is shown in red. Paint over what was missed, erase what is no damage, and have it filled in.",
        elem_classes="caption",
    )
    photo = gr.File(label="A photo", file_types=sorted(readable_suffixes()), height=120, elem_id="restore-photo")
    with gr.Column(visible=False) as work:
        editor = add_damage_editor()
        with gr.Row(elem_classes="tight"):
            tone = gr.Checkbox(True, label="Correct fading", container=False, min_width=80, elem_id="restore-tone")
            colorize = gr.Checkbox(
                False, label="And colorize it", container=False, min_width=80, elem_id="restore-colorize"
            )
        with gr.Row(elem_classes="tight"):
            go = gr.Button("Fill in", variant="primary", size="lg", min_width=80, elem_id="restore-go")
            mask = gr.Button("Save mask", size="lg", min_width=80, elem_id="restore-mask")
    message = gr.HTML(visible=False, elem_id="restore-message", elem_classes="message")
    slider = gr.ImageSlider(
        type="filepath",
        interactive=False,
        max_height=520,
        buttons=["fullscreen"],
        visible=False,
        elem_id="restore-slider",
    )
    download = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="restore-download")

    events = {"concurrency_id": "colorize", "api_visibility": "private"}
    photo.upload(
        handlers.find,
        photo,
        [damage, message, work, editor, slider, download],
        show_progress_on=photo,
        **events,
    )
    go.click(
        handlers.fill_in,
        [damage, editor, tone, colorize],
        [message, slider, download],
        js=UPLOAD_MARKS,
        scroll_to_output=True,
        show_progress_on=[go, slider],
        **events,
    )
    add_download(mask, handlers.save_mask, [damage, editor], js=UPLOAD_MARKS)


class _Handlers:
    "The tab's event handlers."

    def __init__(self, restoring: RestoringService):
        self.restoring = restoring

    def find(self, path: str) -> tuple:
        no_result = gr.ImageSlider(visible=False), gr.DownloadButton(visible=False)
        try:
            damage = self.restoring.find(Path(path))
        except Refused as refusal:
            message = gr.HTML(as_list([("failed", f"{Path(path).name}: {refusal}")]), visible=True)
            return None, message, gr.Column(visible=False), None, *no_result
        return damage, gr.HTML(visible=False), gr.Column(visible=True), editor_value(damage), *no_result

    def fill_in(self, damage: Damage | None, marks: dict | None, tone: bool, colorize: bool) -> tuple:
        try:
            made = self.restoring.fill_in(_opened(damage), marks_file(marks), tone=tone, colorize=colorize)
        except Refused as refusal:
            raise as_error(str(refusal)) from refusal
        name = made.result.name
        return (
            gr.HTML(as_list([("note", note) for note in made.notes]), visible=bool(made.notes)),
            gr.ImageSlider((str(made.before), str(made.after)), label=name, visible=True),
            gr.DownloadButton(f"Download {name}", value=str(made.result), visible=True),
        )

    def save_mask(self, damage: Damage | None, marks: dict | None) -> str:
        try:
            return str(self.restoring.save_mask(_opened(damage), marks_file(marks)))
        except Refused as refusal:
            raise as_error(str(refusal)) from refusal


def _opened(damage: Damage | None) -> Damage:
    if damage is None:  # the server remembers a limited number of visitors
        raise Refused("This was too long ago; please send the photo again.")
    return damage
