"What people see: one photo or many in, a slider between before and after, downloads, and a question at the end."

import html
import logging
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from ..photo import EXTENSIONS
from . import feedback
from .studio import RENDER_FACTORS, Coloured, Refused, Settings, Studio

HOUR = 3600  # seconds that uploads and results are kept
TITLE = "Colour for black\u2011and\u2011white photos"


def build_page(studio: Studio, feedback_folder: Path, samples: list[Path], max_photos: int) -> gr.Blocks:
    """The page, not yet served.

    Args:
        feedback_folder: where the opinions go.
        samples: photos to try, which are served from where they are. What becomes of the first is shown at the start.
        max_photos: how many photos are taken at once.
    """
    view = _View(studio, feedback_folder, samples, max_photos)
    default = studio.models[0]
    example = _example(studio, samples)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, HOUR)) as page:
        results, shown = gr.State([]), gr.State(0)
        gr.HTML(
            f"<h1>{TITLE}</h1><p>Old photos in, the same photos in colour out, with every detail.</p>",
            elem_id="heading",
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                photos = gr.File(
                    label="Photos, one or many",
                    file_count="multiple",
                    file_types=sorted(EXTENSIONS),
                    height=200,
                    elem_id="photos",
                )
                go = gr.Button("Colorize", variant="primary", size="lg", elem_id="go")
                with gr.Accordion("Options", open=False, elem_id="options"):
                    strength = gr.Slider(
                        0, 2, 1, step=0.1, label="Strength", info="0 is grey, 1 as predicted, more is louder."
                    )
                    render_factor = gr.Slider(
                        *RENDER_FACTORS,
                        studio.render_factor(default),
                        step=1,
                        label="Render factor",
                        info="Lower is faster and sees the whole; higher follows small things more closely.",
                    )
                    model = gr.Dropdown(studio.models, value=default, label="Model", visible=len(studio.models) > 1)
                if samples:
                    gr.HTML("No photo at hand? Try one of these:", elem_classes="caption")
                sample = gr.Gallery(
                    [str(path) for path in samples],
                    show_label=False,
                    columns=3,
                    height="auto",
                    allow_preview=False,
                    buttons=[],
                    interactive=False,
                    visible=bool(samples),
                    object_fit="cover",
                    elem_id="samples",
                )
            with gr.Column(scale=3, min_width=320):
                message = gr.HTML(visible=False, elem_id="message")
                slider = gr.ImageSlider(
                    example,
                    label="Example: drag the handle" if example else "Before and after",
                    type="filepath",
                    interactive=False,
                    max_height=520,
                    buttons=["fullscreen"],
                    elem_id="slider",
                )
                with gr.Row():
                    download = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="download")
                    download_all = gr.DownloadButton("Download all (ZIP)", visible=False, elem_id="download-all")
                gallery = gr.Gallery(
                    show_label=False,
                    columns=4,
                    height="auto",
                    fit_columns=False,
                    allow_preview=False,
                    buttons=[],
                    interactive=False,
                    visible=False,
                    elem_id="gallery",
                )
                with gr.Accordion("How good is it?", open=True, visible=False, elem_id="opinion") as opinion:
                    verdict = gr.Radio([("👍 Good", "good"), ("👎 Poor", "poor")], show_label=False, container=False)
                    remark = gr.Textbox(
                        placeholder="What is right, what is wrong? (if you like)",
                        max_length=feedback.LONGEST_REMARK,
                        lines=1,
                        max_lines=5,
                        show_label=False,
                        container=False,
                    )
                    with_photo = gr.Checkbox(
                        label="Keep my photo, too, so that colours can get better. Otherwise only this answer is kept.",
                        container=False,
                    )
                    send = gr.Button("Send", size="sm")
        gr.HTML("Photos and results are deleted after an hour and go nowhere else.", elem_id="privacy")

        settings = [strength, render_factor, model]
        outputs = [results, shown, slider, download, opinion, message, download_all, gallery]
        work = {
            "outputs": outputs,
            "scroll_to_output": True,
            "show_progress_on": slider,
            "concurrency_id": "colorize",
            "api_visibility": "private",
        }
        go.click(view.colorize_photos, [photos, *settings], **work)
        sample.select(view.colorize_sample, settings, **work)
        light = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
        model.input(view.usual_factor, model, render_factor, **light)
        gallery.select(view.choose, results, outputs[1:5], **light)
        send.click(
            view.keep_opinion, [results, shown, verdict, remark, with_photo], [verdict, remark, with_photo], **light
        )
        _offer_api(view)
    return page


def _example(studio: Studio, samples: list[Path]) -> tuple[str, str] | None:
    "The first sample before and after, kept beside the samples. Making it warms the network up."
    if not samples:
        return None
    made = studio.colorize(samples[0], Settings(studio.models[0]))
    before, after = (samples[0].with_name(f"{path.stem}.preview.jpg") for path in (made.before, made.after))
    made.before.replace(before)
    made.after.replace(after)
    return str(before), str(after)


def _offer_api(view: "_View") -> None:
    "The call for programs: one photo in, one photo out. Its parameters need components, which nobody sees."
    with gr.Column(visible=False):
        photo, result = gr.File(label="photo"), gr.File(label="the photo in colour")
        strength, render_factor = gr.Number(1.0, label="strength"), gr.Number(None, precision=0, label="render factor")
        model = gr.Textbox(view.studio.models[0], label="model")
        gr.Button().click(
            view.colorize_one,
            [photo, strength, render_factor, model],
            result,
            api_name="colorize",
            api_description="Put colour on one photo.",
            concurrency_id="colorize",
        )


