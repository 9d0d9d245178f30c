"""A request that would be answered too late is refused while the queue is long, and only then."""

from __future__ import annotations

import asyncio
from pathlib import Path

from liftgate.domain.errors import Expired, Overloaded
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Limits
from liftgate.pipeline.pace import Pace
from tests.pipeline.workbench import workbench


def _taught(took_s: float, batches: int = 60) -> Pace:
    pace = Pace(10, 0.03)
    for i in range(batches):
        pace.began(float(i))
        pace.ended(i + took_s)
    return pace


def test_time_is_counted_in_full_batches() -> None:
    """Who is behind 25 others with batches of 10 waits for the one that runs, two full ones and its own: four, and for what is spare."""
    pace = _taught(0.1)
    assert pace.in_time(25, 1_000.0, 1_000.0 + 0.44)
    assert not pace.in_time(25, 1_000.0, 1_000.0 + 0.42)
    assert pace.in_time(15, 1_000.0, 1_000.0 + 0.34)


def test_before_the_first_batch_everything_is_in_time() -> None:
    """Nothing is known, so nobody is refused for it."""
    assert Pace(10, 0.03).in_time(10_000, 0.0, 0.04)


def test_a_pause_is_forgotten() -> None:
    """After one batch of five seconds, thirty quick ones bring the estimate back."""
    pace = _taught(5.0, 1)
    assert not pace.in_time(10, 0.0, 1.0)
    for i in range(30):
        pace.began(float(i))
        pace.ended(i + 0.01)
    assert pace.in_time(10, 0.0, 0.1)


async def test_a_long_queue_refuses_who_would_be_late(valkey_url: str, tmp_path: Path) -> None:
    """With slow batches, requests beyond the next batch are refused at once if they have little time, and taken if they have much."""
    async with workbench(valkey_url, tmp_path, limits=Limits(max_batch=2)) as bench:
        now = asyncio.get_running_loop().time()
        pace = bench.batcher._pace
        pace.began(now - 50.0)
        pace.ended(now)
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
