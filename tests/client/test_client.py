"""The clients, of both kinds: deadlines, retries, defaults, refusals, and plain values out."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import grpc
import pytest

from liftgate.client import (
    AsyncClient,
    Client,
    Event,
    Offer,
    Request,
    RequestRefused,
    RetryPolicy,
    ServiceUnavailable,
    Violation,
)
from liftgate.v1.decision_pb2 import DecideResponse
from liftgate.v1.decision_service_pb2 import DecideBatchResponse
from liftgate.v1.event_service_pb2 import RecordResponse
from tests.client.scripted import OK, Fail, Hang, Script, scripted
from tests.ports import free_port

UNAVAILABLE, CANCELLED, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED
PATIENT_MS = 20_000.0


class _Threaded:
    """A Client behind the face of an AsyncClient, so that one suite holds both."""

    def __init__(self, target: str, **options: Any) -> None:
        self._client = Client(target, **options)

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(getattr(self._client, name), *arguments, **options)

        return call

    async def __aenter__(self) -> _Threaded:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.close()


@pytest.fixture(params=[AsyncClient, _Threaded], ids=["async", "sync"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Each kind of client in turn."""
    return request.param


async def _decide(kind: Any, script: Script, **options: Any) -> Any:
    async with kind(script.target, **({"timeout_ms": PATIENT_MS} | options)) as client:
        return await client.decide("person-1", "home.hero")


async def test_an_answer_becomes_plain_values(kind: Any) -> None:
    """Every field of the answer is there without any knowledge of protobuf."""
    answer = DecideResponse()
    answer.CopyFrom(OK)
    slot = answer.slots[0]
    slot.payload_json, slot.propensity, slot.value, slot.selection_probability = '{"title":"Gift"}', 0.25, 4.0, 0.9
    answer.degraded = True
    answer.explanation.summary = "Because."
    answer.explanation.masked_paths.append("profile.*")
    answer.explanation.candidates.add(offer_id="news", reason=40, text="Enough.", rule="offers.yaml:3")
    async with scripted(answer) as script:
        decision = await _decide(kind, script)
    assert (decision.decision_id, decision.arm, decision.branch, decision.reason) == ("ab" * 16, "TREATMENT", "EXPLOIT", "OFFERED")
    assert (decision.bundle_digest, decision.valid_until_ms, decision.degraded, decision.from_service) == ("d" * 64, 7, True, True)
    assert decision.offer == Offer("gift", '{"title":"Gift"}', 0.25, 4.0, 0.9, False)
    assert decision.offer.payload == {"title": "Gift"}
    assert (decision.explanation.summary, decision.explanation.masked_paths) == ("Because.", ("profile.*",))
    (candidate,) = decision.explanation.candidates
    assert (candidate.reason, candidate.text, candidate.rule, candidate.propensity) == ("FREQUENCY_CAP", "Enough.", "offers.yaml:3", None)


async def test_what_is_said_is_sent(kind: Any) -> None:
    """Every argument arrives in its field, attributes with their types, metadata with the trace."""
    async with scripted(OK) as script, kind(script.target, timeout_ms=PATIENT_MS) as client:
        await client.decide(
            "person-1",
            "home.hero",
            slot_count=2,
            channel="web",
            device="mobile",
            locale="de",
            time_zone="UTC",
            attributes={"text": "t", "whole": 3, "number": 0.5, "flag": True},
            global_privacy_control=True,
            candidates=["gift"],
            explain=True,
            dry_run=True,
            request_id="mine",
            traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        )
    (sent,) = script.requests()
    assert (sent.request_id, sent.person_id, sent.placement_id, sent.slot_count) == ("mine", "person-1", "home.hero", 2)
    context = sent.context
    assert (context.channel, context.device, context.locale, context.time_zone) == ("web", "mobile", "de", "UTC")
    kinds = {name: value.WhichOneof("kind") for name, value in context.attributes.items()}
    assert kinds == {"text": "string_value", "whole": "int_value", "number": "double_value", "flag": "bool_value"}
    assert (sent.consent_signals.global_privacy_control, list(sent.candidates.offer_ids), sent.explain, sent.dry_run) == (
        True,
        ["gift"],
        True,
        True,
    )
    assert script.metadata[0]["traceparent"].startswith("00-")


