"""Both transports: every condition of the status table gets its code and its details."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liftgate.adapters.grpc_errors import INTERNAL
from liftgate.adapters.transports import Transport
from liftgate.pipeline.batching import Limits
from liftgate.pipeline.live import Live
from liftgate.v1.decision_pb2 import CandidateList, Context, DecideResponse
from liftgate.v1.decision_service_pb2 import DecideBatchRequest, DecideBatchResponse
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse
from liftgate.v1.reason_pb2 import Reason
from tests.e2e.front import CHECK, DECIDE, DECIDE_BATCH, RECORD, Front, front, request


@pytest.fixture
async def served(transport: Transport, tmp_path: Path) -> AsyncIterator[Front]:
    """A server with nothing wrong."""
    async with front(transport, tmp_path) as serving:
        yield serving


async def test_a_decision(served: Front) -> None:
    """A good request is decided, answered and in the log under the same id."""
    answer = DecideResponse.FromString(await served.call(DECIDE, request(request_id="r-1")))
    assert answer.reason in (Reason.REASON_UNKNOWN_PERSON, Reason.REASON_OFFERED)
    assert (len(answer.slots), answer.slots[0].offer_id in {"free-shipping", "ten-percent", "gift", "news", "capped"}) == (1, True)
    (record,) = served.decisions.decisions
    assert (record.decision_id, record.request_id) == (answer.decision_id, "r-1")
    assert served.watcher.calls == {("Decide", "OK"): 1}


async def test_a_batch_is_answered_in_order(served: Front) -> None:
    """Each entry is answered as Decide would answer it, in its place."""
    sent = [request(f"person-{i}", request_id=f"r-{i}", placement_id="strip" if i % 2 else "home.hero") for i in range(20)]
    answers = DecideBatchResponse.FromString(await served.call(DECIDE_BATCH, DecideBatchRequest(requests=sent))).responses
    logged = {record.request_id: record for record in served.decisions.decisions}
    assert [logged[one.request_id].decision_id for one in sent] == [answer.decision_id for answer in answers]
    assert [logged[one.request_id].placement_id for one in sent] == [one.placement_id for one in sent]


async def test_an_event(served: Front) -> None:
    """A good event is in the event log when it is acknowledged, and counted once."""
    sent = RecordRequest(events=[Event(event_id="e", kind=EventKind.EVENT_KIND_CLICK, person_id="p")])
    first, again = [RecordResponse.FromString(await served.call(RECORD, sent)) for _ in range(2)]
    assert (first.accepted, first.duplicates, again.accepted, again.duplicates) == (1, 0, 1, 1)
    assert len(served.events.raw) == 1


@pytest.mark.parametrize("path", [DECIDE, DECIDE_BATCH, RECORD, CHECK])
@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x12\x80", b"\x0a\x02\xff\xfe", b"\x00" * 100])
async def test_malformed_bytes_are_the_callers_mistake(served: Front, path: str, raw: bytes) -> None:
    """Bytes that are no message get INVALID_ARGUMENT, never UNKNOWN or INTERNAL."""
    assert (await served.failure(path, raw)).code == "INVALID_ARGUMENT"


async def test_an_empty_message_is_told_everything_that_is_missing(served: Front) -> None:
    """An empty body is a request without a person and a placement."""
    failure = await served.failure(DECIDE, b"")
    assert (failure.code, failure.paths) == ("INVALID_ARGUMENT", ["person_id", "placement_id"])
    assert (await served.failure(DECIDE_BATCH, b"")).paths == ["requests"]
    assert (await served.failure(RECORD, b"")).paths == ["events"]
    assert served.decisions.raw == []


async def test_violations_arrive_with_their_paths(served: Front) -> None:
    """Every mistake is a field violation of google.rpc.BadRequest in the trailers."""
    wrong = request("", slot_count=9, placement_id="strip", context=Context(channel="x" * 65), candidates=CandidateList(offer_ids=["?"]))
    failure = await served.failure(DECIDE, wrong)
    assert (failure.code, failure.paths) == ("INVALID_ARGUMENT", ["person_id", "slot_count", "context.channel", "candidates.offer_ids[0]"])


async def test_a_thousand_mistakes_still_arrive_as_a_status(served: Front) -> None:
    """The details of a wholly wrong batch fit into what clients accept as trailers."""
    failure = await served.failure(DECIDE_BATCH, DecideBatchRequest(requests=[request("") for _ in range(1000)]))
    assert (failure.code, failure.paths[0]) == ("INVALID_ARGUMENT", "requests[0].person_id")


async def test_text_beyond_ascii_survives_in_a_message(served: Front) -> None:
    """A path with letters beyond ASCII is left out, not mangled into a broken trailer."""
    context = Context()
    context.attributes["größe"].double_value = float("nan")
    failure = await served.failure(DECIDE, request(context=context))
    assert (failure.code, failure.paths) == ("INVALID_ARGUMENT", ["context.attributes"])


async def test_a_request_id_with_another_body(served: Front) -> None:
    """The same body gets the same bytes, another body FAILED_PRECONDITION, and the log has one row."""
    first = await served.call(DECIDE, request(request_id="r"))
    assert await served.call(DECIDE, request(request_id="r")) == first
    failure = await served.failure(DECIDE, request(request_id="r", placement_id="strip"))
    assert (failure.code, failure.paths) == ("FAILED_PRECONDITION", ["request_id"])
    assert len(served.decisions.raw) == 1


async def test_a_request_id_for_another_person(served: Front) -> None:
    """A request_id belongs to a person: for another one it is another decision with a row of its own (decision 0035)."""
    first = await served.call(DECIDE, request(request_id="r"))
    other = await served.call(DECIDE, request(request_id="r", person_id="somebody-else"))
    assert DecideResponse.FromString(other).decision_id != DecideResponse.FromString(first).decision_id
    assert len(served.decisions.raw) == 2


async def test_an_oversized_request(served: Front) -> None:
    """More than 4 MiB is RESOURCE_EXHAUSTED, and the connection serves on."""
    assert (await served.failure(DECIDE, b"\0" * (4 * 2**20 + 1))).code == "RESOURCE_EXHAUSTED"
    await served.call(DECIDE, request())


@pytest.mark.parametrize(
    "path",
    [
        "/liftgate.v1.DecisionService/Nothing",
        "/liftgate.v1.NoService/Decide",
        "/liftgate.v1.DecisionService/Explain",
        "/liftgate.v1.ConsentService/Erase",
        "/liftgate.v1.AdminService/GetStatus",
        "/liftgate.v1.AdminService/Reload",
    ],
)
async def test_what_is_not_there_is_unimplemented(served: Front, path: str) -> None:
    """Unknown methods and services, and declared ones that are not built, answer UNIMPLEMENTED."""
    failure = await served.failure(path, b"")
    assert failure.code == "UNIMPLEMENTED"
    assert failure.message


async def test_a_full_queue_sheds(transport: Transport, tmp_path: Path) -> None:
    """One more than the queue holds is RESOURCE_EXHAUSTED with a RetryInfo; those in it are answered."""
    async with front(transport, tmp_path, limits=Limits(max_batch=1, max_queue=2, batches_in_flight=1)) as served:
        served.gate.shut()
        first = asyncio.create_task(served.call(DECIDE, request("p-0")))
        await served.gate.held()
        waiting = [asyncio.create_task(served.call(DECIDE, request(f"p-{i}"))) for i in (1, 2)]
        while served.watcher.in_flight < 3:
            await asyncio.sleep(0.002)
        failure = await served.failure(DECIDE, request("p-3"))
        assert (failure.code, failure.retry_s) == ("RESOURCE_EXHAUSTED", 0.05)
        served.gate.open()
        await asyncio.gather(first, *waiting)


async def test_a_full_disk_is_unavailable(served: Front) -> None:
    """What cannot be logged is not answered: UNAVAILABLE with a RetryInfo, for decisions and for events."""
    served.decisions.full = served.events.full = True
    event = RecordRequest(events=[Event(event_id="e", kind=EventKind.EVENT_KIND_CLICK, person_id="p")])
    for path, body in ((DECIDE, request()), (RECORD, event)):
        failure = await served.failure(path, body)
        assert (failure.code, failure.retry_s) == ("UNAVAILABLE", 0.25)
    assert served.watcher.crashes == []


async def test_a_fault_of_ours_has_a_fixed_text(transport: Transport, tmp_path: Path) -> None:
    """INTERNAL says one sentence to the caller; our own report names class and place; neither holds the error's text."""

    def broken() -> Live:
        raise RuntimeError("jane@example.com")

    async with front(transport, tmp_path, in_force=broken) as served:
        failure = await served.failure(DECIDE, request())
        assert (failure.code, failure.message, failure.details) == ("INTERNAL", INTERNAL, [])
        ((method, what),) = served.watcher.crashes
        assert (method, what.startswith("RuntimeError at test_conformance_status.py:")) == ("Decide", True)
        assert served.watcher.calls == {("Decide", "INTERNAL"): 1}


async def test_metadata_reaches_the_record(served: Front) -> None:
    """A traceparent in the metadata is in the log; one that is malformed fails nothing."""
    trace = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    more = (("x-custom", "1"), ("x-custom-bin", b"\x00\xff"))
    await served.call(DECIDE, request(request_id="r-1"), metadata=(("traceparent", trace), *more))
    await served.call(DECIDE, request(request_id="r-2"), metadata=(("traceparent", "nonsense"), *more))
    first, second = served.decisions.decisions
    assert (first.trace_id, first.span_id) == (b"\xab" * 16, b"\xcd" * 8)
    assert (second.trace_id, second.span_id) == (b"", b"")


async def test_too_much_metadata_is_refused(served: Front, transport: Transport) -> None:
    """Metadata beyond its limit is refused before any handler, and the server serves on.

    The one condition that the transports answer differently: native refuses it as HTTP 431, which clients show as UNKNOWN.
    """
    failure = await served.failure(DECIDE, request(), metadata=(("x-big", "x" * 40_000),))
    assert failure.code == {"native": "UNKNOWN", "grpcio": "RESOURCE_EXHAUSTED"}[transport]
    assert not served.watcher.calls
    await served.call(DECIDE, request())
