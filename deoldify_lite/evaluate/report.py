"""`report.html`: table, plots and grids in one file that needs no other. Its layout: `report.jinja`."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from ..metrics.info import metric_info, title
from .plots import draw_plots
from .tables import notes, score_rows, value


def report(metrics: dict[str, Any], grids: Iterable[tuple[str, Image.Image]]) -> str:
    """The report as HTML: plain elements, inline pictures, no script.

    metrics: the content of `metrics.json`. grids: titles and images.
    """
    from jinja2 import Template

    methods = metrics["methods"]
    names = [name for name in metrics["metrics"] if any(value(method, name) is not None for method in methods)]
    layout = Path(__file__).with_name("report.jinja").read_text(encoding="utf-8")
    return Template(layout, autoescape=True, trim_blocks=True, lstrip_blocks=True).render(
        metrics=metrics,
        columns=[(title(name), metric_info(name).about) for name in names],
        rows=score_rows(methods, names),
        plots=_inline("image/svg+xml", draw_plots(methods).encode()),
        grids=[(name, _inline("image/jpeg", _jpeg(image))) for name, image in grids],
        notes=notes(methods),
    )


def _inline(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, subsampling=0)  # colours are what is compared
    return file.getvalue()