async def test_a_deadline_is_always_set_and_request_ids_are_fresh(kind: Any) -> None:
    """Calls carry the client's deadline, or their own, and each has its own id."""
    async with scripted(OK) as script, kind(script.target, timeout_ms=PATIENT_MS) as client:
        await client.decide("p", "x")
        await client.decide("p", "x", timeout_ms=PATIENT_MS / 2)
    first, second = script.requests()
    assert len(first.request_id) == 32
    assert first.request_id != second.request_id
    # Deadlines are rounded up on the wire.
    assert [0 < remaining <= limit + 0.1 for remaining, limit in zip(script.remaining_s, (20.0, 10.0), strict=True)] == [True, True]


@pytest.mark.parametrize("code", [UNAVAILABLE, CANCELLED])
async def test_what_is_safe_is_tried_again_with_the_same_id(kind: Any, code: grpc.StatusCode) -> None:
    """Two failures and an answer: three calls, one request_id, one byte-identical body."""
    async with scripted(Fail(code), Fail(code), OK) as script:
        decision = await _decide(kind, script)
    assert decision.from_service
    assert len(script.seen) == 3
    assert len(set(script.seen)) == 1


async def test_without_retries_the_same_failure_shows(kind: Any) -> None:
    """The control: with one attempt, a single UNAVAILABLE is a default."""
    async with scripted(Fail(UNAVAILABLE), OK) as script:
        assert not (await _decide(kind, script, retry=RetryPolicy(attempts=1))).from_service
        assert len(script.seen) == 1


async def test_attempts_are_limited(kind: Any) -> None:
    """After three calls the default is answered, and it says so."""
    async with scripted(Fail(UNAVAILABLE)) as script:
        decision = await _decide(kind, script, default_offer="welcome")
    assert len(script.seen) == 3
    assert (decision.from_service, decision.status, decision.reason, decision.decision_id) == (
        False,
        "UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
        "",
    )
    assert decision.offer == Offer("welcome", is_default=True)


async def test_an_overloaded_service_is_obeyed(kind: Any) -> None:
    """RESOURCE_EXHAUSTED is tried again after what RetryInfo says, and not without it."""
    async with scripted(Fail(EXHAUSTED, retry_ms=30), OK) as script:
        assert (await _decide(kind, script)).from_service
        assert len(script.seen) == 2
    async with scripted(Fail(EXHAUSTED), OK) as script:
        assert not (await _decide(kind, script)).from_service
        assert len(script.seen) == 1


async def test_a_pause_beyond_the_deadline_is_not_begun(kind: Any) -> None:
    """When RetryInfo asks for more than is left, the default comes at once."""
    async with scripted(Fail(EXHAUSTED, retry_ms=60_000), OK) as script:
        assert not (await _decide(kind, script)).from_service
        assert len(script.seen) == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_other_failures_are_not_tried_again(kind: Any, code: grpc.StatusCode) -> None:
    """A failure that may repeat itself gives the default after one call."""
    async with scripted(Fail(code)) as script:
        decision = await _decide(kind, script)
    assert (decision.from_service, decision.status, len(script.seen), decision.offers) == (False, code.name, 1, ())


async def test_a_service_that_hangs_costs_the_deadline_and_no_more(kind: Any) -> None:
    """The call ends with its deadline and the default is answered."""
    async with scripted(Hang()) as script:
        decision = await _decide(kind, script, timeout_ms=100.0, default_offer="welcome")
    assert (decision.status, decision.offer) == ("DEADLINE_EXCEEDED", Offer("welcome", is_default=True))


async def test_a_service_that_is_not_there_gives_the_default(kind: Any) -> None:
    """Nothing listens: the default of the placement is answered."""
    async with kind("127.0.0.1:1", default_offer={"home.hero": Offer("hello", '{"a":1}', is_default=True)}) as client:
        known, unknown = [await client.decide("p", place) for place in ("home.hero", "elsewhere")]
    assert (known.offer.offer_id, known.offer.payload, known.from_service) == ("hello", {"a": 1}, False)
    async with kind("127.0.0.1:1", default_offer="welcome") as client:
        assert (await client.decide("p", "home.hero")).offer.payload == {}, "a page reads a payload without looking first"
    assert unknown.offers == ()


