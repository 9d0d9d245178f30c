"""Who published a bundle: one hash a digest, a field for each author. Reviews ask it, because an author may not approve their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from liftgate.adapters.redis_client import RedisClient, check

_BUDGET_S = 1.0


@dataclass(frozen=True, slots=True)
class Published:
    """One announcement of a bundle."""

    author: str
    """The operator's name."""
    at_ms: int
    reason: str
    bundle: str
    previous_digest: str


class RedisPublished:
    """Announcements by digest. Every call may raise StoreUnavailable."""

    def __init__(self, client: RedisClient, budget_s: float = _BUDGET_S) -> None:
        self._client = client
        self._budget_s = budget_s

    async def announce(self, digest: str, published: Published) -> None:
        """Keep an author. Who published a digest first stays its author when others publish it again; they become authors too."""
        value = orjson.dumps(
            {
                "at_ms": published.at_ms,
                "reason": published.reason,
                "bundle": published.bundle,
                "previous_digest": published.previous_digest,
            }
        )
        check(await self._client.call([("HSETNX", _key(digest), published.author, value)], self._budget_s))

    async def authors(self, digest: str) -> tuple[Published, ...]:
        """Return everyone who published a digest, first one first; empty: nobody announced it."""
        replies = await self._client.call([("HGETALL", _key(digest))], self._budget_s)
        check(replies)
        reply = replies[0]
        pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
        found = []
        for author, value in pairs:
            said = orjson.loads(value)
            found.append(Published(author.decode(), int(said["at_ms"]), said["reason"], said["bundle"], said["previous_digest"]))
        return tuple(sorted(found, key=lambda one: (one.at_ms, one.author)))


def _key(digest: str) -> bytes:
    return b"lg:published:" + digest.encode()
