"""The circuit breaker, on a clock of the test's own."""

from __future__ import annotations

import pytest

from liftgate.adapters.breaker import Breaker


class Hands:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Hands) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(clock=clock)
    for _ in range(5):
        assert breaker.admit()
        breaker.failed()
    return breaker


def test_five_failures_in_a_row_open_it() -> None:
    """Four failures and a success leave it closed, five without one open it."""
    clock = Hands()
    breaker = Breaker(clock=clock)
    for _ in range(10):
        for _ in range(4):
            breaker.failed()
        breaker.succeeded()
    assert breaker.admit()
    assert not breaker.is_open
    breaker = opened(clock)
    assert breaker.is_open
    assert not breaker.admit()


def test_one_probe_every_250_ms() -> None:
    """While open exactly one call is admitted in each 250 ms, however many ask."""
    clock = Hands()
    breaker = opened(clock)
    admitted = []
    for millisecond in range(1, 1001):
        clock.now = 100.0 + millisecond / 1000
        for _ in range(3):
            if breaker.admit():
                admitted.append(millisecond)
                breaker.failed()
    assert admitted == [250, 500, 750, 1000]


def test_a_success_closes_it() -> None:
    """The probe's success lets every call through, and it takes five new failures to open it again."""
    clock = Hands()
    breaker = opened(clock)
    clock.now += 0.25
    assert breaker.admit()
    breaker.succeeded()
    for _ in range(4):
        assert breaker.admit()
        breaker.failed()
    assert breaker.admit()
    breaker.failed()
    assert not breaker.admit()


def test_late_failures_do_not_put_off_the_probe() -> None:
    """Calls that were out when it opened fail one after the other; the next probe is due when it was."""
    clock = Hands()
    breaker = opened(clock)
    for _ in range(20):
        clock.now += 0.0125
        breaker.failed()
    assert breaker.admit()


@pytest.mark.parametrize(("failures", "probe_every_s"), [(0, 0.25), (5, 0.0), (5, -1.0)])
def test_senseless_settings_are_refused(failures: int, probe_every_s: float) -> None:
    """A breaker that could never be closed, or probes all the time, cannot be made."""
    with pytest.raises(ValueError, match="breaker"):
        Breaker(failures, probe_every_s)