async def test_a_service_that_comes_back_is_found_within_the_deadline(kind: Any) -> None:
    """A client whose first calls found nobody is answered soon after the service is there."""
    port = free_port()
    async with kind(f"127.0.0.1:{port}", timeout_ms=300.0) as client:
        assert not (await client.decide("p", "x")).from_service
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(Script([OK]).handle)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("liftgate.v1.DecisionService", {"Decide": handler}),))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        async with asyncio.timeout(15):
            while not (await client.decide("p", "x")).from_service:
                await asyncio.sleep(0.01)
        await server.stop(0)


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNIMPLEMENTED])
async def test_a_wrong_request_is_raised_and_not_tried_again(kind: Any, code: grpc.StatusCode) -> None:
    """The caller's mistake is an exception with every violation, never a default."""
    async with scripted(Fail(code, violations=(("person_id", "wants more"), ("slot_count", "wants less")))) as script:
        with pytest.raises(RequestRefused) as caught:
            await _decide(kind, script, default_offer="welcome")
    assert (caught.value.status, len(script.seen)) == (code.name, 1)
    assert caught.value.violations == (Violation("person_id", "wants more"), Violation("slot_count", "wants less"))


async def test_a_batch(kind: Any) -> None:
    """Answers come in order; when the service is away, one default each."""
    requests = [Request(f"p-{i}", "home.hero") for i in range(3)]
    answers = [DecideResponse(decision_id=f"{i:032x}") for i in range(3)]
    async with (
        scripted(Fail(UNAVAILABLE), DecideBatchResponse(responses=answers)) as script,
        kind(script.target, timeout_ms=PATIENT_MS) as c,
    ):
        decisions = await c.decide_batch(requests)
    assert [decision.decision_id for decision in decisions] == [f"{i:032x}" for i in range(3)]
    assert [decision.request_id for decision in decisions] == [request.request_id for request in requests]
    async with kind("127.0.0.1:1", default_offer="welcome") as client:
        assert [one.offer.offer_id for one in await client.decide_batch(requests)] == ["welcome"] * 3


async def test_events(kind: Any) -> None:
    """Events are retried with the same ids, rejections are returned, and no answer is an exception, never silence."""
    answer = RecordResponse(accepted=2, duplicates=1)
    answer.rejections.add(index=2, field="kind", description="wants another")
    events = [
        Event("purchase", "p", decision_id="ab" * 16, offer_id="gift", occurred_at_ms=5, value=2.5, currency="EUR", event_id="e-1"),
        Event("exposure", "p"),
        Event("click", "p"),
    ]
    async with scripted(Fail(UNAVAILABLE), answer, Fail(UNAVAILABLE)) as script, kind(script.target, timeout_ms=PATIENT_MS) as client:
        recorded = await client.record(events)
        assert script.seen[0] == script.seen[1]
        with pytest.raises(ServiceUnavailable) as caught:
            await client.record(events)
    assert (recorded.accepted, recorded.duplicates, recorded.rejections[0].field) == (2, 1, "kind")
    sent = script.events()[0].events
    assert (sent[0].event_id, sent[0].value, sent[0].currency, sent[0].occurred_at_ms) == ("e-1", 2.5, "EUR", 5)
    assert [one.kind for one in sent] == [3, 1, 2]
    assert sent[1].event_id != sent[2].event_id != ""
    assert not sent[1].HasField("value")
    assert caught.value.status == "UNAVAILABLE"


async def test_values_without_a_place_are_refused_before_sending(kind: Any) -> None:
    """An attribute that is a list, or an unknown kind of event, never leaves the process."""
    async with kind("127.0.0.1:1") as client:
        with pytest.raises(TypeError, match="list"):
            await client.decide("p", "x", attributes={"a": []})
        with pytest.raises(ValueError, match="exposure, click, purchase"):
            await client.record([Event("yawn", "p")])  # type: ignore[arg-type]


async def test_values_of_a_newer_service_are_not_fatal(kind: Any) -> None:
    """A reason that this client does not know stays its number."""
    newer = DecideResponse()
    newer.MergeFromString(OK.SerializeToString() + b"\x28\x7f")
    async with scripted(newer) as script:
        assert (await _decide(kind, script)).reason == "127"


def test_both_clients_have_the_same_face() -> None:
    """Client and AsyncClient take the same arguments and mean the same defaults."""
    for name in ("__init__", "decide", "decide_batch", "record", "close"):
        assert inspect.signature(getattr(AsyncClient, name)) == inspect.signature(getattr(Client, name))
