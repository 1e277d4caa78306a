"""Scripts of this repository as modules, and as programs for Typer's runner."""

import importlib.util
from pathlib import Path
from types import ModuleType

import typer

ROOT = Path(__file__).parents[2]


def load_script(path: str) -> ModuleType:
    "`scripts/name.py` or `tools/name.py`, imported without being run."
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(command) -> typer.Typer:
    "A program of one command, whose errors are not dressed up."
    made = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    made.command()(command)
    return made
