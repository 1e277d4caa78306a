"""The report's plots, from the `methods` of `metrics.json`."""

import io
from itertools import count

from ..metrics.info import title
from .tables import Method, value

PLOTTED = ("lpips_alex", "ab_histogram", "psnr", "fid", "fd_vgg16", "kid_vgg16", "colorfulness")
STYLE = {"font.size": 9, "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False}
STYLE |= {"svg.hashsalt": "deoldify_lite"}  # the same plot, the same file


def draw_plots(methods: list[Method]) -> str:
    "SVG: methods by each metric that is available, and colourfulness over LPIPS. Dotted: the ground truth."
    import matplotlib
    from matplotlib.figure import Figure

    truth, *rows = [method for method in methods if method["n"]]
    metrics = [metric for metric in PLOTTED if value(truth, metric) is not None]
    lines = len(metrics) // 3 + 1
    with matplotlib.rc_context(STYLE):
        figure = Figure((11, lines * (1 + 0.3 * len(rows))), layout="constrained")
        axes = (figure.add_subplot(lines, 3, i) for i in count(1))
        for metric in metrics:
            _dots(next(axes), truth, rows, metric)
        if "lpips_alex" in metrics:
            _trade_off(next(axes), truth, rows)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _dots(axes, truth: Method, rows: list[Method], metric: str) -> None:
    "A dot for each method, with the 95 % interval of the mean where it is one."
    axes.set_title(title(metric))
    for y, method in enumerate(rows):
        if (x := value(method, metric)) is not None:
            error = method["scores"][metric].get("standard_error")
            axes.errorbar(x, y, xerr=error and 1.96 * error, fmt="o", capsize=3)
    if metric == "colorfulness":
        axes.axvline(value(truth, metric), linestyle=":")
    axes.set_yticks(range(len(rows)), [_short(method["name"]) for method in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _trade_off(axes, truth: Method, rows: list[Method]) -> None:
    axes.set(xlabel="LPIPS", ylabel="colourfulness")
    axes.axhline(value(truth, "colorfulness"), linestyle=":")
    for method in rows:
        point = value(method, "lpips_alex"), value(method, "colorfulness")
        axes.plot(*point, "o")
        axes.annotate(_short(method["name"]), point, fontsize=7)


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:12]}…{name[-9:]}"
