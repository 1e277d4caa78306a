"The tab for corrections: click on what has the wrong colour, choose another, see the result, download it."

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gradio as gr

from ..photo import readable_suffixes
from .downloads import add_download
from .hints import CLICK_FIRST, SWATCHES, Correction, HintService, color_at
from .messages import as_error, as_list, warn
from .service import Colorized, Refused, Service, Settings

OPEN_FIRST = "Choose a photo first."
CLICK = "Click on what has the wrong colour"
NOW_COLOR = "Now choose its colour"


class HintsTab:
    """The components of the tab, and what happens with them.

    Args:
        service: its models; the first is that for photos that are uploaded here.
        hints: what makes the pictures.
    """

    def __init__(self, service: Service, hints: HintService):
        self.service, self.hints = service, hints
        # What is large lies in `hints`, which forgets it soon. Gradio removes this an hour after the page was closed.
        self.correction, self.reference = gr.State(), gr.State()
        gr.HTML(
            "Click on what has the wrong colour, a dress, a house, the sky, and choose another. It spreads over what "
            "you clicked on.",
            elem_classes="caption",
        )
        photo = gr.File(label="A photo", file_types=sorted(readable_suffixes()), height=120, elem_id="hints-photo")
        message = gr.HTML(visible=False, elem_id="hints-message", elem_classes="message")
        with gr.Row(visible=False) as work:
            with gr.Column(scale=3, min_width=320, elem_id="hints-work"):
                picture = gr.Image(
                    label=CLICK,
                    type="filepath",
                    interactive=False,
                    buttons=[],
                    elem_id="hints-picture",
                )
                with gr.Row(elem_classes="tight"):
                    undo = gr.Button("Undo", size="md", min_width=80, elem_id="hints-undo")
                    remove = gr.Button("Remove", size="md", min_width=80, elem_id="hints-remove")
                    clear = gr.Button("Clear", size="md", min_width=80, elem_id="hints-clear")
                self.marks = marks = gr.Checkbox(
                    True, label="Show where hints are", container=False, elem_id="hints-marks"
                )
            with gr.Column(scale=2, min_width=320):
                swatches = gr.Radio(
                    list(SWATCHES.items()),
                    label="Its colour",
                    info="The brightness of the photo stays.",
                    elem_id="swatches",
                )
                with gr.Row(elem_classes="tight"):
                    picker = gr.ColorPicker("#b3202c", label="Another colour", min_width=80, elem_id="picker")
                    use = gr.Button("Use this colour", size="md", min_width=80, elem_id="use-color")
                with gr.Accordion("Place by numbers, and list of hints", open=False, elem_id="hints-numbers"):
                    with gr.Row(elem_classes="tight"):
                        x = gr.Number(label="From the left", minimum=0, min_width=80, elem_id="hints-x")
                        y = gr.Number(label="From the top", minimum=0, min_width=80, elem_id="hints-y")
                    colors = gr.HTML(elem_id="hints-colors")
                    chosen = gr.Radio([], label="No hints yet", elem_id="hints-list")
                with gr.Accordion("Several answers", open=False, elem_id="hints-answers"):
                    answers = gr.Button("Show other answers", size="md", elem_id="variants-go")
                    variants = gr.Gallery(
                        show_label=False,
                        columns=2,
                        height="auto",
                        allow_preview=False,
                        buttons=[],
                        interactive=False,
                        visible=False,
                        elem_id="variants",
                    )
                with gr.Accordion("Colours of another photo", open=False, elem_id="hints-like"):
                    other = gr.File(
                        label="A colour photo", file_types=sorted(readable_suffixes()), height=100, elem_id="like-photo"
                    )
                    sample = gr.Image(
                        label="Click on a colour in it",
                        type="filepath",
                        interactive=False,
                        buttons=[],
                        visible=False,
                        elem_id="like-picture",
                    )
                    take = gr.Button("Use its colours where it is alike", size="md", visible=False, elem_id="like-go")
                with gr.Accordion("Hints as a file", open=False, elem_id="hints-file"), gr.Row(elem_classes="tight"):
                    save = gr.Button("Save hints", size="md", min_width=80, elem_id="hints-save")
                    load = gr.UploadButton(
                        "Load hints", file_types=[".json"], size="md", min_width=80, elem_id="hints-load"
                    )
                full = gr.Button("Download at full size", variant="primary", size="lg", elem_id="hints-download")

        self.outputs = [self.correction, message, work, picture, swatches, x, y, chosen, colors, variants]
        # One at a time, so that of two steps of a visitor none is lost; each takes a moment.
        self.events = {
            "outputs": self.outputs,
            "show_progress": "minimal",
            "show_progress_on": picture,
            "concurrency_id": "hints",
            "concurrency_limit": 1,
            "api_visibility": "private",
        }
        state = [self.correction, marks]
        # No steps of a correction, and restoring a photo first takes long.
        self.opening = {**self.events, "concurrency_id": "colorize", "concurrency_limit": "default"}
        photo.upload(self._open_upload, [photo, marks], **self.opening)
        picture.select(self._click, state, **self.events)
        gr.on([x.input, y.input], self._type_place, [*state, x, y], trigger_mode="always_last", **self.events)
        chosen.input(self._choose_hint, [*state, chosen], **self.events)
        swatches.input(self._give, [*state, swatches], **self.events)
        use.click(self._give, [*state, picker], **self.events)
        marks.input(self._show_marks, state, **self.events)
        for button, step in ((undo, Correction.undo), (remove, Correction.remove), (clear, Correction.clear)):
            button.click(self._step(step), state, **self.events)
        answers.click(self._find_variants, state, **self.events)
        variants.select(self._choose_variant, state, **self.events)
        like = [self.reference, sample, take]
        other.upload(self._open_other, other, like, concurrency_id="hints", api_visibility="private")
        sample.select(self._pick, [*state, self.reference], **{**self.events, "outputs": [*self.outputs, picker]})
        take.click(self._take_colors, [*state, self.reference], **self.events)
        load.upload(self._load, [*state, load], **self.events)
        for button, make in ((save, self._save), (full, self._download)):
            add_download(button, make, self.correction)

    def add_opener(self, button: gr.Button, results: gr.State, shown: gr.State, tabs: gr.Tabs, tab_id: str) -> None:
        "A button elsewhere on the page that opens the result that is shown there, in the tab `tab_id`."

        def open_result(results: list[Colorized], shown: int, marks: bool, request: gr.Request) -> tuple:
            if shown >= len(results):
                raise as_error("This was too long ago; please colorize the photo again.")
            return gr.Tabs(selected=tab_id), *self._open(request, results[shown].upload, results[shown].settings, marks)

        button.click(open_result, [results, shown, self.marks], **{**self.opening, "outputs": [tabs, *self.outputs]})

    def forget(self, request: gr.Request) -> None:
        "For when the page is closed."
        self.hints.forget(request.session_hash)

    def _open_upload(self, path: str, marks: bool, request: gr.Request) -> tuple:
        return self._open(request, Path(path), Settings(self.service.models[0]), marks)

    def _open(self, request: gr.Request, file: Path, settings: Settings, marks: bool) -> tuple:
        try:
            return self._shown(self.hints.open(request.session_hash, file, settings), marks)
        except Refused as refusal:
            message = gr.HTML(as_list([("failed", f"{file.name}: {refusal}")]), visible=True)
            return None, message, gr.Row(visible=False), *[gr.skip()] * 7

    def _step(self, step: Callable[[Correction], Correction]) -> Callable[[Correction, bool], tuple]:
        "An event handler for a step that needs nothing but the correction."
        return lambda correction, marks: self._after(lambda: step(_opened(correction)), marks)

    def _click(self, correction: Correction | None, marks: bool, event: gr.SelectData) -> tuple:
        return self._after(lambda: _opened(correction).click(*event.index), marks)

    def _type_place(self, correction: Correction | None, marks: bool, x: float | None, y: float | None) -> tuple:
        if x is None or y is None:
            return tuple(gr.skip() for _ in self.outputs)  # the visitor is still typing
        return self._after(lambda: _opened(correction).choose_place(x, y), marks, typing=True)

    def _choose_hint(self, correction: Correction | None, marks: bool, number: int) -> tuple:
        def choose() -> Correction:
            hints = _opened(correction).hints
            if not 0 <= number < len(hints):
                raise Refused("This hint is not here any more.")
            return replace(correction, place=(hints[number].x, hints[number].y))

        return self._after(choose, marks)

    def _give(self, correction: Correction | None, marks: bool, color: str) -> tuple:
        return self._after(lambda: _opened(correction).give(color), marks)

    def _show_marks(self, correction: Correction | None, marks: bool) -> tuple:
        return self._after(lambda: _opened(correction), marks)

    def _find_variants(self, correction: Correction | None, marks: bool) -> tuple:
        pictures = []

        def find() -> Correction:
            found, paths = self.hints.find_variants(_opened(correction))
            pictures.extend(map(str, paths))
            return found

        *others, _ = self._after(find, marks)
        return *others, gr.Gallery(pictures, visible=True, selected_index=None) if pictures else gr.skip()

    def _choose_variant(self, correction: Correction | None, marks: bool, event: gr.SelectData) -> tuple:
        return self._after(lambda: _opened(correction).choose_variant(event.index), marks)

    def _open_other(self, path: str) -> tuple:
        try:
            reference = self.hints.open_reference(Path(path))
        except Refused as refusal:
            raise as_error(f"{Path(path).name}: {refusal}") from refusal
        return reference, gr.Image(str(reference), visible=True), gr.Button(visible=True)

    def _pick(self, correction: Correction | None, marks: bool, reference: Path | None, event: gr.SelectData) -> tuple:
        "Take the colour that was clicked on, and give it to the place, if there is one."
        try:
            color = color_at(_reference(reference), *event.index)
        except Refused as refusal:
            warn(str(refusal))
            return tuple(gr.skip() for _ in [*self.outputs, "picker"])
        if correction is None or correction.place is None:
            message = gr.HTML(as_list([("note", CLICK_FIRST)]), visible=True)
            return gr.skip(), message, *[gr.skip()] * (len(self.outputs) - 2), color
        return *self._give(correction, marks, color), color

    def _take_colors(self, correction: Correction | None, marks: bool, reference: Path | None) -> tuple:
        return self._after(lambda: self.hints.take_colors(_opened(correction), _reference(reference)), marks)

    def _load(self, correction: Correction | None, marks: bool, path: str) -> tuple:
        try:
            loaded, notes = self.hints.load(_opened(correction), Path(path))
        except Refused as refusal:
            warn(f"{Path(path).name}: {refusal}")
            return tuple(gr.skip() for _ in self.outputs)
        return self._after(lambda: loaded, marks, *(f"{Path(path).name} {note}" for note in notes))

    def _save(self, correction: Correction | None) -> str:
        try:
            return str(self.hints.save(_opened(correction)))
        except Refused as refusal:
            raise as_error(str(refusal)) from refusal

    def _download(self, correction: Correction | None) -> str:
        try:
            return str(self.hints.download(_opened(correction)).result)
        except Refused as refusal:
            raise as_error(str(refusal)) from refusal

    def _after(self, step: Callable[[], Correction], marks: bool, *notes: str, typing: bool = False) -> tuple:
        "All outputs after a step; one that is refused changes nothing."
        try:
            return self._shown(step(), marks, *notes, typing=typing)
        except Refused as refusal:
            warn(str(refusal))
            return tuple(gr.skip() for _ in self.outputs)

    def _shown(self, correction: Correction, marks: bool, *notes: str, typing: bool = False) -> tuple:
        "All outputs; with `typing`, the fields of the place stay as they are."
        picture = self.hints.picture(correction, marks)
        number = correction.chosen
        color = None if number is None else correction.hints[number].css
        x, y = correction.place or (None, None)
        hints = correction.hints
        label = f"{len(hints)} hint{'s' * (len(hints) != 1)}" if hints else "No hints yet"
        choices = [(f"{hint.css} at {hint.x:g}, {hint.y:g}", index) for index, hint in enumerate(hints)]
        return (
            correction,
            gr.HTML(as_list([("note", note) for note in notes]), visible=bool(notes)),
            gr.Row(visible=True),
            gr.Image(str(picture), label=NOW_COLOR if correction.place and number is None else CLICK),
            gr.Radio(value=color if color in SWATCHES.values() else None),
            gr.skip() if typing else gr.Number(x and round(x, 1), maximum=correction.size[0]),
            gr.skip() if typing else gr.Number(y and round(y, 1), maximum=correction.size[1]),
            gr.Radio(choices, value=number, label=label),
            _colors_of_list(correction),
            gr.skip() if correction.variants else gr.Gallery(visible=False),
        )


def _colors_of_list(correction: Correction) -> str:
    "A style that shows, beside each line of the list of hints, its colour."
    rules = (
        f"#hints-list label:nth-of-type({number})::before {{ background: {hint.css}; }}"
        for number, hint in enumerate(correction.hints, 1)
    )
    return f"<style>{' '.join(rules)}</style>"


def _opened(correction: Correction | None) -> Correction:
    if correction is None:
        raise Refused(OPEN_FIRST)
    return correction


def _reference(path: Path | None) -> Path:
    if path is None:
        raise Refused(OPEN_FIRST)
    return path
