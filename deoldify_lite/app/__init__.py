"""The web page: upload photos and videos, download them in colour, rate the results.

`server` starts it, `page` builds it with Gradio out of `photo_tab`, `hints_tab`, `video_tab` and `api`, `style` is its
theme; `service` (photos), `hints` (corrections) and `videos` colorize and know nothing of Gradio; `middleware` checks
requests before Gradio sees them; `feedback` keeps the ratings.
"""
