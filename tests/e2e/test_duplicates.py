"""A client that duplicates calls, in parallel, to two workers: one decision a request_id."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1.decision_pb2 import DecideRequest, DecideResponse
from tests.faults.serving import Serving, decide_stub, logged

CALLS = 600


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_duplicates_in_parallel_to_two_servers(transport: str, tmp_path: Path) -> None:
    """Every call sent at once to two servers is one decision: the same bytes from both, one row over both logs, one cap charge."""
    with EmbeddedValkey() as valkey:
        # Budgets that a loaded test machine cannot miss: a reservation that times out is answered without memory.
        flags = ("--transport", transport, "--fetch-budget-ms", "2000", "--reserve-budget-ms", "2000")
        with Serving(valkey.url, tmp_path / "a", *flags) as one, Serving(valkey.url, tmp_path / "b", *flags) as other:
            async with grpc.aio.insecure_channel(one.target) as first, grpc.aio.insecure_channel(other.target) as second:
                calls = [decide_stub(first), decide_stub(second)]
                gate = asyncio.Semaphore(40)

                async def twice(i: int) -> tuple[DecideResponse, DecideResponse]:
                    request = DecideRequest(request_id=f"dup-{i}", person_id=f"person-{i}", placement_id="thrice")
                    # Each server is asked first half of the time, so that neither wins every race on a busy machine.
                    async with gate:
                        both = await asyncio.gather(*(call(request, timeout=30) for call in (calls if i % 2 else calls[::-1])))
                    return both[0], both[1]

                pairs = await asyncio.gather(*(twice(i) for i in range(CALLS)))
            assert one.terminate() == 0
            assert other.terminate() == 0
        assert not any(answer.degraded for pair in pairs for answer in pair)
        assert all(a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True) for a, b in pairs)
        logs = [logged(tmp_path / "a"), logged(tmp_path / "b")]
        assert not set(logs[0]) & set(logs[1])
        assert set(logs[0]) | set(logs[1]) == {f"dup-{i}" for i in range(CALLS)}
        # Neither server answered everything by itself: the race was one.
        assert min(len(log) for log in logs) > CALLS // 20
