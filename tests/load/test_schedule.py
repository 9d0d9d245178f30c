"""Schedules are fixed in advance and are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.load import arguments
from liftgate.load.schedule import Step, plan, ramp


def test_poisson_arrivals_have_exponential_gaps() -> None:
    """Mean and spread of the gaps are both one over the rate, windows vary like their mean, and a seed gives the same again."""
    schedule = plan([Step(5000, 20.0)], "poisson", seed=3)
    gaps = np.diff(schedule.due_ns) / 1e9
    assert gaps.min() >= 0
    assert gaps.mean() * 5000 == pytest.approx(1, abs=0.02)
    assert gaps.std() * 5000 == pytest.approx(1, abs=0.02)
    counts = np.bincount((schedule.due_ns // 10_000_000).astype(np.int64))
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.15)
    assert np.array_equal(plan([Step(5000, 20.0)], "poisson", seed=3).due_ns, schedule.due_ns)
    assert not np.array_equal(plan([Step(5000, 20.0)], "poisson", seed=4).due_ns[:100], schedule.due_ns[:100])


def test_constant_arrivals_are_equally_far_apart() -> None:
    """So many a second, at equal gaps, over every step."""
    schedule = plan([Step(100, 1.0), Step(200, 0.5)], "constant")
    assert np.diff(schedule.due_ns[:100]).tolist() == [10_000_000] * 99
    assert np.diff(schedule.due_ns[100:]).tolist() == [5_000_000] * 99
    assert schedule.ends_ns.tolist() == [1_000_000_000, 1_500_000_000]


def rates(first: float, last: float, step: float) -> list[float]:
    """Return the rates of a ramp."""
    return [one.rate for one in ramp(first, last, step, 1.0)]


def test_ramps_go_from_one_rate_to_the_other() -> None:
    """Both ends are included, up and down, also where the step does not fit; ten steps where none is given."""
    assert rates(1000, 3000, 1000) == [1000, 2000, 3000]
    assert rates(3000, 1000, 1000) == [3000, 2000, 1000]
    assert rates(1000, 2500, 1000) == [1000, 2000, 2500]
    assert rates(500, 500, 100) == [500]
    assert len(arguments.schedule(None, "100:1000", 1.0, "constant", 0).steps) == 10


@pytest.mark.parametrize("text", ["", "1000", "0:100", "1:2:3:4", "a:b", "-1:5"])
def test_a_ramp_that_is_none_is_refused(text: str) -> None:
    """The message says what is wanted."""
    with pytest.raises(ValueError, match="--ramp: wants FROM:TO"):
        arguments.schedule(None, text, 1.0, "constant", 0)


def test_what_does_not_fit_one_run_is_refused() -> None:
    """Too many requests are refused before memory is gone, and so are none."""
    with pytest.raises(ValueError, match="more than one run holds"):
        plan([Step(1e6, 3600.0)])
    with pytest.raises(ValueError, match="no request is due"):
        plan([Step(0.1, 1.0)], "constant")


def test_durations_are_read_as_written() -> None:
    """Milliseconds, seconds, minutes, hours; a bare number is seconds; anything else is refused."""
    assert [arguments.duration_s(text, "") for text in ("500ms", "30s", "2m", "1h", "1.5")] == [0.5, 30, 120, 3600, 1.5]
    for text in ("", "0s", "fast", "-1s", "1d"):
        with pytest.raises(ValueError, match="--duration: wants a duration"):
            arguments.duration_s(text, "--duration")


def test_another_machine_is_loaded_on_demand_only() -> None:
    """Loopback by any of its names is fine; other hosts, also ones that begin alike, need the flag; a URL says that TLS is not spoken."""
    for target in ("127.0.0.1:1", "localhost:1", "[::1]:1", "127.8.8.8:65535"):
        assert arguments.address(target, any_host=False)
    for target in ("10.0.0.1:80", "127.0.0.1.example.com:80", "localhost.example.com:80", "shop:80", "0x7f.1:80"):
        with pytest.raises(ValueError, match="--yes-this-is-my-server"):
            arguments.address(target, any_host=False)
        assert arguments.address(target, any_host=True)[1] == 80
    for target in ("127.0.0.1", "127.0.0.1:0", ":80", "127.0.0.1:http", "127.0.0.1:70000"):
        with pytest.raises(ValueError, match="wants HOST:PORT"):
            arguments.address(target, any_host=False)
    with pytest.raises(ValueError, match="no TLS"):
        arguments.address("https://127.0.0.1:1", any_host=False)
