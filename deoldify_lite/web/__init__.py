"The static site that colorizes in the visitor's browser: its sources in `site/`, and what puts it together."
