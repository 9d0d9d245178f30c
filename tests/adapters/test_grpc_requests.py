"""What callers send, good and bad, becomes a request or every mistake at once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.adapters.grpc_requests import RequestReader, traceparent
from liftgate.domain.errors import CallerError
from liftgate.domain.request import DecideRequest
from liftgate.v1.decision_pb2 import AttributeValue, CandidateList, ConsentSignals, Context
from liftgate.v1.decision_pb2 import DecideRequest as Message
from liftgate.v1.decision_service_pb2 import DecideBatchRequest
from tests.adapters.shop import CountingIds, paths, shop

SHOP = shop()
TRACE = "00-" + "a1" * 16 + "-" + "b2" * 8 + "-01"


def _message(**fields: Any) -> Message:
    return Message(**{"request_id": "r-1", "person_id": "person-1", "placement_id": "home.hero"} | fields)


def _read(sent: Message | bytes, **metadata: str) -> DecideRequest:
    raw = sent if isinstance(sent, bytes) else sent.SerializeToString()
    return RequestReader(CountingIds()).decide(raw, SHOP, metadata.items())


def _mistakes(sent: Message | bytes) -> list[str]:
    with pytest.raises(CallerError) as caught:
        _read(sent)
    return paths(caught.value.violations)


def _with_attributes(**attributes: AttributeValue) -> Message:
    return _message(context=Context(attributes=attributes))


def test_everything_sent_arrives() -> None:
    """Each field of the message becomes its field of the request; undeclared attributes are dropped."""
    sent = _message(
        slot_count=2,
        context=Context(
            channel="web",
            device="mobile",
            locale="de-DE",
            time_zone="Europe/Berlin",
            attributes={
                "basket": AttributeValue(double_value=12.5),
                "visits": AttributeValue(int_value=-3),
                "seen_at": AttributeValue(int_value=1_781_524_800_000),
                "member": AttributeValue(bool_value=False),
                "city": AttributeValue(string_value="Berlin"),
                "undeclared": AttributeValue(string_value="x"),
                "channel": AttributeValue(string_value="app"),
                "basket_unset": AttributeValue(),
            },
        ),
        consent_signals=ConsentSignals(global_privacy_control=True),
        candidates=CandidateList(offer_ids=["gift", "news"]),
        explain=True,
        dry_run=True,
        session_id="visit-1",
        visitor_id="browser-1",
    )
    request = _read(sent, traceparent=TRACE)
    assert (request.session_id, request.visitor_id) == ("visit-1", "browser-1")
    assert (request.request_id, request.person_id, request.placement_id, request.slot_count) == ("r-1", "person-1", "home.hero", 2)
    context = request.context
    assert (context.channel, context.device, context.locale, context.time_zone) == ("web", "mobile", "de-DE", "Europe/Berlin")
    assert context.attributes == {"basket": 12.5, "visits": -3, "seen_at": 1_781_524_800_000, "member": False, "city": "Berlin"}
    assert (request.gpc, request.candidates, request.explain, request.dry_run) == (True, ("gift", "news"), True, True)
    assert (request.idempotent, request.trace_id, request.span_id, request.sampled) == (True, b"\xa1" * 16, b"\xb2" * 8, True)


@pytest.mark.parametrize("field", ["session_id", "visitor_id", "account_id"])
def test_ids_of_units_have_limits(field: str) -> None:
    """256 bytes are taken and one more is refused, by bytes and not by characters."""
    assert getattr(_read(_message(**{field: "x" * 256})), field) == "x" * 256
    assert _mistakes(_message(**{field: "x" * 257})) == _mistakes(_message(**{field: "ß" * 129})) == [field]


def test_what_is_absent_takes_its_documented_meaning() -> None:
    """Without a request_id one is minted and the request is not idempotent; without slot_count the placement's slots are meant."""
    ids = CountingIds()
    request = RequestReader(ids).decide(Message(person_id="p", placement_id="strip").SerializeToString(), SHOP)
    assert (request.request_id, request.idempotent, request.slot_count) == (ids.made[0], False, 1)
    assert (request.gpc, request.candidates, request.explain, request.dry_run) == (False, None, False, False)
    assert (request.context.channel, request.context.attributes) == ("", {})
    assert (request.trace_id, request.span_id, request.sampled) == (b"", b"", False)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (Message(), ["person_id", "placement_id"]),
        (_message(person_id=""), ["person_id"]),
        (_message(person_id="x" * 257), ["person_id"]),
        (_message(person_id="ü" * 129), ["person_id"]),
        (_message(placement_id=""), ["placement_id"]),
        (_message(placement_id="nowhere"), ["placement_id"]),
        (_message(request_id="x" * 129), ["request_id"]),
        (_message(request_id="€" * 43), ["request_id"]),
        (_message(request_id="a\nb"), ["request_id"]),
        (_message(request_id="a\x00b"), ["request_id"]),
        (_message(slot_count=4), ["slot_count"]),
        (_message(slot_count=2**32 - 1), ["slot_count"]),
        (_message(context=Context(channel="x" * 65, device="ü" * 33)), ["context.channel", "context.device"]),
        (_message(context=Context(locale="x" * 65, time_zone="x" * 65)), ["context.locale", "context.time_zone"]),
        (_message(candidates=CandidateList()), ["candidates.offer_ids"]),
        (_message(candidates=CandidateList(offer_ids=["gift"] * 501)), ["candidates.offer_ids"]),
        (_message(candidates=CandidateList(offer_ids=["gift", "?", "news", ""])), ["candidates.offer_ids[1]", "candidates.offer_ids[3]"]),
        (_message(candidates=CandidateList(offer_ids=["gift", "welcome"])), ["candidates.offer_ids[1]"]),  # not of this placement
        (_with_attributes(**{f"a{i}": AttributeValue() for i in range(65)}), ["context.attributes"]),
        (_with_attributes(**{"x" * 65: AttributeValue(bool_value=True)}), ["context.attributes"]),
        (_with_attributes(**{"": AttributeValue(bool_value=True)}), ["context.attributes"]),
        (_with_attributes(city=AttributeValue(string_value="x" * 257)), ['context.attributes["city"]']),
        (_with_attributes(undeclared=AttributeValue(string_value="x" * 257)), ['context.attributes["undeclared"]']),
        (_with_attributes(basket=AttributeValue(double_value=float("nan"))), ['context.attributes["basket"]']),
        (_with_attributes(basket=AttributeValue(double_value=float("inf"))), ['context.attributes["basket"]']),
        (_with_attributes(undeclared=AttributeValue(double_value=float("-inf"))), ['context.attributes["undeclared"]']),
        (_with_attributes(**{"jane@example.com": AttributeValue(double_value=float("nan"))}), ["context.attributes"]),
        (_with_attributes(basket=AttributeValue(string_value="12")), ['context.attributes["basket"]']),
        (_with_attributes(basket=AttributeValue(bool_value=True)), ['context.attributes["basket"]']),
        (_with_attributes(visits=AttributeValue(double_value=3.0)), ['context.attributes["visits"]']),
        (_with_attributes(visits=AttributeValue(int_value=2**53 + 1)), ['context.attributes["visits"]']),
        (_with_attributes(visits=AttributeValue(bool_value=True)), ['context.attributes["visits"]']),
        (_with_attributes(seen_at=AttributeValue(string_value="2026-01-01")), ['context.attributes["seen_at"]']),
        (_with_attributes(member=AttributeValue(int_value=1)), ['context.attributes["member"]']),
        (_with_attributes(city=AttributeValue(int_value=1)), ['context.attributes["city"]']),
    ],
)
def test_each_mistake_is_named_by_its_path(sent: Message, expected: list[str]) -> None:
    """A mistake gives a violation at its field's path, and nothing else does."""
    assert _mistakes(sent) == expected


