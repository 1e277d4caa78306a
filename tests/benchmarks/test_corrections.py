"The benchmark of corrections, on a small photo."

import re

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import corrections
from helpers.browser import CHROMIUM

pytest.importorskip("gradio")
pytest.importorskip("playwright")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="the page is tested in a browser: apt-get install chromium")
def test_every_step_is_timed(weights, monkeypatch):
    monkeypatch.setattr(corrections, "KEPT", 2)
    threads = torch.get_num_threads()
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command()(corrections.main)
    arguments = [f"--weights={weights}", "--megapixels=0.05", "--threads=1", "--repeats=1", "--browser"]
    try:
        ended = CliRunner().invoke(program, arguments, catch_exceptions=False)
    finally:
        torch.set_num_threads(threads)
    assert ended.exit_code == 0, ended.output
    steps = dict(re.findall(r"^(\w[\w, ]*?) +([\d.]+) \(", ended.output, re.MULTILINE))
    shown = {"open", "click", "first hint", "second hint", "undo"}
    assert steps.keys() == shown | {"variants", "download"} | {f"{step}, in the browser" for step in shown}
    assert "MB for each photo" in ended.output
