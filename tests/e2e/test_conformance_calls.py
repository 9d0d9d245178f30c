"""Both transports: deadlines, cancellation, neighbours and concurrency."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import grpc.aio
import pytest

from liftgate.adapters.grpc_errors import EXPIRED
from liftgate.adapters.transports import Transport
from liftgate.pipeline.batching import Limits
from liftgate.v1.decision_pb2 import DecideResponse
from tests.e2e.front import DECIDE, Front, front, request


@pytest.fixture
async def served(transport: Transport, tmp_path: Path) -> AsyncIterator[Front]:
    """A server with nothing wrong."""
    async with front(transport, tmp_path) as serving:
        yield serving


async def test_a_deadline_in_flight_reaches_the_handler(served: Front) -> None:
    """A call whose time runs out while its batch waits is DEADLINE_EXCEEDED to the caller, and its handler ends."""
    await served.call(DECIDE, request("warm"))
    served.gate.shut()
    failure = await served.failure(DECIDE, request(), timeout=1.5)
    assert failure.code == "DEADLINE_EXCEEDED"
    # The client's clock may run out a moment before the server's: then the server sees it leave.
    await served.watcher.until("Decide", "DEADLINE_EXCEEDED", "CANCELLED")
    assert served.watcher.in_flight == 0


async def test_work_that_expired_in_the_queue_is_not_done(served: Front) -> None:
    """A request whose time ran out while others were served is never walked and never logged."""
    served.gate.shut()
    first = asyncio.create_task(served.call(DECIDE, request("first")))
    await served.gate.held()
    late = asyncio.create_task(served.failure(DECIDE, request("late"), timeout=1.5))
    while served.watcher.in_flight < 2 and not late.done():
        await asyncio.sleep(0.002)
    assert (await late).code == "DEADLINE_EXCEEDED"
    # The server's clock for it began later than the client's: it must have run out there too.
    await served.watcher.until("Decide", "DEADLINE_EXCEEDED", "CANCELLED")
    served.gate.open()
    await first
    await served.call(DECIDE, request("next"))
    assert served.gate.people == [["first"], ["next"]]


async def test_what_expires_before_the_handler_runs_costs_nothing(served: Front) -> None:
    """A call that arrives while the loop is busy past its deadline is not decided."""
    await served.call(DECIDE, request("warm"))
    connected: Future[None] = Future()
    still = threading.Event()

    def ask() -> str:
        # A thread of its own: this loop is about to stand still.
        with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
            connected.set_result(None)
            still.wait(timeout=20)
            try:
                channel.unary_unary(DECIDE)(request("late").SerializeToString(), timeout=0.1)
            except grpc.RpcError as error:
                return str(error.code().name)
        return "OK"

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        while not connected.done():
            await asyncio.sleep(0.001)
        still.set()
        assert asked.result(timeout=20) == "DEADLINE_EXCEEDED"  # the loop stands still until the caller has given up
        time.sleep(1.0)  # and until the socket says so
    await served.call(DECIDE, request("next"))
    assert served.gate.people == [["warm"], ["next"]]


async def test_without_a_deadline_the_servers_own_holds(transport: Transport, tmp_path: Path) -> None:
    """A call that brings no deadline has the default: past it in the queue, it is told so and nothing is decided."""
    async with front(transport, tmp_path, default_deadline_ms=700.0) as served:
        served.gate.shut()
        first = asyncio.create_task(served.call(DECIDE, request("first"), timeout=None))
        await served.gate.held()
        late = asyncio.create_task(served.failure(DECIDE, request("late"), timeout=None))
        while served.watcher.in_flight < 2:
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.8)
        served.gate.open()
        await first
        failure = await late
        assert (failure.code, failure.message) == ("DEADLINE_EXCEEDED", EXPIRED)
        assert served.gate.people == [["first"]]


async def test_cancelling_reaches_the_handler(served: Front) -> None:
    """A client that leaves ends its handler; nothing stays in flight."""
    served.gate.shut()
    call = asyncio.create_task(served.call(DECIDE, request("leaver")))
    await served.gate.held()
    call.cancel()
    await served.watcher.until("Decide", "CANCELLED")
    assert served.watcher.in_flight == 0
    served.gate.open()
    await served.call(DECIDE, request("next"))


async def test_neighbours_of_a_cancelled_call_are_answered(served: Front) -> None:
    """Of a batch in which every other caller leaves, the others get their own answers, and the log has them."""
    served.gate.shut()
    first = asyncio.create_task(served.call(DECIDE, request("first", request_id="first")))
    await served.gate.held()
    calls = [asyncio.create_task(served.call(DECIDE, request(f"p-{i}", request_id=f"r-{i}"))) for i in range(20)]
    while served.watcher.in_flight < 21:
        await asyncio.sleep(0.002)
    # Half of the leavers leave while queued, half while their batch is under way.
    for call in calls[::4]:
        call.cancel()
    await served.watcher.until("Decide", "CANCELLED", count=5)
    served.gate.open()
    await first
    for call in calls[2::4]:
        call.cancel()
    stayed = await asyncio.gather(*calls[1::2])
    logged = {record.request_id: record.decision_id for record in served.decisions.decisions}
    assert [DecideResponse.FromString(raw).decision_id for raw in stayed] == [logged[f"r-{i}"] for i in range(1, 20, 2)]


async def test_neighbours_of_a_bad_request_are_answered(served: Front) -> None:
    """Malformed and wrong requests among good ones touch none of them."""
    bodies = [request(f"p-{i}").SerializeToString() if i % 3 else b"\xff" * i for i in range(1, 61)]
    ends = await asyncio.gather(*(served.call(DECIDE, body) for body in bodies), return_exceptions=True)
    for i, end in enumerate(ends, 1):
        if i % 3:
            assert isinstance(end, bytes)
        else:
            assert isinstance(end, grpc.aio.AioRpcError)
            assert end.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_thousand_calls_at_once(transport: Transport, tmp_path: Path) -> None:
    """All are answered, each with the decision that the log has under its request_id, once."""
    async with front(transport, tmp_path, limits=Limits(max_batch=64, max_queue=2000)) as served:
        served.gate.shut()
        calls = [asyncio.create_task(served.call(DECIDE, request(f"p-{i}", request_id=f"r-{i}"))) for i in range(1000)]
        while served.watcher.in_flight < 1000:
            await asyncio.sleep(0.002)
        served.gate.open()
        answers = await asyncio.gather(*calls)
        logged = {record.request_id: record.decision_id for record in served.decisions.decisions}
        assert len(served.decisions.raw) == len(logged) == 1000
        assert [DecideResponse.FromString(raw).decision_id for raw in answers] == [logged[f"r-{i}"] for i in range(1000)]
        # Whatever arrived while the first batch ran shares batches of 64.
        assert len(served.gate.people) <= 2 + 1000 // 64
        assert served.watcher.calls == {("Decide", "OK"): 1000}


async def test_many_connections(served: Front) -> None:
    """Fifty connections are served side by side."""

    async def one(i: int) -> bytes:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            return bytes(await channel.unary_unary(DECIDE)(request(f"p-{i}").SerializeToString(), timeout=20))

    assert len(set(await asyncio.gather(*(one(i) for i in range(50))))) == 50
