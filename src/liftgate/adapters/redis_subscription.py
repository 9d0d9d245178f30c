"""A connection that listens: one channel of Redis or Valkey, each message handed on at once, found again after every loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import hiredis

from liftgate.adapters.redis_address import Address
from liftgate.adapters.redis_pack import packed

_CONNECT_S = 1.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_MORE: Any = object()


class _Ear(asyncio.Protocol):
    """One connection, from its greeting to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, subscribed: Callable[[], None], heard: Callable[[], None]) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._subscribed, self._heard = subscribed, heard
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by inheritance.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, raw: bytes) -> None:
        if self._transport is not None:
            self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _MORE:
                if isinstance(reply, list) and reply[:1] == [b"subscribe"]:
                    self._subscribed()
                elif isinstance(reply, list) and reply[:1] == [b"message"]:
                    self._heard()
                elif isinstance(reply, hiredis.ReplyError):
                    self.close()
                    return
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        if not self.ended.done():
            self.ended.set_result(None)


class Subscription:
    """Listens to one channel until cancelled. `heard` is called for each message, and after each joining, for what was missed."""

    def __init__(self, address: Address, channel: bytes, heard: Callable[[], None], lost: Callable[[], None] = lambda: None) -> None:
        self._address = address
        self._channel = channel
        self._heard, self._lost = heard, lost
        self.connected = False
        self.connections = 0
        """How often the channel was joined."""

    async def run(self) -> None:
        """Never returns; ends by cancellation."""
        pause = _FIRST_PAUSE_S
        while True:
            ear = _Ear(asyncio.get_running_loop(), self._joined, self._heard)
            before = self.connections
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await self._connect(ear)
                await ear.ended
            except (OSError, TimeoutError):
                pass
            finally:
                ear.close()
            if self.connected:
                self.connected = False
                self._lost()
            pause = _FIRST_PAUSE_S if self.connections > before else min(2 * pause, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _connect(self, ear: _Ear) -> None:
        loop, address = asyncio.get_running_loop(), self._address
        if address.path:
            await loop.create_unix_connection(lambda: ear, address.path)
        else:
            await loop.create_connection(lambda: ear, address.host, address.port, ssl=address.tls)
        ear.send(packed([*address.greeting(), ("SUBSCRIBE", self._channel)]))

    def _joined(self) -> None:
        self.connected = True
        self.connections += 1
        self._heard()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is gone."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
