"""Figures of a run, against ones that were worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from liftgate.load import hdr, result
from liftgate.load.plot import heat_map
from liftgate.load.schedule import Step, plan
from liftgate.load.tally import Tally
from tests.load.conftest import OFFER

MS = 1_000_000


def tallied(pairs: list[tuple[int, int]]) -> Tally:
    """Return good replies of (start, latency), both in ns."""
    tally, framed = Tally(), b"\0" + len(OFFER).to_bytes(4, "big") + OFFER
    for start, latency in pairs:
        tally.reply("", framed, start, start, start + latency)
    return tally


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    """Of 1 to 1000 ms the percentiles are values that occurred, and the largest is the largest."""
    found = result.percentiles_ms(np.arange(1000, 0, -1, dtype=np.int64) * MS)
    assert found == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0, "mean": 500.5}
    assert result.percentiles_ms(np.array([7 * MS])) == dict.fromkeys(found, 7.0)
    assert result.percentiles_ms(np.empty(0, np.int64)) == {}


def test_steps_are_told_apart_and_one_that_fell_behind_is_named() -> None:
    """A request belongs to the step that it was due in; a step keeps up when its replies come within it."""
    schedule = plan([Step(100, 1.0), Step(100, 1.0)], "constant")
    due = schedule.due_ns.tolist()
    tally = tallied([(at, 2 * MS) for at in due[:100]] + [(at, 900 * MS) for at in due[100:]])
    first, second = result.steps(tally, schedule, 0, 200, int(schedule.ends_ns[-1]))
    assert (first["sent"], first["ok"], first["per_s"], first["kept_up"]) == (100, 100, 100.0, True)
    assert (second["sent"], second["ok"], second["kept_up"]) == (100, 100, False)
    assert (first["latency_ms"]["max"], second["latency_ms"]["p50"]) == (2.0, 900.0)


def test_of_few_requests_one_may_be_under_way_at_the_end_of_a_step() -> None:
    """A reply that comes just after a step of twenty requests does not mean that the server fell behind; two do."""
    schedule = plan([Step(20, 1.0)], "constant")
    due = schedule.due_ns.tolist()
    for late, kept_up in ((1, True), (2, False)):
        tally = tallied([(at, 2 * MS) for at in due[:-late]] + [(at, 200 * MS) for at in due[-late:]])
        assert [row["kept_up"] for row in result.steps(tally, schedule, 0, 20, int(schedule.ends_ns[-1]))] == [kept_up]


def test_replies_within_the_deadline_are_counted_from_when_they_were_due() -> None:
    """Those at the deadline are within it, those above are not."""
    found = result.answers(tallied([(0, 49 * MS), (0, 50 * MS), (0, 51 * MS)]), 50.0, 4)
    assert (found["within_deadline"], found["sent"], found["ok"]) == (2, 4, 3)
    assert found["reasons"] == {"OFFERED": 3}


def test_causes_of_failure_stay_few() -> None:
    """Messages that differ from call to call do not fill memory: causes beyond a hundred are counted together, none is lost."""
    tally = Tally()
    for number in range(5000):
        tally.reply(f"grpc-status 13: request {number}", b"", 0, 0, 0)
    assert sum(tally.failed.values()) == 5000
    assert len(tally.failed) == 101
    assert tally.failed["grpc-status 13: and others"] == 4900


def test_the_distribution_is_one_that_plotters_read() -> None:
    """Lines are value, percentile, count, 1/(1-percentile); they rise, agree with the values, and end with all of them."""
    latency = np.sort((np.random.default_rng(1).lognormal(1, 1, 20_000) * MS).astype(np.int64))
    lines = hdr.distribution(latency).splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [[float(part) for part in line.split()] for line in lines if re.match(r" +\d", line)]
    assert len(rows) > 60
    for value, share, count, *tail in rows:
        # Three significant digits are what HdrHistogram promises, and a microsecond is what it prints.
        assert value * MS == pytest.approx(latency[int(count) - 1], rel=1e-3, abs=600)
        assert count >= share * len(latency) - 1e-6
        assert tail == [] if share == 1 else tail[0] == pytest.approx(1 / (1 - share), rel=1e-2, abs=0.01)
    assert rows == sorted(rows, key=lambda row: row[:3])
    assert rows[-1][1:] == [1.0, 20_000]
    assert re.fullmatch(r"#\[Mean    = +[\d.]+, StdDeviation   = +[\d.]+\]", lines[-3])
    assert re.fullmatch(r"#\[Max     = +[\d.]+, Total count    = +20000\]", lines[-2])
    assert re.fullmatch(r"#\[Buckets = +\d+, SubBuckets     = +2048\]", lines[-1])
    with pytest.raises(ValueError, match="no good reply"):
        hdr.distribution(np.empty(0, np.int64))


def test_values_are_kept_to_three_digits() -> None:
    """Small values are exact; large ones are the largest that is not told apart, never more than a thousandth away."""
    values = np.array([0, 1, 2047, 2048, 2049, 4095, 4096, 123_456_789, 2**40 + 5], dtype=np.int64)
    found = hdr.bucketed(values)
    assert found[:7].tolist() == [0, 1, 2047, 2049, 2049, 4095, 4099]
    assert (found >= values).all()
    assert ((found - values) <= np.maximum(values, 1) / 1000).all()


def test_one_slow_request_among_thousands_is_seen() -> None:
    """The plot has a mark at the top for a single request, in its column, and none beside it."""
    start = np.arange(10_000, dtype=np.int64) * MS
    latency = np.full(10_000, 2 * MS)
    latency[5000] = 300 * MS
    lines = heat_map(start, latency, width=40, height=10, plain=True)
    assert lines[0].split("|")[1].strip(" ") != ""
    assert lines[0].split("|")[1].index(lines[0].split("|")[1].strip()) == 20
    assert all(not line.split("|")[1].strip() for line in lines[1:9])
    assert lines[9].split("|")[1].count("#") == 40
    assert heat_map(start[:0], latency[:0], 40) == []
