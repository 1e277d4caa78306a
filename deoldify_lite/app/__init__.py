"""The page in the browser: drop photos, get them back in colour, say how good they are.

`server` starts it; `page` is what people see, `look` how it looks; `studio` does the work and knows nothing of Gradio;
`gate` stands between the browser and Gradio; `feedback` keeps what people think of the results.
"""
