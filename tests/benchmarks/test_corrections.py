"The benchmark of corrections, on a small photo."

import re

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import corrections

pytest.importorskip("gradio")


@pytest.mark.slow
def test_every_step_is_timed(weights, monkeypatch):
    monkeypatch.setattr(corrections, "KEPT", 2)
    threads = torch.get_num_threads()
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command()(corrections.main)
    arguments = [f"--weights={weights}", "--megapixels=0.05", "--threads=1", "--repeats=2"]
    try:
        ended = CliRunner().invoke(program, arguments, catch_exceptions=False)
    finally:
        torch.set_num_threads(threads)
    assert ended.exit_code == 0, ended.output
    steps = dict(re.findall(r"^(\w[\w ]*?) +([\d.]+) \(", ended.output, re.MULTILINE))
    assert steps.keys() == {"open", "click", "first hint", "second hint", "undo", "variants", "download"}
    assert "MB for each photo" in ended.output
