"""What is in the log waits in the store no longer, whoever comes next or nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liftgate.domain.request import DecideRequest
from tests.pipeline.workbench import Bench, workbench


async def _waiting(bench: Bench, people: str) -> int:
    """Return how many records of these people wait in the store."""
    count, cursor = 0, b"0"
    while True:
        ((cursor, names),) = await bench.client.call([("SCAN", cursor, "MATCH", f"lg:{{{people}-*}}:q:*", "COUNT", 1000)])
        count += len(names)
        if cursor == b"0":
            return count


@pytest.mark.parametrize("lost", [False, True])
async def test_a_drained_worker_leaves_no_record_waiting(valkey_url: str, tmp_path: Path, lost: bool) -> None:
    """Once a worker has drained, every record that it logged is dropped; where confirmations are lost, the control, all of them wait."""
    people = f"confirmed-{lost}"
    async with workbench(valkey_url, tmp_path) as bench:
        bench.faults.on = {"confirms_lost"} if lost else set()
        for turn in range(3):
            asked = [DecideRequest(f"{people}-{turn}-{i}", f"{people}-{i}", "two") for i in range(5)]
            await asyncio.gather(*[bench.batcher.submit(one, bench.live) for one in asked])
        await bench.batcher.drain()
        assert await _waiting(bench, people) == (15 if lost else 0)
