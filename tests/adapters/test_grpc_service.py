"""Handlers: deadlines as budgets, and every call counted once with the status that it ended with."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

import grpc
import pytest

from liftgate.adapters.grpc_service import Call, answering, deadline_of, unimplemented
from liftgate.domain.errors import Expired, Overloaded


class _Aborted(Exception):
    pass


@dataclass
class _Call:
    """The part of a call's context that handlers look at."""

    remaining_s: float | None = None
    status: grpc.Status | None = None

    def time_remaining(self) -> float | None:
        return self.remaining_s

    async def abort_with_status(self, status: grpc.Status) -> None:
        self.status = status
        raise _Aborted


@dataclass
class _Calls:
    begun: int = 0
    ended: list[tuple[str, int]] = field(default_factory=list)

    def began(self) -> None:
        self.begun += 1

    def answered(self, method: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append((method, code))

    def turned_away(self, method: str, code: int, calls: int) -> None:
        self.begun += calls
        self.ended += [(method, code)] * calls


@pytest.mark.parametrize("remaining", [None, float(sys.maxsize)])
async def test_a_call_without_a_deadline_has_the_servers(remaining: float | None) -> None:
    """Both ways in which transports say that there is none mean the default."""
    now = asyncio.get_running_loop().time()
    assert 0.5 <= deadline_of(_Call(remaining), 0.5) - now < 100


async def test_a_deadline_is_a_time_on_the_loops_clock() -> None:
    """What remains is added to now, whatever the default."""
    now = asyncio.get_running_loop().time()
    assert 1000 <= deadline_of(_Call(1000.0), 0.5) - now < 1100


@pytest.mark.parametrize("remaining", [0.0, -1.0])
async def test_a_passed_deadline_is_expired(remaining: float) -> None:
    """A call with nothing left is not begun."""
    with pytest.raises(Expired):
        deadline_of(_Call(remaining), 0.5)


@pytest.mark.parametrize(
    ("error", "remaining", "code"),
    [
        (None, None, 0),
        (Overloaded(), None, 8),
        (Expired(), 0.0, 4),
        (KeyError("jane@example.com"), None, 13),
        (asyncio.CancelledError(), None, 1),
        (asyncio.CancelledError(), 3.0, 1),
        (asyncio.CancelledError(), 0.0, 4),
    ],
)
async def test_each_call_is_counted_once_with_its_end(error: BaseException | None, remaining: float | None, code: int) -> None:
    """Answers, errors, cancellations and deadlines are each one begun and one answered call."""

    async def method(raw: bytes, call: Call) -> bytes:
        if error is not None:
            raise error
        return raw

    reports: list[tuple[str, str]] = []
    calls, call = _Calls(), _Call(remaining)
    handler = answering("Decide", method, calls, lambda name, what: reports.append((name, what)))
    if error is None:
        assert await handler(b"x", call) == b"x"
    else:
        with pytest.raises((_Aborted, asyncio.CancelledError)):
            await handler(b"x", call)
    assert (calls.begun, calls.ended) == (1, [("Decide", code)])
    assert [name for name, _ in reports] == (["Decide"] if code == 13 else [])
    assert "jane" not in f"{reports} {call.status}"


async def test_what_is_not_built_says_what_to_use() -> None:
    """A declared method that is not built names another way."""
    calls, call = _Calls(), _Call()
    with pytest.raises(_Aborted):
        await answering("Erase", unimplemented("use another way"), calls)(b"", call)
    assert call.status is not None
    assert call.status.code is grpc.StatusCode.UNIMPLEMENTED
    assert call.status.details == "use another way"
    assert calls.ended == [("Erase", 12)]
