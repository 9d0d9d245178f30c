"""A request that is read from memory is the one that its bytes say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.adapters.grpc_requests import RequestReader
from liftgate.adapters.request_rest import entries
from liftgate.domain.errors import CallerError
from liftgate.domain.request import DecideRequest
from liftgate.v1.decision_pb2 import AttributeValue, CandidateList, ConsentSignals, Context
from liftgate.v1.decision_pb2 import DecideRequest as Message
from liftgate.v1.decision_service_pb2 import DecideBatchRequest
from tests.adapters.shop import CountingIds, shop

SHOP = shop()
ids = st.sampled_from(["", "p-1", "Zoë", "x" * 120, "x" * 127, "x" * 128, "x" * 257, "new\nline"])
values = st.builds(AttributeValue, int_value=st.integers(0, 1))
rests = st.builds(
    Message,
    placement_id=st.sampled_from(["home.hero", "strip", "", "nowhere"]),
    slot_count=st.integers(0, 3),
    context=st.builds(
        Context,
        channel=st.sampled_from(["", "web"]),
        attributes=st.dictionaries(
            st.sampled_from(["basket", "visits"]), st.builds(AttributeValue, int_value=st.integers(0, 1)), max_size=2
        ),
    ),
    consent_signals=st.none() | st.builds(ConsentSignals, global_privacy_control=st.booleans()),
    candidates=st.none() | st.just(CandidateList(offer_ids=["gift"])),
    account_id=st.sampled_from(["", "a"]),
    deferred=st.booleans(),
    # Later fields win: a rest that names somebody else is never remembered.
    person_id=st.sampled_from(["", "", "", "somebody else"]),
)


def _read(reader: RequestReader, raw: bytes) -> DecideRequest | list[str]:
    try:
        return reader.decide(raw, SHOP)
    except CallerError as error:
        return [f"{violation.field}: {violation.description}" for violation in error.violations]


def _front(request_id: str, person_id: str) -> bytes:
    return Message(request_id=request_id, person_id=person_id).SerializeToString()


@settings(max_examples=300)
@given(st.lists(st.tuples(ids, ids, rests), min_size=1, max_size=3), st.integers(0, 2**32))
def test_what_is_read_from_memory_equals_what_is_read_anew(sent: list[tuple[str, str, Message]], cut: int) -> None:
    """Whatever came before, a reader says of a body what a fresh one says: the same request, or the same mistakes."""
    reader = RequestReader(CountingIds())
    bodies = [_front(request_id, person_id) + rest.SerializeToString() for request_id, person_id, rest in sent]
    bodies = [body for body in bodies for _ in range(3)] + [bodies[0][: cut % (len(bodies[0]) + 1)]]
    for body in bodies:
        known, new = _read(reader, body), _read(RequestReader(CountingIds()), body)
        if isinstance(known, DecideRequest) and not known.idempotent:
            assert isinstance(new, DecideRequest)
            known.request_id = new.request_id
        assert known == new


def test_a_rest_is_remembered_from_the_second_time_on() -> None:
    """The third request of the same kind shares the context of the second with no other than it."""
    reader = RequestReader(CountingIds())
    bodies = [Message(request_id=f"r{i}", person_id=f"p{i}", placement_id="home.hero", context=Context(channel="web")) for i in range(4)]
    read = [reader.decide(body.SerializeToString(), SHOP) for body in bodies]
    assert [request.person_id for request in read] == ["p0", "p1", "p2", "p3"]
    assert read[1].context is not read[0].context
    assert read[2].context is read[3].context is read[1].context
    # Under another bundle nothing is known.
    assert reader.decide(bodies[0].SerializeToString(), shop("e" * 64)).context is not read[1].context


def test_a_body_in_another_encoding_is_read_in_full() -> None:
    """A person_id that comes again behind the rest wins, as protobuf has it, however often the rest has come before."""
    reader = RequestReader(CountingIds())
    rest = Message(placement_id="home.hero", person_id="the last one").SerializeToString(deterministic=True)
    for _ in range(4):
        assert reader.decide(_front("r", "p") + rest, SHOP).person_id == "the last one"


@given(st.lists(st.binary(max_size=300), max_size=4), st.binary(max_size=3))
def test_entries_are_those_that_the_generated_code_finds(sizes: list[bytes], more: bytes) -> None:
    """A batch's requests are cut out as they came, or left to the generated code."""
    sent = [Message(request_id="r", person_id="p", account_id=size.hex()).SerializeToString() for size in sizes]
    raw = DecideBatchRequest(requests=[Message.FromString(one) for one in sent]).SerializeToString()
    assert entries(raw) == sent
    found = entries(raw + more)
    assert found is None or more == b"" or len(found) > len(sent) or not found


@pytest.mark.parametrize("raw", [b"\x0a", b"\x0a\x02x", b"\x12\x00", b"\x0a\x80\x80\x01"])
def test_entries_of_anything_else_are_none(raw: bytes) -> None:
    """Bytes that are cut short, or of another field, are not guessed at."""
    assert entries(raw) is None
