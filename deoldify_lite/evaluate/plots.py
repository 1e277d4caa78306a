"""The report's plots, as SVG."""

import io

from .evaluation import Evaluation
from .figures import arrow, figure
from .scores import Judged

INK, SOFT = "#1c1c1a", "#6b6b66"
STYLE = {
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "deoldify_lite",  # the same plot, the same file
}
LONGEST = 22  # letters of a name that fit beside a plot


def draw_plots(evaluation: Evaluation) -> dict[str, str]:
    "Plots as SVG by title. Those whose figures could not be had are left out."
    import matplotlib
    from matplotlib.figure import Figure

    rows = [judged for judged in (evaluation.grey, *evaluation.contenders) if judged.truths]
    low, high = ((3.8, height) for height in (0.9 + 0.3 * len(rows), 3.1 + 0.1 * len(rows)))
    plots = {}
    with matplotlib.rc_context(STYLE):
        for name in ("lpips_alex", "ab_histogram", "psnr", "fid", "fd_vgg16", "kid_vgg16", "colourfulness"):
            if evaluation.value(evaluation.photos, name).value is not None:
                plots[f"{figure(name).title}{arrow(name)}"] = canvas = Figure(low, layout="constrained")
                _dots(canvas.subplots(), evaluation, rows, name)
        if "lpips_alex" in evaluation.photos.figures:
            plots["Nearness to the truth, and colour"] = canvas = Figure(high, layout="constrained")
            _trade_off(canvas.subplots(), evaluation, rows)
            plots["LPIPS, photo by photo"] = canvas = Figure(high, layout="constrained")
            _distribution(canvas.subplots(), rows)
        return {title: _svg(canvas) for title, canvas in plots.items()}


def _dots(axes, evaluation: Evaluation, rows: list[Judged], name: str) -> None:
    "A dot for each subject, with the 95 % interval of the mean where it is one."
    for y, judged in enumerate(rows):
        value = evaluation.value(judged, name)
        if value.value is not None:
            error = 1.96 * value.standard_error if value.standard_error else None
            axes.errorbar(value.value, y, xerr=error, fmt="o", color=_colour(y), capsize=3)
    if name == "colourfulness":
        truth = evaluation.photos.figures[name].value
        axes.axvline(truth, color=SOFT, linestyle=":")
        axes.annotate("truth", (truth, 1), xycoords=("data", "axes fraction"), ha="right", va="bottom", color=SOFT)
    axes.set_yticks(range(len(rows)), [_short(judged.subject.name) for judged in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color="#ececea")
    axes.set_axisbelow(True)


def _trade_off(axes, evaluation: Evaluation, rows: list[Judged]) -> None:
    axes.axhline(evaluation.photos.figures["colourfulness"].value, color=SOFT, linestyle=":")
    for i, judged in enumerate(rows):
        x, y = (judged.figures[name].value for name in ("lpips_alex", "colourfulness"))
        axes.plot(x, y, "o", color=_colour(i), label=_short(judged.subject.name), clip_on=False)
    axes.set_xlabel("LPIPS (nearer to the truth is to the left)")
    axes.set_ylabel("colourfulness (dotted: truth)")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.15)
    axes.locator_params(axis="x", nbins=6)
    _legend_below(axes)


def _distribution(axes, rows: list[Judged]) -> None:
    for i, judged in enumerate(rows):
        axes.ecdf(judged.of_photos["lpips_alex"].numpy(), color=_colour(i), label=_short(judged.subject.name))
    axes.set_xlabel("LPIPS of a photo")
    axes.set_ylabel("share of photos below")
    axes.set_xlim(left=0)
    _legend_below(axes)


def _legend_below(axes) -> None:
    axes.figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False
    )


def _colour(i: int) -> str:
    return SOFT if i == 0 else f"C{(i - 1) % 10}"  # grey input in grey


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 10]}…{name[-9:]}"


def _svg(canvas) -> str:
    file = io.StringIO()
    canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
