"""One Redis or Valkey server: a bounded pool of connections, and what goes along with the next call on one of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_address import Address
from liftgate.adapters.redis_pack import Command
from liftgate.adapters.redis_wire import Link, Posted, Replies, check
from liftgate.domain.errors import StoreUnavailable

POST_S = 0.005
"""Commands in no hurry wait so long for a call that they can go along with."""

_ROUNDED_S = 0.001
"""uvloop rounds times, and fires that much too early."""


class NodeClient:
    """One server, a bounded pool of links. A link is used by one call at a time, the last used first."""

    clustered = False

    def __init__(self, address: Address, budget_s: float, max_connections: int) -> None:
        self.budget_s = budget_s
        self.where = address.where
        self._address = address
        self._max = max_connections
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        """Idle or lent."""
        # A semaphore of asyncio's costs more a call than all of this.
        self._free = max_connections
        self._turns: deque[asyncio.Future[None]] = deque()
        self._posted: list[Posted] = []
        self._posted_at = 0.0
        """When the first of them was posted, on the loop's clock."""
        self._post_timer: asyncio.TimerHandle | None = None

    def call(self, commands: Sequence[Command], budget_s: float | None = None) -> Awaitable[list[Any]]:
        """See `RedisClient`."""
        budget_s = self.budget_s if budget_s is None else budget_s
        replies = self.at_once(commands, budget_s) if commands else None
        return self._call(commands, budget_s) if replies is None else replies

    def at_once(
        self, commands: Sequence[Command], budget_s: float, breaker: Breaker | None = None, kind: type[Replies] | None = None
    ) -> Replies | None:
        """Send commands, one at least, where a connection is idle, as mostly, and return what has their replies; None: none is.

        `breaker` hears how it ends. A future, of the kind that is asked for, and no coroutine: nothing is left to be done when the
        replies are there.
        """
        idle = self._idle
        if not self._free or not idle or not idle[-1].usable:
            return None
        self._free -= 1
        link = idle.pop()
        posted = self._posted
        if posted:
            self._posted = []
        waiter = None if kind is None else kind(loop=link.loop)
        return link.exchange(commands, link.loop.time() + budget_s, posted, waiter, breaker)

    async def _call(self, commands: Sequence[Command], budget_s: float) -> list[Any]:
        """Send commands once there is a connection for them."""
        if not commands:
            return []
        deadline = asyncio.get_running_loop().time() + budget_s
        link = await self._lend(deadline)
        if not link.usable:
            self._back(link)
            raise StoreUnavailable("redis: ConnectionError")
        posted, self._posted = self._posted, []
        return await link.exchange(commands, deadline, posted)

    def _back(self, link: Link) -> None:
        """Take back a link whose call has ended."""
        if link.usable:
            self._idle.append(link)
        else:
            self._links.discard(link)
        if self._turns:
            self._pass_on()
        else:
            self._free += 1

    def post(self, commands: Sequence[Command]) -> Replies:
        """See `RedisClient`."""
        for link in self._links:
            # Kept there: asking for the loop is a system call before Python 3.12.
            loop = link.loop
            break
        else:
            waiter: Replies = asyncio.get_running_loop().create_future()
            waiter.set_exception(StoreUnavailable("redis: no connection"))
            return waiter
        waiter = loop.create_future()
        if not self._posted:
            self._posted_at = loop.time()
        self._posted.append((commands, waiter))
        # It is left to ring, as a link's.
        if self._post_timer is None:
            self._post_timer = loop.call_later(POST_S, self._send_posted, loop)
        return waiter

    def _send_posted(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send alone what has found no call to go along with."""
        self._post_timer = None
        if not self._posted:
            return
        left_s = self._posted_at + POST_S - loop.time()
        if left_s > _ROUNDED_S:
            self._post_timer = loop.call_later(left_s, self._send_posted, loop)
        elif self._free and self._idle and self._idle[-1].usable:
            self._free -= 1
            (*ahead, (commands, waiter)), self._posted = self._posted, []
            self._idle.pop().exchange(commands, loop.time() + self.budget_s, ahead, waiter)
        elif self._links and any(link.usable for link in self._links):
            # Every one is in use: the next call that any of them takes has these ahead of it.
            self._post_timer = loop.call_later(POST_S, self._send_posted, loop)
        else:
            self._lose_posted()

    def _lose_posted(self) -> None:
        posted, self._posted = self._posted, []
        for _, waiter in posted:
            if not waiter.done():
                waiter.set_exception(StoreUnavailable("redis: no connection"))

    async def _lend(self, deadline: float) -> Link:
        """Return a link, once there is a place for one more call. Raises StoreUnavailable."""
        if not self._free:
            for lent in tuple(self._links):
                lent.forsake()
        try:
            if self._free:
                self._free -= 1
            else:
                await self._turn(deadline)
            try:
                while self._idle:
                    link = self._idle.pop()
                    if link.usable:
                        return link
                    self._links.discard(link)
                async with asyncio.timeout_at(deadline):
                    return await self._open(deadline)
            except BaseException:
                self._pass_on()
                raise
        except OSError as error:
            raise StoreUnavailable(f"redis: {type(error).__name__}") from None

    async def _turn(self, deadline: float) -> None:
        """Wait until a call hands its place on. Raises TimeoutError."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # It came as the caller left: the next one has it.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Hand the place of a call that has ended to whoever has waited longest."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _open(self, deadline: float) -> Link:
        loop = asyncio.get_running_loop()
        address = self._address
        link = Link(loop)
        try:
            if address.path:
                await loop.create_unix_connection(lambda: link, address.path)
            else:
                await loop.create_connection(lambda: link, address.host, address.port, ssl=address.tls)
            greeting = address.greeting()
            if greeting:
                check(await link.exchange(greeting, deadline))
        except BaseException:
            link.close()
            raise
        link.back = self._back
        self._links.add(link)
        return link

    async def servers(self, budget_s: float) -> Sequence[NodeClient]:
        """See `RedisClient`."""
        return [self]

    async def fill(self, budget_s: float = 5.0) -> None:
        """See `RedisClient`."""
        await asyncio.gather(*(self.call([("PING",)], budget_s) for _ in range(self._max)))

    async def close(self) -> None:
        """See `RedisClient`."""
        if self._post_timer is not None:
            self._post_timer.cancel()
            self._post_timer = None
        self._lose_posted()
        for link in self._links:
            link.close()
        self._links.clear()
        self._idle.clear()
        # Transports say goodbye on the loop's next turn.
        await asyncio.sleep(0)
