"Buttons for files that are made when they are asked for."

from collections.abc import Callable

import gradio as gr
from gradio.components import Component

START_DOWNLOAD = """(file) => {
    const link = document.createElement("a");
    [link.href, link.download] = [file.url, file.orig_name ?? ""];
    link.click();
}"""


def add_download(
    button: gr.Button, make: Callable[..., str], inputs: Component | list[Component], js: str | None = None
) -> None:
    "A click on the button makes a file from the inputs, which the browser downloads. `js`: as of Gradio's events."
    file = gr.DownloadButton(elem_classes="file-made")  # knows the file's address; never seen
    options = {"show_progress_on": button, "concurrency_id": "colorize", "api_visibility": "private"}
    made = button.click(make, inputs, file, js=js, **options)
    made.success(None, file, js=START_DOWNLOAD, api_visibility="private")
