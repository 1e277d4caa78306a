"""Run notebooks from top to bottom, as tests/test_notebooks.py does, or store their pictures in them.

python tools/run_notebooks.py                            do all of them run? nothing in them changes
python tools/run_notebooks.py 00 04 --store              ... and keep their outputs, pictures as small JPEGs
python tools/run_notebooks.py 04 --store --set PRESET='"lite"' --set RUN='Path("runs/lite")' --set PHOTOS='[]'
"""

import base64
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from deoldify_lite.cli.common import script
from deoldify_lite.errors import UsageError
from deoldify_lite.files import write_atomically

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def main(
    numbers: Annotated[list[str] | None, typer.Argument(help="Which notebooks, by number; by default all.")] = None,
    store: Annotated[bool, typer.Option(help="Keep the outputs in the notebooks.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=CODE", help="Change a name of the settings cell, for this time only."),
    ] = None,
) -> None:
    """Execute notebooks, in order, in the folder where they are."""
    import nbformat

    settings = dict(change.split("=", 1) for change in set_ or [])
    paths = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if not numbers or p.name[:2] in numbers]
    if not paths:
        raise UsageError(f"no such notebook; there are {', '.join(sorted(p.name for p in NOTEBOOKS.glob('*.ipynb')))}")
    for path in paths:
        typer.echo(path)
        executed = execute(path, settings)
        if store:
            write_atomically(path, nbformat.writes(with_outputs(nbformat.read(path, as_version=4), executed)) + "\n")


def execute(path: Path, settings: dict[str, str] | None = None, timeout: int | None = None, kernel: Any = None) -> Any:
    """Run a notebook in its folder; `settings` replace what its settings cell says, as Python code by name.

    With a `kernel`, an `AsyncKernelManager`, it runs in that one, which is started if it is not and goes on afterwards:
    without the names that notebooks before left there, but with the modules that they imported, which saves seconds.

    Returns the notebook with its outputs. Raises `nbclient`'s error for the first cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.id == "settings")
    for name, code in (settings or {}).items():
        cell.source, count = re.subn(rf"^{name} = .*$", lambda _, c=f"{name} = {code}": c, cell.source, flags=re.M)
        if not count:
            raise KeyError(f"{path.name} has no setting {name}")
    resources = {"metadata": {"path": str(path.parent)}}
    if kernel:
        notebook.cells.insert(0, new_code_cell(f"%reset -f\n%cd -q {path.parent}"))
    client = NotebookClient(notebook, km=kernel, timeout=timeout, kernel_name="python3", resources=resources)
    return client.execute()


def with_outputs(notebook: Any, executed: Any) -> Any:
    "A notebook with the outputs of its execution, as little as a reader needs: no streams of progress, small pictures."
    for cell, ran in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs = [small(output) for output in ran.outputs if not is_noise(output)]
            cell.execution_count = None
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
    return notebook


def is_noise(output: Any) -> bool:
    "Progress bars and warnings, which say nothing a day later."
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def small(output: Any) -> Any:
    "An output whose pictures are JPEGs."
    data = output.get("data", {})
    if "image/png" in data:
        data["image/jpeg"] = to_jpeg(base64.b64decode(data.pop("image/png")))
    return output


def to_jpeg(png: bytes) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()


def outputs_of(notebook: Any) -> Iterable[Any]:
    "All outputs of a notebook."
    return (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)


if __name__ == "__main__":
    script(main)
