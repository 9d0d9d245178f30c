"""Clients for Redis and Valkey: a whole batch of commands in one round trip, within a budget, or StoreUnavailable.

redis-py reads the URL (`redis_address.py`); the sockets are `redis_wire.Link`s, because a call through redis-py's own asyncio
connections costs more than three times the CPU (docs/redis.md has the figures). There are no retries: the stage's fallback is the answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import hiredis

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_address import Address, without_cluster
from liftgate.adapters.redis_wire import Link
from liftgate.domain.errors import StoreUnavailable

Command = tuple[bytes | str | int, ...]
"""A command's name and arguments, as they go out. The key of one with a single key stands second, in EVAL and EVALSHA fourth."""

DEFAULT_BUDGET_MS = 8.0


_USUAL_BATCH = 32


def allowance_s(budget_s: float, people: int) -> float:
    """Return what a call for so many people may take: up to 32 the budget; beyond it so much a person, as the server needs longer
    and, with a service that is full, another batch is walked meanwhile."""
    return budget_s if people <= _USUAL_BATCH else budget_s * people / _USUAL_BATCH


AWAY: Any = object()
"""In place of a reply: the server did not give any. Only where a Cluster is asked in parts (`redis_parts.py`)."""


class PartAway(StoreUnavailable):
    """A server of a Cluster is away, others answer: no reason to stop asking the Cluster, whose servers have breakers of their own."""


class Calling(Protocol):
    """What takes commands."""

    clustered: bool
    """True: keys of different people may lie on different servers, so a command may name one person's keys only."""
    budget_s: float
    """How long a call may take where nothing else is said, connecting included."""

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """Return one reply each, in order; an error reply is a hiredis.ReplyError value. One round trip (per server).

        Raises StoreUnavailable within the budget; then any of the commands may or may not have run.
        """
        ...


class RedisClient(Calling, Protocol):
    """What the adapters need of a client. Belongs to one event loop."""

    async def servers(self, budget_s: float) -> Sequence[RedisClient]:
        """Return every server that holds keys, for commands without one. Raises StoreUnavailable."""
        ...

    async def fill(self, budget_s: float = 5.0) -> None:
        """Open every connection that the pool may hold. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def connect(url: str, budget_ms: float = DEFAULT_BUDGET_MS, max_connections: int = 8) -> RedisClient:
    """Return a client for `redis://`, `rediss://` or `unix://`; for a Cluster `redis+cluster://`, `rediss+cluster://` or `?cluster=1`.

    Nothing is sent yet. `budget_ms` bounds a whole call; `max_connections` holds per server. Raises ValueError on a wrong URL.
    """
    if not 0 < budget_ms <= 60_000:
        raise ValueError(f"the Redis budget must lie in (0, 60000] ms, not {budget_ms}")
    if max_connections < 1:
        raise ValueError("a Redis pool needs at least one connection")
    clustered, plain = without_cluster(url)
    address = Address.parse(plain)
    if not clustered:
        return NodeClient(address, budget_ms / 1000, max_connections)
    if address.path:
        raise ValueError("a Cluster is reached over TCP: redis+cluster://HOST:PORT")
    from liftgate.adapters.redis_cluster import ClusterClient

    return ClusterClient(address, budget_ms / 1000, max_connections)


async def guarded(client: Calling, breaker: Breaker, commands: Sequence[Command], budget_s: float, hurried: bool = False) -> list[Any]:
    """Call through a breaker. Raises StoreUnavailable, at once while the breaker is open.

    A `hurried` call has less time than the server may fairly take: that it was too late says nothing about the server.
    """
    if breaker.failures and not breaker.admit():
        raise StoreUnavailable("redis: the breaker is open")
    try:
        replies = await client.call(commands, budget_s)
    except PartAway:
        breaker.succeeded()
        raise
    except StoreUnavailable:
        if not hurried:
            breaker.failed()
        raise
    if breaker.failures:
        breaker.succeeded()
    return replies


def code(error: Any) -> str:
    """Return an error reply's first word, such as `NOSCRIPT`. The rest may quote a person's key and goes nowhere."""
    word = str(error).split(" ", 1)[0]
    return word if word.isalpha() and word.isupper() else "ERR"


def check(replies: Sequence[Any]) -> None:
    """Raise StoreUnavailable when any reply is an error."""
    if hiredis.ReplyError in map(type, replies):
        error = next(reply for reply in replies if isinstance(reply, hiredis.ReplyError))
        raise StoreUnavailable(f"redis: error reply {code(error)}")


class NodeClient:
    """One server, a bounded pool of links. A link is used by one call at a time, the last used first."""

    clustered = False

    def __init__(self, address: Address, budget_s: float, max_connections: int) -> None:
        self.budget_s = budget_s
        self._address = address
        self._max = max_connections
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        """Idle or lent."""
        # A semaphore of asyncio's costs more a call than all of this.
        self._free = max_connections
        self._turns: deque[asyncio.Future[None]] = deque()

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """See `RedisClient`."""
        if not commands:
            return []
        deadline = asyncio.get_running_loop().time() + (self.budget_s if budget_s is None else budget_s)
        if self._free and self._idle and self._idle[-1].usable:
            self._free -= 1
            link = self._idle.pop()
        else:
            link = await self._lend(deadline)
        try:
            replies = await link.exchange(commands, deadline)
        except BaseException as error:
            link.close()
            self._links.discard(link)
            self._pass_on()
            if isinstance(error, OSError):
                raise StoreUnavailable(f"redis: {type(error).__name__}") from None
            raise
        self._idle.append(link)
        if self._turns:
            self._pass_on()
        else:
            self._free += 1
        return replies

    async def _lend(self, deadline: float) -> Link:
        """Return a link, once there is a place for one more call. Raises StoreUnavailable."""
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
        self._links.add(link)
        return link

    async def servers(self, budget_s: float) -> Sequence[RedisClient]:
        """See `RedisClient`."""
        return [self]

    async def fill(self, budget_s: float = 5.0) -> None:
        """See `RedisClient`."""
        await asyncio.gather(*(self.call([("PING",)], budget_s) for _ in range(self._max)))

    async def close(self) -> None:
        """See `RedisClient`."""
        for link in self._links:
            link.close()
        self._links.clear()
        self._idle.clear()
        # Transports say goodbye on the loop's next turn.
        await asyncio.sleep(0)