@pytest.mark.parametrize(
    "sent",
    [
        _message(person_id="x" * 256),
        _message(person_id="ü" * 128),
        _message(request_id="x" * 128),
        _message(slot_count=3),
        _message(context=Context(channel="ü" * 32, device="x" * 64)),
        _message(candidates=CandidateList(offer_ids=["gift"] * 500)),
        _with_attributes(**{f"a{i}": AttributeValue() for i in range(64)}),
        _with_attributes(**{"x" * 64: AttributeValue(bool_value=True)}),
        _with_attributes(city=AttributeValue(string_value="x" * 256)),
        _with_attributes(city=AttributeValue(string_value="")),
        _with_attributes(basket=AttributeValue(int_value=2**53 + 1)),
        _with_attributes(visits=AttributeValue(int_value=-(2**53))),
    ],
)
def test_the_limits_themselves_are_allowed(sent: Message) -> None:
    """A value at its limit is taken."""
    _read(sent)


def test_all_mistakes_come_at_once() -> None:
    """Mistakes in different fields are all reported together."""
    sent = Message(
        request_id="\n",
        placement_id="home.hero",
        slot_count=9,
        context=Context(channel="x" * 65, attributes={"basket": AttributeValue(bool_value=True)}),
        candidates=CandidateList(offer_ids=["?"]),
    )
    assert _mistakes(sent) == [
        "request_id",
        "person_id",
        "slot_count",
        "context.channel",
        'context.attributes["basket"]',
        "candidates.offer_ids[0]",
    ]


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x12\x02\xff\xfe", b"\x2a\x03\x0a\x01\x80", b"\x12\x03\xed\xa0\x80"])
def test_bytes_that_are_no_request(raw: bytes) -> None:
    """Broken protobuf and text that is not UTF-8 are the caller's mistake."""
    assert _mistakes(raw) == [""]


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_a_callers_error(raw: bytes) -> None:
    """No bytes whatever raise anything but CallerError."""
    with suppress(CallerError):
        _read(raw)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_mutated_requests_give_a_request_or_a_callers_error(changes: list[tuple[int, int]]) -> None:
    """A good request with a few bytes changed raises nothing but CallerError."""
    raw = bytearray(
        _with_attributes(basket=AttributeValue(double_value=1.0), city=AttributeValue(string_value="Paris")).SerializeToString()
    )
    for position, byte in changes:
        raw[position % len(raw)] = byte
    with suppress(CallerError):
        _read(bytes(raw))


