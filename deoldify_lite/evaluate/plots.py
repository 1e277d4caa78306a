"""The report's plots, from the `methods` of `metrics.json`."""

import io

from ..metrics.info import title
from .tables import Method, value

PLOTTED = ("lpips_alex", "psnr", "ab_histogram", "colorfulness", "fid", "fd_vgg16", "kid_vgg16")
STYLE = {"font.size": 9, "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False}
STYLE |= {"svg.hashsalt": "deoldify_lite"}  # the same plot, the same file
COLUMNS = 3


def draw_plots(methods: list[Method]) -> str:
    "SVG: all methods by each metric that is available, with the 95 % interval where it is a mean over photos."
    import matplotlib
    from matplotlib.figure import Figure

    truth, *rows = [method for method in methods if method["n"]]
    metrics = [metric for metric in PLOTTED if value(truth, metric) is not None]
    names = [name if len(name) <= 22 else f"{name[:12]}…{name[-9:]}" for name in (method["name"] for method in rows)]
    lines = -(-len(metrics) // COLUMNS)
    with matplotlib.rc_context(STYLE):
        figure = Figure((11, lines * (0.8 + 0.3 * len(rows))), layout="constrained")
        for number, metric in enumerate(metrics, 1):
            axes = figure.add_subplot(lines, COLUMNS, number, title=title(metric))
            for y, method in enumerate(rows):
                if (x := value(method, metric)) is not None:
                    error = method["scores"][metric].get("standard_error")
                    axes.errorbar(x, y, xerr=error and 1.96 * error, fmt="o", capsize=3)
            if metric == "colorfulness":
                axes.axvline(value(truth, metric), linestyle=":")
            axes.set_yticks(range(len(rows)), names if number % COLUMNS == 1 else [""] * len(rows))
            axes.set_ylim(len(rows) - 0.5, -0.5)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
