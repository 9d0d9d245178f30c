"""What a soak says of reloads: each is held to a stretch of its own run without one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.bench.soak_chores import resident_mb
from tests.bench.soak_report import _memory, added_ms, slope_mb, worst_of_windows


def part(worst: list[float], *reloads: tuple[float, float]) -> dict[str, Any]:
    """Return a soak with windows of 1 s that began at 0."""
    return {
        "window_ms": 1_000.0,
        "load": {"worst_by_window_ms": worst, "began_ms": 0.0},
        "doings": [("scrape", 1.0, 2.0), *(("reload", begin, end) for begin, end in reloads)],
    }


def test_a_reload_is_held_to_the_stretch_before_it() -> None:
    """Both are equally long, seconds in which it may still be felt included; what is slow in both adds nothing."""
    worst = [5.0] * 30
    assert worst_of_windows(part(worst, (12_000.0, 14_000.0))) == [(5.0, 5.0)]
    worst[17] = 40.0
    assert worst_of_windows(part(worst, (12_000.0, 14_000.0))) == [(40.0, 5.0)]
    worst[6] = 38.0
    assert added_ms(worst_of_windows(part(worst, (12_000.0, 14_000.0)))) == 2.0


def test_a_reload_without_such_a_stretch_is_not_compared() -> None:
    """One too early, one too soon after another, and one that ends after the load are left out; without any there is no figure."""
    worst = [5.0] * 40
    assert worst_of_windows(part(worst, (3_000.0, 5_000.0), (12_000.0, 14_000.0), (38_000.0, 39_500.0))) == []
    assert added_ms([]) is None
    assert len(worst_of_windows(part(worst, (3_000.0, 5_000.0), (20_000.0, 22_000.0)))) == 1


def test_one_pause_of_the_machine_says_nothing() -> None:
    """The median of the reloads is quoted: a second of the machine's in one of them, or in one of the stretches, is not theirs."""
    assert added_ms([(9.0, 8.0), (1_000.0, 8.0), (9.5, 8.0), (9.0, 900.0), (10.0, 8.0)]) == 1.5


def held(memory: list[float], files: list[float], loading: list[float]) -> dict[str, Any]:
    """Return a soak with a look each 100,000 decisions."""
    looks = [(i * 100_000.0, *one) for i, one in enumerate(zip(memory, files, loading, strict=True))]
    return {"memory": looks, "load": {"rate": 1_000.0}}


def test_neither_pages_of_files_nor_loaders_are_growth() -> None:
    """They are said, beside the growth of what the processes that stay have in memory."""
    flat = held([100.0] * 20, [float(i) for i in range(20)], [50.0 * (i > 15) for i in range(20)])
    assert slope_mb(flat) == pytest.approx(0.0, abs=1e-9)
    assert "0.5 MB at first, 18.5 MB at last" in _memory(flat)
    assert "loaders: at most 50.0 MB, in 4 of 20 looks" in _memory(flat)
    growing = held([100.0 + i / 10 for i in range(20)], [0.0] * 20, [0.0] * 20)
    assert slope_mb(growing) == pytest.approx(1.0, rel=0.02)


def test_a_loader_is_told_from_a_server() -> None:
    """What is resident of a loader is no memory of the server's; of any other process memory and pages of files are told apart."""
    memory, files, loading = resident_mb(os.getpid())
    assert memory > 5
    assert files > 1
    assert loading == 0
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", "-m", "liftgate.app.loader"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        while not (loading := resident_mb(process.pid)[2]):
            pass
        assert resident_mb(process.pid)[:2] == (0.0, 0.0)
        process.stdin.close()
    assert loading > 0
