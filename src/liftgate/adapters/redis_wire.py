"""One socket to a Redis or Valkey server: bytes out, parsed replies back, through hiredis.

A link is lent to one call at a time and is closed for good after a timeout, a cancellation or a byte that nobody asked for. So a late
reply can never meet another call: nobody ever gets another person's data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import hiredis

_MORE: Any = object()


def packed(commands: Iterable[Any]) -> bytes:
    """Return commands (tuples of bytes, str or int) as they go out."""
    parts = [hiredis.pack_command(command) for command in commands]
    return parts[0] if len(parts) == 1 else b"".join(parts)


LATE_S = 0.001
"""A timer that fires later than this was held up by the loop itself."""


class Link(asyncio.Protocol):
    """One connection. `usable` is False once it is closed, for whatever reason."""

    __slots__ = ("_loop", "_reader", "_replies", "_timer", "_transport", "_waiter", "_wanted", "usable")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._replies: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[list[Any]] | None = None
        self._wanted = 0
        self._timer: asyncio.TimerHandle
        self.usable = False

    async def exchange(self, packed: bytes, wanted: int, deadline: float) -> list[Any]:
        """Send packed commands and return their `wanted` replies; error replies come as hiredis.ReplyError values.

        `deadline` is on the loop's clock. Raises TimeoutError at it and OSError when the connection breaks; the link is then closed,
        as it is when the caller is cancelled.
        """
        if not self.usable or self._waiter is not None or self._transport is None:
            raise ConnectionError("the link is closed or in use")
        waiter: asyncio.Future[list[Any]] = self._loop.create_future()
        self._waiter = waiter
        self._wanted = wanted
        self._transport.write(packed)
        self._timer = self._loop.call_at(deadline, self._expire, deadline)
        try:
            return await waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._timer.cancel()
            self._waiter = None

    def close(self) -> None:
        """Drop the connection and whatever was still to come."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _expire(self, deadline: float) -> None:
        # When this loop was busy past the deadline, the reply may lie in the socket: it is read before the server is blamed.
        if self._loop.time() - deadline > LATE_S:
            self._timer = self._loop.call_later(LATE_S, self._fail, TimeoutError())
        else:
            self._fail(TimeoutError())

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none by inheritance.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Parse what came; wake the call when it has all its replies."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._fail(ConnectionError("bytes that nobody asked for"))
            return
        replies = self._replies
        try:
            self._reader.feed(data)
            while len(replies) < self._wanted:
                reply = self._reader.gets()
                if reply is _MORE:
                    return
                replies.append(reply)
        except hiredis.ProtocolError:
            self._fail(ConnectionError("not a Redis reply"))
            return
        if self._reader.has_data():
            self._fail(ConnectionError("more replies than commands"))
            return
        self._replies = []
        waiter.set_result(replies)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the call in flight, if any."""
        self.usable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("connection lost"))
