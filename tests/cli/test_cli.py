"""The program as a whole: what it offers, how quickly it is there, how errors end it."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deoldify_lite import errors
from deoldify_lite.cli import program
from deoldify_lite.cli.common import advice_on_memory, single

SLOW = ("torch", "fastai", "numpy", "PIL", "gradio", "ray")


@pytest.mark.parametrize("module", ["deoldify_lite.cli", "deoldify_lite.errors"])
def test_importing_loads_nothing_slow(module):
    code = f"import sys, {module}; print(*[m for m in {SLOW} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_every_command_has_a_help_text():
    commands = program.registered_commands
    assert {command.callback.__name__ for command in commands} >= {"colorize", "nogan", "samples", "export", "app"}
    for command in commands:
        result = CliRunner().invoke(program, [command.callback.__name__, "--help"])
        assert result.exit_code == 0 and command.callback.__doc__.split()[0] in result.output


@pytest.mark.parametrize(
    "error, code, line",
    [
        (errors.DeoldifyError("two\n  lines"), 1, "error: two lines\n"),
        (errors.UsageError("no such thing"), 2, "error: no such thing\n"),
        (errors.Unavailable("not here"), 3, "error: not here\n"),
        (errors.Interrupted("goes on from here"), 130, "error: goes on from here\n"),
        (FileNotFoundError(2, "No such file", "a.txt"), 1, "error: a.txt: No such file\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_errors_are_a_line_and_an_exit_code(error, code, line):
    def command() -> None:
        raise error

    result = CliRunner().invoke(single(command))
    assert (result.exit_code, result.stderr, result.stdout) == (code, line, "")


def test_what_nobody_foresaw_keeps_its_traceback():
    def command() -> None:
        raise ValueError("a mistake of ours")

    assert isinstance(CliRunner().invoke(single(command)).exception, ValueError)


def test_out_of_memory_comes_with_advice():
    with pytest.raises(errors.DeoldifyError, match="out of memory: lower the batch, and run the same again"):  # noqa: SIM117
        with advice_on_memory("lower the batch"):
            raise MemoryError


def test_averaging_names_what_it_lacks(weights, tmp_path):
    out = tmp_path / "mean.safetensors"
    run = CliRunner().invoke(program, ["average", str(weights), str(weights), "--out", str(out)])
    assert run.exit_code == 0 and run.stdout.strip() == str(out) and out.exists()
    for arguments, code, text in (
        ([str(weights)], 2, "two or more"),
        ([str(weights)] * 2 + ["--out", "mean.pth"], 2, ".safetensors"),
        ([str(weights), str(tmp_path / "none.safetensors")], 3, "no such file"),
    ):
        run = CliRunner().invoke(program, ["average", "--out", str(out), *arguments])
        assert run.exit_code == code and text in run.stderr
