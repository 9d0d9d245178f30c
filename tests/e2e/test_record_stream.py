"""RecordStream on both transports: any number of batches, one answer, everything in the log by then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import grpc
import grpc.aio
import pytest

from liftgate.client import AsyncClient, Client, RequestRefused
from liftgate.client import Event as Told
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordStreamRequest, RecordStreamResponse
from tests.e2e.front import PATIENCE_S, Failure, Front, front

STREAM = "/liftgate.v1.EventService/RecordStream"


@pytest.fixture
async def served(transport: Literal["native", "grpcio"], tmp_path: Path) -> AsyncIterator[Front]:
    """A serving server."""
    async with front(transport, tmp_path) as serving:
        yield serving


def batch(first: int, count: int = 3, **fields: Any) -> bytes:
    """Return one message of so many clicks."""
    ordinary: dict[str, Any] = {"kind": EventKind.EVENT_KIND_CLICK, "person_id": "person-1"}
    return RecordStreamRequest(
        events=[Event(event_id=f"e-{i}", **(ordinary | fields)) for i in range(first, first + count)]
    ).SerializeToString()


async def test_a_stream_is_answered_once_for_all_of_it(served: Front) -> None:
    """Counts are sums, positions count from the first event, and every accepted event is in the log when the answer comes."""
    wrong, worthless = batch(10, 2, kind=EventKind.EVENT_KIND_UNSPECIFIED), batch(30, 1, kind=EventKind.EVENT_KIND_REFUND)
    bodies = [batch(0), batch(2), wrong, batch(20), worthless]
    answer = RecordStreamResponse.FromString(await served.channel.stream_unary(STREAM)(iter(bodies), timeout=PATIENCE_S))
    assert (answer.accepted, answer.duplicates, answer.rejected) == (9, 1, 3)
    assert [(one.index, one.field) for one in answer.rejections] == [(6, "kind"), (7, "kind"), (11, "value")]
    assert len(served.events.raw) == 8


async def test_a_batch_is_logged_while_the_stream_is_open(served: Front) -> None:
    """What was sent does not wait for the stream's end."""
    call = served.channel.stream_unary(STREAM)(timeout=PATIENCE_S)
    await call.write(batch(0))
    async with asyncio.timeout(PATIENCE_S):
        while len(served.events.raw) < 3:
            await asyncio.sleep(0.005)
    await call.write(batch(3))
    await call.done_writing()
    assert RecordStreamResponse.FromString(await call).accepted == 6


async def test_a_stream_that_breaks_is_sent_again_whole(served: Front) -> None:
    """A cancelled stream may have stored a part; all of it again gives each event one row, and nothing of the server is the worse."""
    call = served.channel.stream_unary(STREAM)(timeout=PATIENCE_S)
    await call.write(batch(0))
    async with asyncio.timeout(PATIENCE_S):
        while not served.events.raw:
            await asyncio.sleep(0.005)
    call.cancel()
    answer = RecordStreamResponse.FromString(await served.channel.stream_unary(STREAM)(iter([batch(0), batch(3)]), timeout=PATIENCE_S))
    assert (answer.accepted, answer.duplicates) == (6, 3)
    assert len(served.events.raw) == 6


@pytest.mark.parametrize(("bodies", "path"), [([b"\xff"], ""), ([batch(0), b""], "events (message 1 of the stream)")])
async def test_a_message_that_is_none_refuses_the_stream(served: Front, bodies: list[bytes], path: str) -> None:
    """The message is named; what came before it is in the log."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.channel.stream_unary(STREAM)(iter(bodies), timeout=PATIENCE_S)
    failure = Failure.of(caught.value)
    assert failure.code == "INVALID_ARGUMENT"
    assert failure.paths == [path] or not path
    assert len(served.events.raw) == (3 if path else 0)


async def test_an_empty_stream_is_an_answer_of_nothing(served: Front) -> None:
    """Nothing sent is nothing taken."""
    answer = RecordStreamResponse.FromString(await served.channel.stream_unary(STREAM)(iter([]), timeout=PATIENCE_S))
    assert answer == RecordStreamResponse()


async def test_the_client_streams_any_number_of_events(served: Front) -> None:
    """The client cuts a long list into messages; the answer is one."""
    async with AsyncClient(f"127.0.0.1:{served.port}", timeout_ms=20_000) as client:
        told = [Told("click", f"person-{i % 7}", event_id=f"e-{i}") for i in range(1200)]
        found = await client.record_stream(iter([*told, Told("refund", "person-1", event_id="r")]), timeout_ms=20_000)
        assert (found.accepted, found.duplicates, found.rejected) == (1200, 0, 1)
        assert [(one.index, one.field) for one in found.rejections] == [(1200, "value")]
        with pytest.raises(RequestRefused):
            await client.record([])
    assert len(served.events.raw) == 1200


def lines() -> Iterator[Told]:
    """Events from a file that breaks off."""
    for i in range(700):
        yield Told("click", "person-1", event_id=f"e-{i}")
    raise OSError("the file broke")


async def test_what_the_events_raise_is_raised(served: Front) -> None:
    """Events that cannot be read are no fault of the service, and no cancellation: both clients raise what was raised."""
    async with AsyncClient(f"127.0.0.1:{served.port}", timeout_ms=20_000) as client:
        with pytest.raises(OSError, match="the file broke"):
            await client.record_stream(lines(), timeout_ms=20_000)

    def blocking() -> None:
        with Client(f"127.0.0.1:{served.port}", timeout_ms=20_000) as client, pytest.raises(OSError, match="the file broke"):
            client.record_stream(lines(), timeout_ms=20_000)

    await asyncio.to_thread(blocking)
