"The tables of docs/video.md, in Markdown, out of what was measured."

from collections.abc import Sequence

from .results import Result
from .video import GRAY, OURS, SINGLE, TRUE

MEASURES = {"E_warp x 1000": ".4f", "CDC x 1000": ".2f", "colourfulness": ".1f", "PSNR, dB": ".2f", "LPIPS": ".4f"}


def as_markdown(results: Sequence[Result]) -> str:
    "All tables of which something was measured."
    of = {name: [r for r in results if r.about.get("table") == name] for name in TABLES}
    return "\n\n".join(table for name, rows in of.items() if rows for table in TABLES[name](rows)) + "\n"


def steadiness(results: Sequence[Result]) -> list[str]:
    "A row for each method on each clip; then what the wishes of steadiness come to on each clip."
    clips: dict[str, dict[str, dict[str, float]]] = {}
    for result in results:
        name = f"{result.about['clip']}, {result.about['size']}, {result.about['frames']} frames"
        clips.setdefault(name, {}).setdefault(result.about["method"], {})[result.about["measure"]] = result.middle
    rows, shares = [], []
    for clip, methods in clips.items():
        for number, (method, values) in enumerate(methods.items()):
            cells = [format(values[m], f) if m in values else "" for m, f in MEASURES.items()]
            rows.append(["" if number else clip, f"**{method}**" if method == OURS else method, *cells])
        error, colorful = ({name: v[m] for name, v in methods.items()} for m in ("E_warp x 1000", "colourfulness"))
        pairs = [(error, OURS, SINGLE), (error, GRAY, SINGLE), (error, OURS, TRUE), (colorful, OURS, SINGLE)]
        shares.append([clip.split(",")[0], *(percent(values[a], values[b]) for values, a, b in pairs)])
    compared = [
        f"E_warp, {OURS} / {SINGLE}",
        f"{GRAY} / {SINGLE}",
        f"{OURS} / {TRUE}",
        f"colourfulness, {OURS} / {SINGLE}",
    ]
    return [table(["", "", *(m.split(" x")[0] for m in MEASURES)], rows, 2), table(["", *compared], shares, 1)]


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole > 1e-4 else "-"  # of the pans' true colours it is nothing


def parts(results: Sequence[Result]) -> list[str]:
    return [table(["step", "ms"], [[r.what, f"{r.middle:.1f}"] for r in results], 1)]


def speed(results: Sequence[Result]) -> list[str]:
    rows = [[r.what, f"{r.middle:.2f}"] for r in results if not r.about.get("memory")]
    return [
        table(["from file to file", "frames a second"], rows, 1),
        *memory([r for r in results if r.about.get("memory")]),
    ]


def memory(results: Sequence[Result]) -> list[str]:
    return [table([results[0].title.removeprefix("video, "), "GB"], [[r.what, f"{r.middle:.2f}"] for r in results], 1)]


def ratio(results: Sequence[Result]) -> list[str]:
    rows = [[r.what, f"{r.middle:.3g} {r.unit}", f"{r.spread[0]:.3g} - {r.spread[1]:.3g}"] for r in results]
    return [
        table([results[0].title.removeprefix("video, "), "median", f"range, n = {len(results[0].values)}"], rows, 1)
    ]


TABLES = {"steadiness": steadiness, "parts": parts, "files": speed, "length": memory, "deoldify": ratio}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    "The first `names` columns are text, the others numbers."
    rule = ["---"] * names + ["---:"] * (len(heads) - names)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
