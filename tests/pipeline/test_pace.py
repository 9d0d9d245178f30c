"""A request that would be answered too late is refused while others wait, and only then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liftgate.domain.errors import Expired, Overloaded
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Limits
from liftgate.pipeline.pace import Pace
from tests.pipeline.workbench import workbench


def _taught(each_s: float, batches: int = 60, requests: int = 26) -> Pace:
    """A pace of so many seconds a request, learnt from batches of 26: with what a batch costs, fifty requests' worth each."""
    pace = Pace(10)
    for i in range(batches):
        pace.began(float(i), requests)
        pace.ended(i + each_s * (requests + 24), requests)
    return pace


def test_everyone_ahead_counts_and_each_batch() -> None:
    """Who is behind 25 others with batches of 10 is the 26th, and the third batch costs as 72 more: it is to take half of what is left."""
    pace = _taught(0.001)
    assert pace.in_time(25, 1_000.0, 1_000.0 + 2 * 0.0981)
    assert not pace.in_time(25, 1_000.0, 1_000.0 + 2 * 0.0979)
    assert pace.in_time(9, 1_000.0, 1_000.0 + 2 * 0.0341)


def test_batches_under_way_count_less_the_longer_they_run() -> None:
    """A batch of ten that has just begun is 34 ms more to wait for; 20 ms later it is 14, and long after it is nothing."""
    pace = _taught(0.001)
    pace.began(1_000.0, 10)
    for passed, ahead in ((0.0, 0.034), (0.02, 0.014), (5.0, 0.0)):
        now = 1_000.0 + passed
        assert pace.in_time(9, now, now + 2 * (0.034 + ahead + 0.0001))
        assert not pace.in_time(9, now, now + 2 * (0.034 + ahead - 0.0001))


def test_small_batches_tell_what_large_ones_take() -> None:
    """After nothing but lone calls of 2.5 ms, a hundred at once are expected in some 20 ms, not in 250."""
    pace = Pace(128)
    for i in range(60):
        pace.began(float(i), 1)
        pace.ended(i + 0.0025, 1)
    assert pace.in_time(99, 1_000.0, 1_000.0 + 0.03)
    assert not pace.in_time(99, 1_000.0, 1_000.0 + 0.02)


def test_before_the_first_batch_everything_is_in_time() -> None:
    """Nothing is known, so nobody is refused for it."""
    assert Pace(10).in_time(10_000, 0.0, 0.04)


def test_a_pause_is_forgotten() -> None:
    """After one batch of five seconds, thirty quick ones bring the estimate back."""
    pace = _taught(0.1, 1)
    assert not pace.in_time(10, 1_000.0, 1_001.0)
    for i in range(30):
        pace.began(float(i), 26)
        pace.ended(i + 0.01, 26)
    assert pace.in_time(10, 1_000.0, 1_000.1)


_MOST, _FEW = 128, 32


def _decided_in_time(asked: float, deadline_s: float, slower: float, *, refuses: bool = True) -> float:
    """Return what is decided within its deadline in ten seconds of even arrivals, as a share of what full batches would decide.

    One core, on a clock of its own: a batch costs 2 ms and 0.1 ms a request, times `slower`; a second one waits behind the first.
    `asked`: arrivals, of what full batches would decide. A queue of less than 32 refuses nobody, one of 1,024 everybody.
    """

    def costs(batch: list[float]) -> float:
        return slower * (0.002 + 0.0001 * len(batch))

    pace, queue, running = Pace(_MOST), list[float](), list[list[float]]()
    most = 10.0 / costs([0.0] * _MOST) * _MOST
    now, came, ends, good = 0.0, 0.0, 0.0, 0
    while now < 10.0:
        if running and ends <= came:
            now, batch = ends, running.pop(0)
            pace.ended(now, len(batch))
            good += sum(now - one <= deadline_s for one in batch)
            ends += costs(running[0]) if running else 0.0
        else:
            now, came = came, came + 10.0 / (asked * most)
            if len(queue) < _FEW or (len(queue) < 1024 and not (refuses and not pace.in_time(len(queue), now, now + deadline_s))):
                queue.append(now)
        if queue and (not running or (len(running) == 1 and len(queue) >= _FEW)):
            running.append(queue[:_MOST])
            del queue[:_MOST]
            pace.began(now, len(running[-1]))
            if len(running) == 1:
                ends = now + costs(running[0])
    return good / most


@pytest.mark.parametrize("asked", [1.2, 1.5, 3.0])
@pytest.mark.parametrize(("deadline_s", "slower"), [(0.1, 1), (0.1, 2), (0.3, 1), (0.3, 4), (1.0, 4)])
def test_more_than_can_be_done_costs_nobody_his_turn(asked: float, deadline_s: float, slower: float) -> None:
    """However much is asked, nine tenths of what a core can decide are decided in time."""
    assert _decided_in_time(asked, deadline_s, slower) >= 0.9


def test_what_is_queued_up_to_the_limit_alone_is_late() -> None:
    """Control arm: with the length of the queue as the only bound, hardly anything is decided in time."""
    assert _decided_in_time(1.5, 0.1, 1, refuses=False) < 0.1


def test_less_than_can_be_done_is_all_taken() -> None:
    """At nine tenths of what a core can decide nobody is refused: what is missing is under way when the time is over."""
    assert _decided_in_time(0.9, 0.1, 1) >= 0.895


async def test_a_long_queue_refuses_who_would_be_late(valkey_url: str, tmp_path: Path) -> None:
    """With slow batches, requests beyond a full batch are refused at once if they have little time, and taken if they have much."""
    async with workbench(valkey_url, tmp_path, limits=Limits(max_batch=2)) as bench:
        now = asyncio.get_running_loop().time()
        pace = bench.batcher._pace
        pace.began(now - 50.0, 2)
        pace.ended(now, 2)
        short, long = now + 20.0, now + 600.0
        asked = (
            [(f"in-hand-{i}", short) for i in range(2)]
            + [(f"late-{i}", short) for i in range(3)]
            + [(f"patient-{i}", long) for i in range(3)]
        )
        tasks = [
            bench.batcher.submit(DecideRequest(name, "person-0", "two", fingerprint=b"same...."), bench.live, at) for name, at in asked
        ]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, Overloaded) for result in results] == [False] * 2 + [True] * 3 + [False] * 3
        assert not any(isinstance(result, Expired) for result in results)
