"Sentences for visitors, as HTML and as errors."

import html

import gradio as gr


def as_list(lines: list[tuple[str, str]]) -> str:
    "HTML of lines, each with its CSS class, `failed` or `note`."
    items = [f'<li class="{kind}">{html.escape(line)}</li>' for kind, line in lines]
    return f'<ul role="alert">{"".join(items)}</ul>' if lines else ""


def as_error(sentence: str) -> gr.Error:
    "A sentence on the page, without a traceback, there or in the log."
    return gr.Error(html.escape(sentence, quote=False), print_exception=False)


def warn(sentence: str) -> None:
    "The same, without a mark on the outputs of the event, which stay as they are."
    gr.Warning(html.escape(sentence, quote=False))
