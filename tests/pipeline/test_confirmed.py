"""What is in the log waits in the store no longer, whoever comes next or nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_script import run_script
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.ports import ClaimStatus
from tests.pipeline.workbench import Bench, workbench


async def _waiting(bench: Bench, asked: list[DecideRequest]) -> int:
    """Return how many of these decisions count as waiting for a log in the store."""
    keys = [redis_keys.request(one.person_id, one.request_id) for one in asked]
    ((*found,),) = await run_script("look.lua", [(keys, [one.fingerprint for one in asked])], bench.client, Breaker(), 1.0)
    assert 0 not in found, "every answer is remembered"
    return [status for status, *_ in found].count(ClaimStatus.DUPLICATE_PENDING)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_drained_worker_leaves_no_record_waiting(valkey_url: str, tmp_path: Path, lost: bool) -> None:
    """Once a worker has drained, every record that it logged is dropped; where confirmations are lost, the control, all of them wait."""
    people = f"confirmed-{lost}"
    async with workbench(valkey_url, tmp_path) as bench:
        bench.faults.on = {"confirms_lost"} if lost else set()
        everyone = []
        for turn in range(3):
            asked = [DecideRequest(f"{people}-{turn}-{i}", f"{people}-{i}", "two") for i in range(5)]
            await asyncio.gather(*[bench.batcher.submit(one, bench.live) for one in asked])
            everyone += asked
        await bench.batcher.drain()
        assert await _waiting(bench, everyone) == (15 if lost else 0)
