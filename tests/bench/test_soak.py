"""What a soak says of reloads: each is held to a stretch of its own run without one."""

from __future__ import annotations

from typing import Any

from tests.bench.soak_report import added_ms, worst_of_windows


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
