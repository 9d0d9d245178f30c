"""Record without a task for each call answers what Record answers, and begins once all calls that came together are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from liftgate.adapters.direct_calls import DirectCall, DirectMethod, Metadata
from liftgate.domain.errors import CallerError, Expired
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse
from tests.adapters.event_desk import EventDesk, event_desk
from tests.adapters.test_event_features import LIVE, NOW_MS

CLICK = EventKind.EVENT_KIND_CLICK


class Wire:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.answers: dict[int, RecordResponse] = {}
        self.codes: dict[int, int] = {}
        self.left: list[int] = []

    def respond(self, number: int, answer: bytes) -> None:
        """See `direct_calls.Line`."""
        self.answers[number] = RecordResponse.FromString(answer)

    def fail(self, number: int, code: int, message: str, trailers: Metadata) -> None:
        """See `direct_calls.Line`."""
        self.codes[number] = code

    def forget(self, number: int) -> None:
        """See `direct_calls.Line`."""
        self.left.append(number)


def method(desk: EventDesk) -> DirectMethod:
    """Return Record."""
    return desk.service.direct()["Record"]


def told(desk: EventDesk, wire: Wire, number: int, *events: Any, remaining: float | None = None) -> DirectCall:
    """Hand over a call."""
    call = DirectCall(wire, method(desk), number, (), remaining)
    method(desk).take(RecordRequest(events=events).SerializeToString(), call)
    return call


def click(event_id: str) -> Event:
    """Return a click."""
    return Event(event_id=event_id, kind=CLICK, person_id="ada")


async def test_calls_that_came_together_are_answered_as_record_answers(tmp_path: Path) -> None:
    """Nothing is logged before all are in; then each is answered for its own, what was refused or told before included."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        wire = Wire()
        told(desk, wire, 1, click("a"), click("b"))
        told(desk, wire, 2, click("a"), click(""))
        assert (desk.log.rows, wire.answers) == ([], {})
        gathered = method(desk).gathered
        assert gathered is not None
        gathered()
        assert [row.event_id for row in desk.log.rows] == ["a", "b"]
        assert wire.answers[1] == RecordResponse(accepted=2)
        assert (wire.answers[2].accepted, wire.answers[2].duplicates, [one.index for one in wire.answers[2].rejections]) == (1, 1, [1])
        assert desk.outcomes == {"accepted": 2, "duplicate": 1, "rejected": 1}
        assert wire.answers[2] == await desk.record(click("a"), click(""))


async def test_what_cannot_be_read_or_comes_too_late_is_raised_at_once(tmp_path: Path) -> None:
    """Bytes that are no request, a call of no events, and one whose time is up."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        wire = Wire()
        with pytest.raises(CallerError):
            method(desk).take(b"\xff\xff", DirectCall(wire, method(desk), 1, (), None))
        with pytest.raises(CallerError):
            told(desk, wire, 2)
        with pytest.raises(Expired):
            told(desk, wire, 3, click("a"), remaining=0.0)
        assert desk.log.rows == []


async def test_a_log_that_takes_nothing_ends_every_call_of_the_batch(tmp_path: Path) -> None:
    """Both callers hear that it is unavailable."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        wire, desk.log.full = Wire(), True
        told(desk, wire, 1, click("a"))
        told(desk, wire, 2, click("b"))
        gathered = method(desk).gathered
        assert gathered is not None
        gathered()
        assert set(wire.codes.values()) == {int(grpc.StatusCode.UNAVAILABLE.value[0])}
        assert set(wire.codes) == {1, 2}


async def test_who_leaves_before_the_batch_begins_is_left_out(tmp_path: Path) -> None:
    """What they told is not taken; their neighbour's is."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        wire = Wire()
        told(desk, wire, 1, click("a")).leave()
        told(desk, wire, 2, click("b"))
        gathered = method(desk).gathered
        assert gathered is not None
        gathered()
        assert [row.event_id for row in desk.log.rows] == ["b"]
        assert (wire.left, set(wire.answers)) == ([1], {2})
