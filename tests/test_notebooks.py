"""The notebooks: as they are stored, and each run from top to bottom."""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from deoldify_lite import REPOSITORY
from helpers.scripts import load_script

ROOT = Path(__file__).parent.parent
SCRIPT = load_script("tools/run_notebooks.py")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WITH_PICTURES = ("00", "04")  # stored with their outputs, which help a reader


def read(path: Path):
    return nbformat.read(path, as_version=4)


def test_there_are_seven():
    assert [p.name[:2] for p in NOTEBOOKS] == ["00", "01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_small_and_mostly_without_outputs(path):
    assert path.stat().st_size < 500_000
    notebook = read(path)
    nbformat.validate(notebook)
    outputs = list(SCRIPT.outputs_of(notebook))
    if path.name[:2] in WITH_PICTURES:
        pictures = [o["data"] for o in outputs if "image/jpeg" in o.get("data", {})]
        assert pictures and not any("image/png" in data for data in pictures)
    else:
        assert outputs == []
    assert all(cell.get("execution_count") is None for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_each_stands_on_its_own(path):
    """A badge that opens this very notebook, one cell that installs, one that is to be changed."""
    notebook = read(path)
    colab = REPOSITORY.replace("https://github.com", "https://colab.research.google.com/github")
    assert f"({colab}/blob/main/notebooks/{path.name})" in notebook.cells[0].source
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code[:2]] == ["install", "settings"]
    assert sum("%pip" in cell.source for cell in code) == 1
    assert len({code[0].source, *(read(p).cells[1].source for p in NOTEBOOKS)}) == 1, "the same in all"


@pytest.mark.parametrize("path", [ROOT / "README.md", *NOTEBOOKS], ids=lambda p: p.stem)
def test_all_name_the_one_address_of_the_repository(path):
    """... which tools/set_repository.py changes in all of them."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"github(?:\.com)?/([\w.-]+/[\w.-]+)", text)) - {"jantic/DeOldify"}
    own = REPOSITORY.removeprefix("https://github.com/")
    assert named == ({own} if path.suffix == ".ipynb" else named & {own})
    elsewhere = load_script("tools/set_repository.py").moved(text, REPOSITORY, "https://github.com/somebody/colours")
    assert own not in elsewhere
    assert elsewhere.count("somebody/colours") == text.count(own)


@pytest.mark.parametrize("opened", ["checkout/notebooks", "checkout", ".", "elsewhere"])
@pytest.mark.parametrize("installed", [True, False])
def test_first_cell_finds_the_package(tmp_path, monkeypatch, opened, installed):
    """The installed package, else a checkout in, above or below the folder that the notebook was opened in."""
    checkout = tmp_path / ("deoldify_lite" if opened == "." else "checkout")
    for folder in (checkout / "notebooks", tmp_path / "elsewhere/deoldify_lite"):
        folder.mkdir(parents=True)
    (checkout / "notebooks/00_colorize.ipynb").touch()
    monkeypatch.chdir(tmp_path / opened)
    missing = importlib.util.spec_from_loader("deoldify_lite", loader=None)  # what a bare folder of that name gives
    if not installed:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: missing)
    installs = []
    magic = '%pip install --quiet "{source}"'
    cell = read(NOTEBOOKS[0]).cells[1].source
    assert magic in cell
    exec(cell.replace(magic, "installs.append(source)"), {"installs": installs})
    found = opened != "elsewhere"
    assert installs == ([] if installed else [checkout if found else f"git+{REPOSITORY}"])
    assert Path.cwd() == (checkout if found else tmp_path / "elsewhere")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder that the notebooks take for a checkout, without weights and without a way to fetch any."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    kept = dict(os.environ)
    os.environ |= {
        "PYTHONPATH": str(ROOT),
        "DEOLDIFY_LITE_WEIGHTS": str(folder / "none"),
        "TORCH_HOME": str(folder / "none"),
        "HF_HUB_OFFLINE": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "localhost,127.0.0.1",
    }
    yield folder
    os.environ.clear()
    os.environ |= kept


def done(place: Path) -> dict[str, int]:
    """When which stage of the shared run was done."""
    run = place / "runs/notebook"
    return {p.parent.relative_to(run).as_posix(): p.stat().st_mtime_ns for p in run.rglob("done.json")}


def nogan(place: Path, *arguments: str) -> None:
    """Go on with the run by `scripts/nogan.py`."""
    from deoldify_lite.cli import program

    result = CliRunner().invoke(program, ["nogan", "--run", str(place / "runs/notebook"), *arguments])
    assert result.exit_code == 0, result.output


@pytest.fixture
def kernel() -> Iterator:
    """One for all notebooks, in which torch and fastai are imported once."""
    from jupyter_client import AsyncKernelManager
    from jupyter_core.utils import run_sync

    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    run_sync(manager.shutdown_kernel)(now=True)


@pytest.mark.slow
def test_all_run_in_order_and_share_a_run_with_the_scripts(place, kernel):
    """... each going on where another, or the script, stopped; no stage is done twice."""
    pictures = {}
    for path in sorted((place / "notebooks").glob("*.ipynb")):
        before = done(place)
        executed = SCRIPT.execute(path, timeout=600, kernel=kernel)
        pictures[path.name[:2]] = sum("image/png" in o.get("data", {}) for o in SCRIPT.outputs_of(executed))
        assert before.items() <= done(place).items(), "what was done stays"
        if path.name.startswith("02"):
            assert "cycle-1/generate" not in done(place)
            nogan(place, "--stage", "generate")
            assert "cycle-1/generate" in done(place)
    assert set(pictures) == {p.name[:2] for p in NOTEBOOKS} and all(pictures.values()), pictures
    assert {"generator/1-32-frozen", "cycle-1/critic-64", "cycle-1/gan"} <= done(place).keys()
    after = done(place)
    nogan(place)
    assert done(place) == after
    assert (place / "runs/notebook_finetune/generator.safetensors").exists()
    assert len(list((place / "colorized/notebook").iterdir())) == 3
    assert (place / "runs/notebook/evaluation/report.html").exists()


def test_outputs_are_stored_small(place):
    """Pictures become JPEGs; progress and warnings go; the code stays as it was."""
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    notebook = new_notebook(cells=[new_code_cell("1")])
    executed = new_notebook(cells=[new_code_cell("changed", execution_count=3)])
    bar = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "50 %"}
    executed.cells[0].outputs = [
        new_output("stream", name="stderr", text="warning"),
        new_output("display_data", data=bar),
        new_output("execute_result", data={"image/png": picture}, execution_count=3),
    ]
    stored = SCRIPT.with_outputs(notebook, executed)
    (output,) = stored.cells[0].outputs
    assert stored.cells[0].source == "1" and list(output.data) == ["image/jpeg"]
    assert output.execution_count is None
    nbformat.validate(stored)


def test_settings_are_replaced_for_one_run_only(place):
    path = place / "notebooks/00_colorize.ipynb"
    with pytest.raises(KeyError, match="has no setting NONSENSE"):
        SCRIPT.execute(path, {"NONSENSE": "1"})
    assert read(path) == read(ROOT / "notebooks/00_colorize.ipynb")
