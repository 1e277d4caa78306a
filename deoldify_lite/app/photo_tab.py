"The tab for photos: upload, a slider between before and after, downloads, a form for feedback."

import logging
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from ..photo import readable_suffixes
from . import feedback
from .messages import as_error, as_list
from .options import add_options, render_factor_of
from .service import Colorized, Refused, Service, Settings


def add_photo_tab(
    service: Service, feedback_folder: Path, samples: list[Path], max_photos: int
) -> tuple[gr.Button, gr.State, gr.State]:
    """The components of the tab, and what happens with them.

    Returns a button to correct the result that is shown, the results, and the number of the one that is shown.

    Args:
        feedback_folder: where ratings are saved.
        samples: photos to try, served from where they are. The result of the first is shown at the start.
        max_photos: how many photos are accepted at once.
    """
    handlers = _Handlers(service, feedback_folder, samples, max_photos)
    example = _example(service, samples)
    results, shown = gr.State([]), gr.State(0)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            photos = gr.File(
                label="Photos, one or many",
                file_count="multiple",
                file_types=sorted(readable_suffixes()),
                height=200,
                elem_id="photos",
            )
            go = gr.Button("Colorize", variant="primary", size="lg", elem_id="go")
            restore = gr.Checkbox(
                label="Restore first (scratches, dust, fading)",
                visible=service.restores,
                container=False,
                elem_id="restore-first",
            )
            strength, render_factor, model = add_options(service, "options")
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
            message = gr.HTML(visible=False, elem_id="message", elem_classes="message")
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
                correct = gr.Button("Wrong colours? Correct them", visible=False, elem_id="correct")
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
            with gr.Accordion("How good is it?", open=True, visible=False, elem_id="feedback") as rating:
                verdict = gr.Radio([("👍 Good", "good"), ("👎 Poor", "poor")], show_label=False, container=False)
                remark = gr.Textbox(
                    placeholder="What is right, what is wrong? (if you like)",
                    max_length=feedback.MAX_REMARK,
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

    settings = [strength, render_factor, model, restore]
    outputs = [results, shown, slider, download, correct, rating, message, download_all, gallery]
    work = {
        "outputs": outputs,
        "scroll_to_output": True,
        "show_progress_on": slider,
        "concurrency_id": "colorize",
        "api_visibility": "private",
    }
    go.click(handlers.colorize_photos, [photos, *settings], **work)
    sample.select(handlers.colorize_sample, settings, **work)
    light = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    gallery.select(handlers.select_result, results, outputs[1:6], **light)
    send.click(
        handlers.save_feedback,
        [results, shown, verdict, remark, with_photo],
        [verdict, remark, with_photo],
        **light,
    )
    return correct, results, shown


def _example(service: Service, samples: list[Path]) -> tuple[str, str] | None:
    "The first sample before and after, stored beside the samples. Colorizing it warms up the network."
    if not samples:
        return None
    result = service.colorize(samples[0], Settings(service.models[0]))
    before, after = (samples[0].with_name(f"{path.stem}.preview.jpg") for path in (result.before, result.after))
    result.before.replace(before)
    result.after.replace(after)
    return str(before), str(after)


class _Handlers:
    "The tab's event handlers."

    def __init__(self, service: Service, feedback_folder: Path, samples: list[Path], max_photos: int):
        self.service = service
        self.feedback_folder = feedback_folder
        self.samples = samples
        self.max_photos = max_photos

    def colorize_photos(
        self,
        paths: list[str] | None,
        strength: float,
        render_factor: int,
        model: str,
        restore: bool,
        progress=gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple]:
        "Each result is shown as soon as it is done; a photo that fails stops no other."
        paths = [Path(path) for path in paths or []]
        if not paths:
            yield _message_only("Choose a photo first, or try one of the samples.")
            return
        if len(paths) > self.max_photos:
            yield _message_only(f"These are {len(paths)} photos; please send at most {self.max_photos} at once.")
            return
        settings = Settings(model, strength, render_factor_of(render_factor), restore)
        done, failed, archive = [], [], None
        for number, path in enumerate(paths):
            progress((number, len(paths)), desc=path.name, unit="photos")
            try:
                done.append(self.service.colorize(path, settings))
            except Refused as refusal:
                failed.append((path.name, str(refusal)))
            if number + 1 < len(paths):
                yield _outputs(done, failed)
        try:
            archive = self.service.make_archive(done) if len(done) > 1 else None
        except OSError as error:  # the disk is full, or the first results have been deleted already
            logging.getLogger(__name__).error("no archive could be made", exc_info=error)
            failed.append(("colorized.zip", "it could not be made; please download the photos one by one"))
        yield _outputs(done, failed, archive)

    def colorize_sample(
        self,
        strength: float,
        render_factor: int,
        model: str,
        restore: bool,
        event: gr.SelectData,
        progress=gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple]:
        sample = str(self.samples[event.index])
        yield from self.colorize_photos([sample], strength, render_factor, model, restore, progress)

    def select_result(self, results: list[Colorized], event: gr.SelectData) -> tuple:
        "Show a result: its number, slider, buttons, rating form."
        item = _remembered(results, event.index)
        return event.index, *_result_outputs(item, len(results))

    def save_feedback(
        self, results: list[Colorized], shown: int, verdict: str | None, remark: str, with_photo: bool
    ) -> tuple:
        if verdict is None:
            raise as_error("Choose thumbs up or thumbs down first.")
        item = _remembered(results, shown)
        try:
            feedback.save(self.feedback_folder, item, verdict, remark, with_photo)
        except FileNotFoundError as error:
            raise as_error(
                "The photo has been deleted already; please send it without, or colorize it again."
            ) from error
        except OSError as error:
            logging.getLogger(__name__).error("feedback could not be saved", exc_info=error)
            raise as_error("It could not be kept, which is our fault, not yours.") from error
        gr.Info("Thank you, that helps.")
        return None, "", False


def _message_only(sentence: str) -> tuple:
    "Outputs that show a sentence and leave the rest as it was."
    return *[gr.skip()] * 6, gr.HTML(as_list([("failed", sentence)]), visible=True), gr.skip(), gr.skip()


def _outputs(done: list[Colorized], failed: list[tuple[str, str]], archive: Path | None = None) -> tuple:
    "All outputs after some photos; the first result is shown, and later ones leave what the visitor chose meanwhile."
    message = _message(done, failed)
    if not done:
        shown = 0, gr.skip(), gr.DownloadButton(visible=False), gr.Button(visible=False), gr.Accordion(visible=False)
    elif len(done) == 1:
        shown = 0, *_result_outputs(done[0], len(done))
    else:
        shown = [gr.skip()] * 5
    return (
        done,
        *shown,
        gr.HTML(message, visible=bool(message)),
        gr.DownloadButton(value=archive and str(archive), visible=archive is not None),
        gr.Gallery([(str(item.after), item.result.name) for item in done], visible=len(done) > 1, selected_index=None),
    )


def _result_outputs(item: Colorized, count: int) -> tuple:
    "Slider, buttons and rating form for one of `count` results."
    name = item.result.name
    return (
        gr.ImageSlider((str(item.before), str(item.after)), label=name),
        gr.DownloadButton(f"Download {name}", value=str(item.result), visible=True),
        gr.Button(visible=True),
        gr.Accordion(label="How good is it?" + (f" ({name})" if count > 1 else ""), visible=True),
    )


def _remembered(results: list[Colorized], index: int) -> Colorized:
    "One of a visitor's results; the server remembers a limited number of visitors."
    if index >= len(results):
        raise as_error("This was too long ago; please colorize the photo again.")
    return results[index]


def _message(done: list[Colorized], failed: list[tuple[str, str]]) -> str:
    "HTML with a line for each failure and each note."
    notes = [("note", f"{item.result.name}: {note}") for item in done for note in item.notes]
    return as_list([("failed", f"{name}: {why}") for name, why in failed] + notes)
