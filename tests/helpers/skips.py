"""In CI, tests skip for reasons that CONTRIBUTING.md lists, and no more of them than it allows; else CI fails."""

import os
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
HEADING = "## What may skip"
MOST = 25


def listed_reasons(page: str) -> list[str]:
    """The reasons in a page's list under `HEADING`: what stands between the first backticks of each item.

    Raises:
        ValueError: there is no such list.
    """
    _, heading, section = page.partition(f"\n{HEADING}\n")
    reasons = re.findall(r"^- `(.+?)`", section.partition("\n## ")[0], re.MULTILINE)
    if not heading or not reasons:
        raise ValueError(f"CONTRIBUTING.md has no list under {HEADING!r}")
    return reasons


class SkipLimit:
    "A plugin for pytest that counts what skips. A reason is listed if a listed one is part of it."

    def __init__(self, listed: list[str], most: int = MOST):
        self.listed, self.most, self.skipped = listed, most, []

    def pytest_runtest_logreport(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append((report.nodeid, report.longrepr[2].removeprefix("Skipped: ")))

    pytest_collectreport = pytest_runtest_logreport  # a module that skips as a whole

    def complaints(self) -> list[str]:
        unlisted = [(test, why) for test, why in self.skipped if not any(reason in why for reason in self.listed)]
        found = [f"{test} skipped for a reason that CONTRIBUTING.md does not list: {why}" for test, why in unlisted]
        if len(self.skipped) > self.most:
            found.append(f"{len(self.skipped)} tests skipped, and at most {self.most} may")
        return found

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.complaints() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for complaint in self.complaints():
            terminalreporter.write_line(f"ERROR: {complaint}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    "For conftest.py. Workers of pytest-xdist report to the process that started them, which counts."
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipLimit(listed_reasons(PAGE.read_text())))
