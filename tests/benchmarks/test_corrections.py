"The benchmark of corrections, on a small photo."

import re

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import corrections
from helpers.browser import CHROMIUM

pytest.importorskip("gradio")


pytestmark = pytest.mark.slow
STEPS = {"open", "click", "first hint", "second hint", "undo", "variants", "download"}


def timed(weights, monkeypatch, *options: str) -> set[str]:
    "The steps of which seconds are printed."
    monkeypatch.setattr(corrections, "KEPT", 2)
    threads = torch.get_num_threads()
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command()(corrections.main)
    arguments = [f"--weights={weights}", "--megapixels=0.05", "--threads=1", *options]
    try:
        ended = CliRunner().invoke(program, arguments, catch_exceptions=False)
    finally:
        torch.set_num_threads(threads)
    assert ended.exit_code == 0, ended.output
    assert "MB for each photo" in ended.output
    return set(re.findall(r"^(\w[\w, ]*?) +[\d.]+ \(", ended.output, re.MULTILINE))


def test_every_step_is_timed(weights, monkeypatch):
    assert timed(weights, monkeypatch, "--repeats=2") == STEPS


@pytest.mark.skipif(not CHROMIUM, reason="the page is tested in a browser: apt-get install chromium")
def test_what_changes_the_picture_is_timed_in_the_browser(weights, monkeypatch):
    pytest.importorskip("playwright")
    shown = {f"{step}, in the browser" for step in STEPS - {"variants", "download"}}
    assert timed(weights, monkeypatch, "--repeats=1", "--browser") == STEPS | shown