def test_descriptions_repeat_nothing_personal() -> None:
    """Values that the caller sent are not repeated in descriptions."""
    jane = "jane@example.com"
    sent = _message(person_id=jane * 20, placement_id=jane, candidates=CandidateList(offer_ids=[jane]))
    with pytest.raises(CallerError) as caught:
        _read(sent)
    assert "jane" not in str(caught.value)


def test_the_fingerprint_follows_the_body() -> None:
    """The same body has the same fingerprint whatever the order of its map's entries; another body has another."""
    one = Message(context=Context(attributes={"basket": AttributeValue(int_value=1)})).SerializeToString()
    two = Message(context=Context(attributes={"visits": AttributeValue(int_value=2)})).SerializeToString()
    both = _message().SerializeToString()
    # Concatenated messages merge: the map's entries stand in the order in which they are written.
    first, second = _read(both + one + two), _read(both + two + one)
    assert first.context.attributes == second.context.attributes
    assert first.fingerprint == second.fingerprint
    assert _read(_message()).fingerprint == _read(_message()).fingerprint
    assert _read(_message(slot_count=1)).fingerprint != _read(_message(slot_count=2)).fingerprint
    assert len(first.fingerprint) == 8


def test_a_batch_has_the_fingerprints_of_its_requests() -> None:
    """A request that is retried inside a batch is known again."""
    entries = [_message(), _with_attributes(basket=AttributeValue(int_value=1), visits=AttributeValue(int_value=2))]
    batch = RequestReader(CountingIds()).decide_batch(DecideBatchRequest(requests=entries).SerializeToString(), SHOP)
    assert [request.fingerprint for request in batch] == [_read(entry).fingerprint for entry in entries]


def test_a_batch_names_the_index_of_each_mistake() -> None:
    """One bad request refuses the batch, and its path says which."""
    batch = DecideBatchRequest(requests=[_message(), _message(person_id=""), _message(slot_count=9)])
    with pytest.raises(CallerError) as caught:
        RequestReader(CountingIds()).decide_batch(batch.SerializeToString(), SHOP)
    assert paths(caught.value.violations) == ["requests[1].person_id", "requests[2].slot_count"]


@pytest.mark.parametrize("size", [0, 1001])
def test_a_batch_has_limits(size: int) -> None:
    """An empty batch and one of more than 1,000 are refused."""
    with pytest.raises(CallerError) as caught:
        RequestReader(CountingIds()).decide_batch(DecideBatchRequest(requests=[_message()] * size).SerializeToString(), SHOP)
    assert paths(caught.value.violations) == ["requests"]


def test_a_new_bundle_is_read_against_its_own_schema() -> None:
    """After a reload, requests are checked against the bundle that they are decided by."""
    reader = RequestReader(CountingIds())
    raw = _with_attributes(basket=AttributeValue(double_value=1.0)).SerializeToString()
    assert reader.decide(raw, SHOP).context.attributes == {"basket": 1.0}
    other = shop("e" * 64)
    object.__setattr__(other, "schema", type(other.schema)(other.schema.profile, ()))
    assert reader.decide(raw, other).context.attributes == {}
    assert reader.decide(raw, SHOP).context.attributes == {"basket": 1.0}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        TRACE.upper(),
        TRACE + "-extra",
        TRACE[:-1],
        "ff" + TRACE[2:],
        "00-" + "0" * 32 + TRACE[35:],
        TRACE[:36] + "0" * 16 + "-01",
        TRACE.replace("-", "_"),
    ],
)
def test_malformed_traceparents_are_ignored(header: str) -> None:
    """A traceparent that is not one counts as absent and fails nothing."""
    assert traceparent([("traceparent", header)]) == (b"", b"", False)


@pytest.mark.parametrize(("header", "sampled"), [(TRACE, True), (TRACE[:-2] + "00", False), ("01" + TRACE[2:] + "-more", True)])
def test_traceparents_are_taken(header: str, sampled: bool) -> None:
    """A valid traceparent gives its ids and flag; a later version may have more behind them."""
    assert traceparent([("user-agent", "x"), ("traceparent", header)]) == (b"\xa1" * 16, b"\xb2" * 8, sampled)


def test_the_callers_own_choice_is_checked_like_candidates() -> None:
    """Each once, of the placement, no more than slots are wanted; deferred is taken as it is sent."""
    request = _read(_message(slot_count=2, baseline_offers=["free-shipping", "ten-percent"], deferred=True))
    assert (request.baseline_offers, request.deferred) == (("free-shipping", "ten-percent"), True)
    assert (_read(_message()).baseline_offers, _read(_message()).deferred) == ((), False)
    assert _mistakes(_message(slot_count=2, baseline_offers=["free-shipping", "free-shipping"])) == ["baseline_offers[1]"]
    assert _mistakes(_message(slot_count=1, baseline_offers=["free-shipping", "ten-percent"])) == ["baseline_offers"]
    assert _mistakes(_message(slot_count=2, baseline_offers=["nope", "welcome"])) == ["baseline_offers[0]", "baseline_offers[1]"]
