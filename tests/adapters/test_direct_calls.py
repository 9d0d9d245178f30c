"""Calls without a task of their own: each is ended once, and as the table of errors says."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from liftgate.adapters.direct_calls import DirectCall, DirectMethod, Metadata, refusal
from liftgate.adapters.grpc_errors import refuse, trailers_of
from liftgate.domain.errors import CallerError, Expired, FieldViolation, LogUnavailable, Overloaded


class Wire:
    """Keeps what is sent, and counts."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.began_calls = 0
        self.codes: list[int] = []

    def respond(self, number: int, answer: bytes) -> None:
        """See `direct_calls.Line`."""
        self.sent.append((number, answer))

    def fail(self, number: int, code: int, message: str, trailers: Metadata) -> None:
        """See `direct_calls.Line`."""
        self.sent.append((number, code, message, trailers))

    def forget(self, number: int) -> None:
        """See `direct_calls.Line`."""
        self.sent.append((number,))

    def began(self) -> None:
        """See `CallObserver`."""
        self.began_calls += 1

    def answered(self, method: str, code: int, seconds: float) -> None:
        """See `CallObserver`."""
        assert method == "Decide"
        assert seconds >= 0
        self.codes.append(code)

    def turned_away(self, method: str, code: int, calls: int) -> None:
        """See `CallObserver`."""
        assert method == "Decide"
        self.began_calls += calls
        self.codes += [code] * calls


def call(wire: Wire, remaining: float | None = None, said: list[str] | None = None) -> DirectCall:
    """Return a call that has just come in."""
    report = None if said is None else lambda name, what: said.append(what)
    return DirectCall(wire, DirectMethod("Decide", lambda raw, one: None, wire, report), 7, (), remaining)


def test_a_call_is_ended_once() -> None:
    """Whatever comes after the first end is neither sent nor counted."""
    wire = Wire()
    one = call(wire)
    assert wire.began_calls == 1
    assert not one.done()
    one.set_result(b"answer")
    one.set_result(b"again")
    one.set_exception(Overloaded())
    one.leave()
    assert wire.sent == [(7, b"answer")]
    assert wire.codes == [0]
    assert one.done()


def test_a_caller_that_has_gone_hears_nothing() -> None:
    """A call left is forgotten, counted as cancelled, or as late where its time was up, and gets no answer any more."""
    wire = Wire()
    gone, late = call(wire), call(wire, remaining=0.0)
    for one in (gone, late):
        one.leave()
        one.set_result(b"answer")
    assert wire.sent == [(7,), (7,)]
    assert wire.codes == [grpc.StatusCode.CANCELLED.value[0], grpc.StatusCode.DEADLINE_EXCEEDED.value[0]]


def test_a_fault_of_ours_is_reported_by_its_place() -> None:
    """An unexpected error ends the call INTERNAL, and its class is told, not its text."""
    wire, said = Wire(), list[str]()
    call(wire, said=said).set_exception(KeyError("person-1"))
    ((_, code, message, _),) = wire.sent
    assert code == grpc.StatusCode.INTERNAL.value[0]
    assert "person-1" not in message
    assert said == ["KeyError"]


class _Ended(Exception):
    pass


class _Context:
    status: Any = None

    async def abort_with_status(self, status: Any) -> None:
        self.status = status
        raise _Ended


@pytest.mark.parametrize(
    "error",
    [Overloaded(), Expired(), LogUnavailable("x"), CallerError((FieldViolation("person_id", "wants 1 to 256 bytes"),)), ValueError()],
)
async def test_a_direct_call_ends_like_any_other(error: Exception) -> None:
    """Code, message and trailers are those of the usual way, the second time too."""
    context = _Context()
    with pytest.raises(_Ended):
        await refuse(context, error)
    wanted = (context.status.code.value[0], context.status.details, list(context.status.trailing_metadata))
    assert trailers_of(error) == wanted
    assert trailers_of(error) == wanted


def test_a_call_refused_before_it_is_read_is_counted_and_sent_as_any_refusal() -> None:
    """What a refusal for overload sends and counts does not depend on whether its call was taken first."""
    taken, wire = Wire(), Wire()
    call(taken).set_exception(Overloaded())
    DirectMethod("Decide", lambda raw, one: None, wire).turned_away(1)
    assert taken.sent == [(7, *refusal())]
    assert (wire.began_calls, wire.codes) == (taken.began_calls, taken.codes)


async def test_who_leaves_less_than_a_refused_call_is_refused_unasked() -> None:
    """Of calls that come together those with more time than any refused one are asked about; all refusals are sent and counted."""
    native = pytest.importorskip("liftgate.adapters.native_server")
    wire, asked, taken = Wire(), list[float | None](), list[bytes]()

    def refuses(left_s: float | None) -> bool:
        asked.append(left_s)
        return left_s is None or 0.0 < left_s < 0.5 or left_s > 1e9

    method = DirectMethod("Decide", lambda raw, one: taken.append(raw), wire, refuses=refuses)
    server = native.NativeServer({"/s/Decide": method}, [])
    server._front, server._table = wire, [("/s/Decide", None)]
    left = [1e12, 0.1, 0.05, None, 0.3, 0.2, 0.6, 0.3, 0.0, -1.0]
    server._on_events([(0, number, 0, bytes([number]), None, ((), "", left_s)) for number, left_s in enumerate(left)])
    assert asked == [1e12, 0.1, None, 0.3, 0.6, 0.0, -1.0]
    assert taken == [b"\x06", b"\x08", b"\x09"]
    assert [one[:2] for one in wire.sent] == [(number, 8) for number in (0, 1, 2, 3, 4, 5, 7)]
    assert wire.codes == [8] * 7
    assert {one[3] for one in ((*sent[:3], sent[3][0][0]) for sent in wire.sent)} == {"grpc-status-details-bin"}
