"""One socket to a Redis or Valkey server: bytes out, parsed replies back, through hiredis.

A link is lent to one call at a time and is closed for good after a timeout, a cancellation or a byte that nobody asked for. So a late
reply can never meet another call: nobody ever gets another person's data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

import hiredis

_MORE: Any = object()
_pack = hiredis.pack_command


def packed(commands: Sequence[Any]) -> bytes:
    """Return commands (tuples of bytes, str or int) as they go out."""
    return b"".join(map(_pack, commands))


LATE_S = 0.001
"""A timer that fires later than this was held up by the loop itself. Earlier than its time by less it fires too: uvloop rounds."""


class Link(asyncio.Protocol):
    """One connection. `usable` is False once it is closed, for whatever reason."""

    __slots__ = ("_deadline", "_loop", "_reader", "_replies", "_rings_at", "_timer", "_transport", "_waiter", "_wanted", "usable")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._replies: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[list[Any]] | None = None
        """Of the call in flight; None: there is none."""
        self._wanted = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self.usable = False

    def exchange(self, commands: Sequence[Any], deadline: float) -> asyncio.Future[list[Any]]:
        """Send commands; the future has a reply to each, error replies as hiredis.ReplyError values.

        `deadline` is on the loop's clock. The future raises TimeoutError at it and OSError when the connection breaks; the link is then
        closed. Whoever does not await it to its end closes the link.
        """
        if self._waiter is not None or self._transport is None or not self.usable:
            raise ConnectionError("the link is closed or in use")
        self._waiter = waiter = self._loop.create_future()
        self._wanted = len(commands)
        self._deadline = deadline
        self._transport.write(packed(commands))
        # One timer serves many calls: it is left to ring, and looks then whether anybody's time is up.
        if self._timer is None or deadline < self._rings_at:
            self._ring(deadline)
        return waiter

    def close(self) -> None:
        """Drop the connection and whatever was still to come."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _ring(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._rang)
        self._rings_at = at

    def _rang(self) -> None:
        self._timer = None
        waiter, late_s = self._waiter, self._loop.time() - self._deadline
        if waiter is None:
            return
        if late_s < -LATE_S:
            self._ring(self._deadline)
        elif late_s > LATE_S:
            # When this loop was busy past the deadline, the reply may lie in the socket: it is read before the server is blamed.
            self._timer = self._loop.call_later(LATE_S, self._give_up, waiter)
            self._rings_at = 0.0
        else:
            self._fail(TimeoutError())

    def _give_up(self, waiter: asyncio.Future[list[Any]]) -> None:
        self._timer = None
        if self._waiter is waiter:
            self._fail(TimeoutError())
        elif self._waiter is not None:
            self._ring(self._deadline)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none by inheritance.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Parse what came; wake the call when it has all its replies."""
        waiter = self._waiter
        if waiter is None:
            self._fail(ConnectionError("bytes that nobody asked for"))
            return
        reader, replies = self._reader, self._replies
        try:
            reader.feed(data)
            replies += islice(iter(reader.gets, _MORE), self._wanted - len(replies))
        except hiredis.ProtocolError:
            self._fail(ConnectionError("not a Redis reply"))
            return
        if len(replies) < self._wanted:
            return
        if reader.has_data():
            self._fail(ConnectionError("more replies than commands"))
            return
        self._replies = []
        self._waiter = None
        try:
            waiter.set_result(replies)
        except asyncio.InvalidStateError:
            # Cancelled, and its caller does not know yet.
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the call in flight, if any."""
        self._transport = None
        self._fail(ConnectionError("connection lost"))
