"""A component to paint on a photo's damage: a picture under a half-transparent canvas, with a brush and an eraser.

Gradio's own editor of images is not used: it sends picture, layer and the two together after every stroke and when it
opens, which are files on the server until they are swept; it is not to be used by keyboard, and needs WebGL.
"""

from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData

from .restoring import RED, Damage

HTML = """
<div class="tools">
    <span role="radiogroup" aria-label="Tool">
        <label><input type="radio" name="damage-tool" class="paint" checked> Paint</label>
        <label><input type="radio" name="damage-tool" class="erase"> Erase</label>
    </span>
    <label>Brush <input type="range" class="size" min="3" max="90" value="20"></label>
    <label>Zoom <input type="range" class="zoom" min="1" max="8" step="0.25" value="1"></label>
    <span>
        <button type="button" class="undo">Undo</button>
        <button type="button" class="reset">Start over</button>
    </span>
</div>
<div class="sheet"><div class="stack">
    <img alt="The photo">
    <canvas tabindex="0" role="application" aria-label="Damage, in red. Arrow keys move the brush, with Shift
        farther; the space bar sets it down and lifts it; Ctrl+Z takes a stroke back."></canvas>
    <span class="brush"></span>
</div></div>
"""
CSS = """
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1.2rem; margin-bottom: .5rem; }
.tools label { display: inline-flex; align-items: center; gap: .4rem; margin-right: .6rem; }
.tools input[type=range] { width: 8rem; accent-color: var(--primary-600); }
.tools, .tools button { font-size: .95rem; }
.tools button { font-weight: normal; padding: .2rem .7rem; }
.tools button { border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); }
.sheet { overflow: auto; max-height: 75vh; border-radius: var(--radius-md); }
.stack { position: relative; overflow: hidden; margin: 0 auto; }
.stack img, .stack canvas { display: block; width: 100%; margin: 0; user-select: none; }
.stack canvas { position: absolute; inset: 0; height: 100%; color: RED; opacity: .5; }
.stack canvas { cursor: none; touch-action: pinch-zoom; }
.stack:has(canvas:focus-visible) { outline: 2px solid var(--primary-600); outline-offset: -2px; }
.brush { position: absolute; translate: -50% -50%; border-radius: 50%; visibility: hidden; pointer-events: none; }
.brush { border: 1px solid white; outline: 1px solid black; }
.stack:hover .brush, canvas:focus ~ .brush { visibility: visible; }
""".replace("RED", "rgb({} {} {})".format(*RED))

# JavaScript that Gradio calls before an event whose second input is the editor: it uploads what was painted.
UPLOAD_MARKS = """async (damage, _, ...others) => {
    return [damage, await document.querySelector("#restore-editor canvas").uploadMarks(), ...others];
}"""


def add_damage_editor() -> gr.HTML:
    """The component. Handlers give it `editor_value`, and read what they get by `marks_file`.

    Not a class of its own: Gradio would write an interface file beside this module.
    """
    script = Path(__file__).with_name("damage_editor.js").read_text(encoding="utf-8")
    return gr.HTML(html_template=HTML, css_template=CSS, js_on_load=script, elem_id="restore-editor")


def editor_value(damage: Damage) -> dict:
    "What the editor shows."
    files = {"picture": damage.picture, "overlay": damage.overlay}
    return {name: FileData(path=str(path)).model_dump() for name, path in files.items()}


def marks_file(value: dict | None) -> Path | None:
    "The file of a visitor's marks; None where nothing was painted or erased."
    return Path(value["path"]) if value else None
