"""Worlds that several loops read, walked once; and what the loops found, as a table at the end of the output."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.loop import ledger
from tests.loop.holdout_world import walk_holdout_world
from tests.loop.parts import walked

_ROWS: list[ledger.Row] = []


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that all processes of this session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "loops"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def holdout_log(shared: Path) -> Path:
    """Give the log of a shop with a holdout of everything, an experiment and an ablation."""
    return walked("holdout", walk_holdout_world, shared / "holdout", ledger.RUNS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send what was found to the process that prints, with the report of the test that found it."""
    report = yield
    report.user_properties.extend(("loop", row) for row in ledger.take())
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather the rows, from whichever process they come."""
    if report.when != "teardown":
        _ROWS.extend(ledger.Row(**cast("dict[str, Any]", row)) for name, row in report.user_properties if name == "loop")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if _ROWS:
        terminalreporter.section(f"loops, {ledger.RUNS} runs each")
        for line in ledger.lines(list(dict.fromkeys(_ROWS))):
            terminalreporter.line(line)