class _View:
    "What happens on the page."

    def __init__(self, studio: Studio, feedback_folder: Path, samples: list[Path], max_photos: int):
        self.studio = studio
        self.feedback_folder = feedback_folder
        self.samples = samples
        self.max_photos = max_photos

    def colorize_photos(
        self,
        paths: list[str] | None,
        strength: float,
        render_factor: int,
        model: str,
        progress=gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple]:
        "Photo by photo; each is shown as soon as it is done, and one that fails costs no other."
        paths = [Path(path) for path in paths or []]
        if not paths:
            yield _only("Choose a photo first, or try one of the samples.")
            return
        if len(paths) > self.max_photos:
            yield _only(f"These are {len(paths)} photos; please send at most {self.max_photos} at once.")
            return
        settings = Settings(model, strength, render_factor)
        done, failed = [], []
        for number, path in enumerate(paths):
            progress((number, len(paths)), desc=path.name, unit="photos")
            try:
                done.append(self.studio.colorize(path, settings))
            except Refused as refusal:
                failed.append((path.name, str(refusal)))
            if number + 1 < len(paths):
                yield _all(done, failed)
        archive = self.studio.pack(done) if len(done) > 1 else None
        yield _all(done, failed, archive)

    def colorize_sample(
        self,
        strength: float,
        render_factor: int,
        model: str,
        event: gr.SelectData,
        progress=gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple]:
        yield from self.colorize_photos([str(self.samples[event.index])], strength, render_factor, model, progress)

    def colorize_one(
        self, photo: str, strength: float = 1.0, render_factor: int | None = None, model: str | None = None
    ) -> str:
        if photo is None:
            raise _error("a photo is missing")
        try:
            settings = Settings(model or self.studio.models[0], strength, render_factor)
            return str(self.studio.colorize(Path(photo), settings).result)
        except Refused as refusal:
            raise _error(f"{Path(photo).name}: {refusal}") from refusal

    def usual_factor(self, model: str) -> int:
        return self.studio.render_factor(model)

    def choose(self, results: list[Coloured], event: gr.SelectData) -> tuple:
        "One result in the slider: number, slider, download, question."
        item = _still_there(results, event.index)
        return event.index, *_one(item, len(results))

    def keep_opinion(
        self, results: list[Coloured], shown: int, verdict: str | None, remark: str, with_photo: bool
    ) -> tuple:
        if verdict is None:
            raise _error("Choose thumbs up or thumbs down first.")
        item = _still_there(results, shown)
        try:
            feedback.keep(self.feedback_folder, item, verdict, remark, with_photo)
        except FileNotFoundError as error:
            raise _error("The photo has been deleted already; please send it without, or colorize it again.") from error
        except OSError as error:
            logging.getLogger(__name__).error("an opinion could not be kept", exc_info=error)
            raise _error("It could not be kept, which is our fault, not yours.") from error
        gr.Info("Thank you, that helps.")
        return None, "", False


def _only(sentence: str) -> tuple:
    "What the page shows when it does not begin: a sentence; all else stays as it was."
    return *[gr.skip()] * 5, gr.HTML(_list([("failed", sentence)]), visible=True), gr.skip(), gr.skip()


def _all(done: list[Coloured], failed: list[tuple[str, str]], archive: Path | None = None) -> tuple:
    "What the page shows after some photos: results, number of the shown one, slider, download, question, and so on."
    message = _message(done, failed)
    nothing = gr.skip(), gr.DownloadButton(visible=False), gr.Accordion(visible=False)
    return (
        done,
        0,
        *(_one(done[0], len(done)) if done else nothing),
        gr.HTML(message, visible=bool(message)),
        gr.DownloadButton(value=archive and str(archive), visible=archive is not None),
        gr.Gallery([(str(item.after), item.result.name) for item in done], visible=len(done) > 1, selected_index=None),
    )


def _one(item: Coloured, many: int) -> tuple:
    "Slider, download and question of one result among many."
    name = item.result.name
    return (
        gr.ImageSlider((str(item.before), str(item.after)), label=name),
        gr.DownloadButton(f"Download {name}", value=str(item.result), visible=True),
        gr.Accordion(label="How good is it?" + (f" ({name})" if many > 1 else ""), visible=True),
    )


def _still_there(results: list[Coloured], index: int) -> Coloured:
    "One of a visitor's results; only so many visitors are remembered."
    if index >= len(results):
        raise _error("This was too long ago; please colorize the photo again.")
    return results[index]


def _message(done: list[Coloured], failed: list[tuple[str, str]]) -> str:
    "What could not be done, and what was noticed, a line each."
    notes = [("note", f"{item.result.name}: {note}") for item in done for note in item.notes]
    return _list([("failed", f"{name}: {why}") for name, why in failed] + notes)


def _list(lines: list[tuple[str, str]]) -> str:
    "HTML of lines, each with its kind: `failed` or `note`."
    items = [f'<li class="{kind}">{html.escape(line)}</li>' for kind, line in lines]
    return f'<ul role="alert">{"".join(items)}</ul>' if lines else ""


def _error(sentence: str) -> gr.Error:
    "One sentence on the page; no traceback, there or in the log."
    return gr.Error(html.escape(sentence, quote=False), print_exception=False)
