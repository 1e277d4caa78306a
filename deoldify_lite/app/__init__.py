"""The web page: upload photos, download them in colour, rate the results.

`server` starts it, `page` builds it with Gradio, `style` is its theme; `service` colorizes and knows nothing of Gradio;
`middleware` checks requests before Gradio sees them; `feedback` keeps the ratings.
"""
