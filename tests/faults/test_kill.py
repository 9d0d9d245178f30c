"""Promise 1: kill -9 in mid-load loses no acknowledged decision. The control arm, level async, loses some."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from tests.faults.serving import Load, Serving, load, logged

KILLS = 10


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey that outlives the servers that are killed."""
    with EmbeddedValkey() as server:
        yield server


async def _killed_under_load(server: Serving, tag: str, after_s: float) -> Load:
    stop = asyncio.Event()
    with server:
        running = asyncio.create_task(load([server.target], tag, stop))
        await asyncio.sleep(after_s)
        server.kill()
        stop.set()
        return await running


@pytest.mark.slow
async def test_no_acknowledged_decision_is_missing(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    """Ten kills under load: every acknowledged decision is in the log, with the decision_id that the caller was told."""
    acknowledged = 0
    for kill in range(KILLS):
        seen = await _killed_under_load(Serving(valkey.url, tmp_path / "log"), f"kill-{kill}", 0.6 + 0.07 * kill)
        rows = logged(tmp_path / "log")
        missing = {request_id for request_id, decision_id in seen.acknowledged.items() if rows.get(request_id) != decision_id}
        assert not missing
        acknowledged += len(seen.acknowledged)
    assert acknowledged > KILLS * 100


@pytest.mark.slow
async def test_the_control_arm_loses_some(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    """At level async the same kills lose acknowledged decisions, so the test above can see a loss."""
    lost = 0
    for kill in range(3):
        server = Serving(valkey.url, tmp_path / "log", "--durability", "async")
        seen = await _killed_under_load(server, f"async-{kill}", 0.8)
        rows = logged(tmp_path / "log")
        lost += sum(request_id not in rows for request_id in seen.acknowledged)
    assert lost > 0
