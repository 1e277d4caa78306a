"Theme and CSS of the page: light and dark, for desktops and phones, with nothing to be fetched from elsewhere."

import gradio as gr

from .hints import SWATCHES

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]  # the visitor's own
THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="stone",
    font=FONTS,
    font_mono=["ui-monospace", "Consolas", "monospace"],
).set(
    block_border_width="1px",
    input_border_width="1px",
    checkbox_border_width="1px",
    checkbox_border_color="*neutral_400",
    checkbox_border_color_dark="*neutral_500",
    body_text_color_subdued="*neutral_500",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    block_title_padding="0",
    block_title_background_fill="none",
    block_title_background_fill_dark="none",
    block_title_text_color="*body_text_color",
    block_label_background_fill="*background_fill_primary",
    block_label_background_fill_dark="*background_fill_primary",
    block_label_text_color="*body_text_color",
    block_label_text_color_dark="*body_text_color",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
)
CSS = """
.gradio-container { width: 100% !important; max-width: 1120px !important; margin: 0 auto !important; }
#heading h1 { font-size: clamp(1.35rem, 5.5vw, 1.75rem); font-weight: 700; line-height: 1.25; margin: .4rem 0 .3rem; }
#heading p, #privacy { color: var(--body-text-color-subdued); }
#privacy { font-size: .9rem; text-align: center; }
.caption { margin-bottom: -.6rem; font-size: .95rem; color: var(--body-text-color-subdued); }
.message ul { list-style: none; margin: 0; padding: 0; }
.message li { padding: .15rem 0; overflow-wrap: anywhere; }
.message .failed { color: #b91c1c; }
.dark .message .failed { color: #fca5a5; }
.message .note { color: var(--body-text-color-subdued); font-size: .9rem; }
#slider label { display: block; max-width: calc(100% - 4.5rem); }
#slider label { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
#slider label > span { display: inline-block; vertical-align: middle; }
#feedback > button { text-align: left; }
#samples .grid-wrap, #gallery .grid-wrap { height: auto; min-height: 0; max-height: none; }
#samples .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)); }
#gallery .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(130px, 30%), 1fr)); }
@media (max-width: 640px) {
    .gradio-container .main { padding: 8px 16px !important; }
    .tab-container button { padding-inline: .45rem !important; }
}
#samples .thumbnail-item, #gallery .thumbnail-item { cursor: pointer; }
#video-status progress { appearance: none; width: 100%; height: .6rem; border: 0; border-radius: .3rem; }
#video-status progress, #video-status ::-webkit-progress-bar { background: var(--border-color-primary); }
#video-status ::-webkit-progress-value { border-radius: .3rem; background: var(--button-primary-background-fill); }
#video-status ::-moz-progress-bar { border-radius: .3rem; background: var(--button-primary-background-fill); }
#video-status p { font-variant-numeric: tabular-nums; }
#video-limits { margin-top: -.6rem; }
#download, #download-all, #video-download { overflow-wrap: anywhere; }
#hints-picture img { cursor: crosshair; }
#hints-picture .image-container img, #like-picture .image-container img { max-height: 62vh; object-fit: contain; }
#hints-picture .icon-button-wrapper, #like-picture .icon-button-wrapper { display: none; }
#hints-colors, .file-made { display: none; }
#swatches .wrap, #hints-list .wrap { gap: .3rem; }
#swatches label, #hints-list label { gap: .35rem; padding: .25rem .5rem; font-size: .85rem; align-items: center; }
#swatches label::before, #hints-list label::before {
    content: ""; flex: none; width: 1.1rem; height: 1.1rem; border-radius: 50%; border: 1px solid rgb(128 128 128 / .5);
}
#swatches label > span { margin-left: 0; }
#swatches input { position: absolute; opacity: 0; }
#swatches label:has(input:focus-visible) { outline: 2px solid var(--primary-600); outline-offset: 1px; }
#hints-list .wrap { flex-direction: column; max-height: 12rem; overflow-y: auto; flex-wrap: nowrap; }
#variants .grid-wrap { height: auto; min-height: 0; max-height: none; }
#variants .thumbnail-item { cursor: pointer; }
@media (min-width: 768px) { #hints-work { position: sticky; top: .5rem; align-self: flex-start; } }
.tight { gap: .5rem !important; align-items: end; }
"""
CSS += "".join(
    f"#swatches label:nth-of-type({number})::before {{ background: {color}; }}\n"
    for number, color in enumerate(SWATCHES.values(), 1)
)
