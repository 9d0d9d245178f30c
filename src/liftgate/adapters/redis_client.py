"""Clients for Redis and Valkey: a whole batch of commands in one round trip, within a budget, or StoreUnavailable.

redis-py reads the URL (`redis_address.py`); the sockets are `redis_wire.Link`s in a pool (`redis_node.py`), because a call through
redis-py's own asyncio connections costs more than three times the CPU (docs/redis.md has the figures). There are no retries: the stage's
fallback is the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_address import Address, without_cluster
from liftgate.adapters.redis_node import NodeClient
from liftgate.adapters.redis_pack import Command
from liftgate.adapters.redis_wire import check, code
from liftgate.domain.errors import StoreUnavailable

__all__ = ["Command", "NodeClient", "check", "code"]

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

    def call(self, commands: Sequence[Command], budget_s: float | None = None) -> Awaitable[list[Any]]:
        """Return one reply each, in order; an error reply is a hiredis.ReplyError value. One round trip (per server).

        Raises StoreUnavailable within the budget; then any of the commands may or may not have run.
        """
        ...


class RedisClient(Calling, Protocol):
    """What the adapters need of a client. Belongs to one event loop."""

    where: str
    """Of the server, or of the one that a Cluster was named by: HOST:PORT or a path."""

    def post(self, commands: Sequence[Command]) -> Awaitable[list[Any]]:
        """Return what `call` does, of commands in no hurry: they go out ahead of the next call, or alone after POST_S.

        So they cost no round trip of their own. Raises StoreUnavailable, of a slot that has moved and a server without a connection
        too: any of them may or may not have run.
        """
        ...

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


def guarded(client: Calling, breaker: Breaker, commands: Sequence[Command], budget_s: float, hurried: bool = False) -> Awaitable[list[Any]]:
    """Call through a breaker. Raises StoreUnavailable, at once while the breaker is open.

    A `hurried` call has less time than the server may fairly take: that it was too late says nothing about the server.
    """
    if not breaker.failures and isinstance(client, NodeClient):
        replies = client.at_once(commands, budget_s, None if hurried else breaker)
        if replies is not None:
            return replies
    return _guarded(client, breaker, commands, budget_s, hurried)


async def _guarded(client: Calling, breaker: Breaker, commands: Sequence[Command], budget_s: float, hurried: bool) -> list[Any]:
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
