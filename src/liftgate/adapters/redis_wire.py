"""One socket to a Redis or Valkey server: bytes out, parsed replies back, through hiredis.

A link is lent to one call at a time and is closed for good after a timeout, a cancellation or a byte that nobody asked for. So a late
reply can never meet another call: nobody ever gets another person's data. Commands in no hurry may go ahead of a call on its way;
replies come in the order of commands, so theirs are the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from math import inf
from typing import Any, cast

import hiredis

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_pack import Command, packed
from liftgate.domain.errors import StoreUnavailable

_MORE: Any = object()


def code(error: Any) -> str:
    """Return an error reply's first word, such as `NOSCRIPT`. The rest may quote a person's key and goes nowhere."""
    word = str(error).split(" ", 1)[0]
    return word if word.isalpha() and word.isupper() else "ERR"


def check(replies: Sequence[Any]) -> None:
    """Raise StoreUnavailable when any reply is an error."""
    if hiredis.ReplyError in map(type, replies):
        error = next(reply for reply in replies if isinstance(reply, hiredis.ReplyError))
        raise StoreUnavailable(f"redis: error reply {code(error)}")


LATE_S = 0.001
"""A timer that fires later than this was held up by the loop itself. Earlier than its time by less it fires too: uvloop rounds."""

Replies = asyncio.Future[list[Any]]
"""One reply to each command, error replies as hiredis.ReplyError values, or StoreUnavailable."""

Posted = tuple[Sequence[Command], Replies]
"""Commands in no hurry, and who waits for their replies."""


def _nowhere(raw: bytes) -> None:
    """Write nothing: there is no connection."""


class Link(asyncio.Protocol):
    """One connection. `usable` is False once it is closed, for whatever reason."""

    __slots__ = (
        "_ahead",
        "_breaker",
        "_deadline",
        "_reader",
        "_replies",
        "_rings_at",
        "_timer",
        "_transport",
        "_waiter",
        "_wanted",
        "_write",
        "back",
        "loop",
        "usable",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._replies: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = _nowhere
        self._waiter: Replies | None = None
        """Of the call in flight; None: there is none."""
        self._ahead: Sequence[Posted] = ()
        """What went out ahead of it."""
        self._wanted = 0
        self._breaker: Breaker | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf
        """When the timer rings next; infinite: it is not set."""
        self.back: Callable[[Link], None] | None = None
        """Called when a call has ended, whatever its end: nobody has the link then."""
        self.usable = False

    def exchange(
        self,
        commands: Sequence[Command],
        deadline: float,
        ahead: Sequence[Posted] = (),
        waiter: Replies | None = None,
        breaker: Breaker | None = None,
    ) -> Replies:
        """Send commands, what is `ahead` before them; return what has their replies: `waiter`, or a future of its own.

        `deadline` is on the loop's clock. The future raises StoreUnavailable at it and when the connection breaks; the link is then
        closed. Whoever does not await it to its end closes the link. `breaker` hears how it ends. Raises ConnectionError where the link
        is closed or in use.
        """
        if self._waiter is not None or not self.usable:
            raise ConnectionError("the link is closed or in use")
        if waiter is None:
            waiter = self.loop.create_future()
        if ahead:
            self._ahead = ahead
            commands = [*[command for some, _ in ahead for command in some], *commands]
        self._waiter, self._breaker, self._deadline = waiter, breaker, deadline
        self._wanted = len(commands)
        self._write(packed(commands))
        # One timer serves many calls: it is left to ring, and looks then whether anybody's time is up.
        if self._rings_at > deadline:
            self._ring(deadline)
        return waiter

    def forsake(self) -> None:
        """Close the link if whoever it is lent to has cancelled the call, and not heard of its end yet."""
        if self._waiter is not None and self._waiter.cancelled():
            self._fail(ConnectionError("cancelled"))

    def close(self) -> None:
        """Drop the connection and whatever was still to come."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._rings_at = None, inf
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.close()
        waiter, ahead, breaker = self._waiter, self._ahead, self._breaker
        if waiter is None:
            return
        self._waiter, self._ahead = None, ()
        if breaker is not None and not waiter.cancelled():
            breaker.failed()
        for one in (*[posted for _, posted in ahead], waiter):
            if not one.done():
                one.set_exception(StoreUnavailable(f"redis: {type(error).__name__}"))
        if self.back is not None:
            self.back(self)

    def _ring(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._rang)
        self._rings_at = at

    def _rang(self) -> None:
        self._timer, self._rings_at = None, inf
        waiter, late_s = self._waiter, self.loop.time() - self._deadline
        if waiter is None:
            return
        if late_s < -LATE_S:
            self._ring(self._deadline)
        elif late_s > LATE_S:
            # When this loop was busy past the deadline, the reply may lie in the socket: it is read before the server is blamed.
            self._timer = self.loop.call_later(LATE_S, self._give_up, waiter)
            self._rings_at = 0.0  # whatever comes meanwhile is looked after then
        else:
            self._fail(TimeoutError())

    def _give_up(self, waiter: Replies) -> None:
        self._timer, self._rings_at = None, inf
        if self._waiter is waiter:
            self._fail(TimeoutError())
        elif self._waiter is not None:
            self._ring(self._deadline)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none by inheritance.
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Parse what came; wake the call when it has all its replies."""
        waiter = self._waiter
        if waiter is None:
            self._fail(ConnectionError("bytes that nobody asked for"))
            return
        reader, replies, wanted = self._reader, self._replies, self._wanted
        try:
            reader.feed(data)
            replies += islice(iter(reader.gets, _MORE), wanted - len(replies))
        except hiredis.ProtocolError:
            self._fail(ConnectionError("not a Redis reply"))
            return
        if len(replies) < wanted:
            return
        if reader.has_data():
            self._fail(ConnectionError("more replies than commands"))
            return
        self._replies = []
        self._waiter = None
        if self._ahead:
            replies = self._handed_out(replies)
        breaker = self._breaker
        if breaker is not None and breaker.failures:
            breaker.succeeded()
        try:
            waiter.set_result(replies)
        except asyncio.InvalidStateError:
            # Cancelled, and its caller does not know yet.
            self.close()
        if self.back is not None:
            self.back(self)

    def _handed_out(self, replies: list[Any]) -> list[Any]:
        """Give what went ahead its replies; return those of the call."""
        at = 0
        for commands, waiter in self._ahead:
            end = at + len(commands)
            if not waiter.done():
                waiter.set_result(replies[at:end])
            at = end
        self._ahead = ()
        return replies[at:]

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the call in flight, if any."""
        self._transport = None
        self._write = _nowhere  # what it was leads back here
        self._fail(ConnectionError("connection lost"))
