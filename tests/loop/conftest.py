"""Worlds that several loops read, walked once; and what the loops found, at the end of the output."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.loop.holdout_world import walk_holdout_world
from tests.loop.reading import LINES, RUNS, check_weights


@pytest.fixture(scope="session")
def holdout_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the log of a shop with a holdout of everything, an experiment and an ablation."""
    log = asyncio.run(walk_holdout_world(tmp_path_factory.mktemp("loop") / "holdout", RUNS))
    check_weights(log, "holdout world")
    return log


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the loops found."""
    if LINES:
        terminalreporter.section("loops")
        for line in sorted(LINES):
            terminalreporter.line(line)
