"""What the tests themselves rely on: the limit on what may skip in CI, and folders that are filled once."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import skips
from helpers.shared import shared_folder
from helpers.skips import SkipLimit

TESTS = Path(__file__).parent
MODULE = """
import pytest

@pytest.mark.parametrize("i", range(26))
def test_a(i):
    pytest.skip("no permission to mount a disk")

@pytest.mark.skip(reason="not today")
def test_b():
    pass

@pytest.mark.xfail(reason="a known fault")
def test_c():
    assert False
"""


def test_ci_fails_where_too_much_skips(tmp_path):
    """... as the workers of pytest-xdist tell the process that counts; known faults are no skips."""
    (tmp_path / "conftest.py").write_text("from helpers.skips import pytest_configure")
    (tmp_path / "test_it.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-q", "-n1", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", tmp_path]
    environment = os.environ | {"CI": "true", "PYTHONPATH": str(TESTS)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 1, result.stdout + result.stderr
    assert [line for line in result.stdout.splitlines() if line.startswith("ERROR: ")] == [
        "ERROR: test_it.py::test_b skipped for a reason that CONTRIBUTING.md does not list: not today",
        "ERROR: 27 tests skipped, and at most 25 may",
    ]


def report_of(name: str, reason: str) -> pytest.CollectReport:
    return pytest.CollectReport(name, "skipped", ("test_it.py", 1, f"Skipped: {reason}"), [])


def test_few_may_skip_and_only_for_listed_reasons():
    limit = SkipLimit(["permission to mount"], most=2)
    for name in "ab":
        limit.pytest_collectreport(report_of(name, "no permission to mount a disk"))
    assert limit.complaints() == []
    limit.pytest_runtest_logreport(report_of("c", "not today"))
    assert limit.complaints() == [
        "c skipped for a reason that CONTRIBUTING.md does not list: not today",
        "3 tests skipped, and at most 2 may",
    ]


@pytest.mark.parametrize(("ci", "limited"), [("true", True), ("", False)])
def test_elsewhere_than_in_ci_anything_may_skip(ci, limited, monkeypatch):
    monkeypatch.setenv("CI", ci)
    plugins = pytest.PytestPluginManager()
    skips.pytest_configure(SimpleNamespace(pluginmanager=plugins))
    assert any(isinstance(plugin, SkipLimit) for plugin in plugins.get_plugins()) == limited


def test_the_page_has_the_list():
    assert len(skips.listed_reasons(skips.PAGE.read_text())) > 2
    with pytest.raises(ValueError, match="What may skip"):
        skips.listed_reasons("# How we work\n\n- `a` b\n")


def test_a_shared_folder_is_filled_once(tmp_path_factory):
    """... and never taken for whole where filling it failed."""
    filled = []
    for _ in range(2):
        folder = shared_folder(tmp_path_factory, "filled once", filled.append)
        assert folder.is_dir() and filled == [folder]

    with pytest.raises(ZeroDivisionError):
        shared_folder(tmp_path_factory, "failed", lambda folder: 1 / 0)
    with pytest.raises(RuntimeError, match="could not be filled"):
        shared_folder(tmp_path_factory, "failed", lambda folder: None)
