"""Which events are in the event log already: `pipeline.ports.EventsSeen` in Redis or Valkey, one key an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import DEFAULT_BUDGET_MS, Command, RedisClient, check, code, guarded
from liftgate.pipeline.ports import EventKey, Seen

DEFAULT_HORIZON_MS = 24 * 60 * 60 * 1000
EVENT_BUDGET_MS = 250.0
"""Of a call about events: a batch has up to 1,000 of them, and nobody waits for a page to be shown."""
_VALUES = {Seen.LOGGED: b"L", Seen.REVOKED: b"R"}
"""As `lua/count.lua` reads them."""
_SEEN = {value: seen for seen, value in _VALUES.items()}


class RedisEventsSeen:
    """Events seen, in Redis. `horizon_ms` is how long they are remembered, `budget_ms` bounds every call."""

    def __init__(
        self,
        client: RedisClient,
        breaker: Breaker | None = None,
        budget_ms: float = DEFAULT_BUDGET_MS,
        horizon_ms: int = DEFAULT_HORIZON_MS,
    ) -> None:
        if horizon_ms < 1:
            raise ValueError("the horizon of events must be at least 1 ms")
        self._client = client
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000
        self._horizon_ms = horizon_ms

    async def look(self, keys: Sequence[EventKey], people: Sequence[str] = ()) -> tuple[Sequence[Seen], Sequence[bytes | None]]:
        """See `pipeline.ports.EventsSeen`."""
        if not keys and not people:
            return [], []
        names = [redis_keys.event(*key) for key in keys]
        documents = [redis_keys.consent(person) for person in people]
        if self._client.clustered:
            replies = await self._call([("MGET", name) for name in names] + [("GET", name) for name in documents])
            values, found = [value for (value,) in replies[: len(names)]], [_certain(reply) for reply in replies[len(names) :]]
        else:
            # MGET says nothing of keys of other types, and many GETs cost more than the rest: how many keys there are tells.
            there: list[Command] = [("EXISTS", *documents)] if documents else []
            replies = await self._call([("MGET", *names, *documents), *there])
            values, found = replies[0][: len(names)], replies[0][len(names) :]
            if there and replies[1] != len(found) - found.count(None):
                found = [_certain(reply) for reply in await self._call([("GET", name) for name in documents])]
        return [_SEEN.get(value, Seen.UNKNOWN) for value in values], found

    async def _call(self, commands: Sequence[Command]) -> list[Any]:
        replies = await guarded(self._client, self._breaker, commands, self._budget_s)
        check([reply for reply in replies if not _wrong_type(reply)])
        return replies

    async def confirm(self, keys: Sequence[EventKey], seen: Seen = Seen.LOGGED) -> None:
        """See `pipeline.ports.EventsSeen`."""
        if keys:
            check(await guarded(self._client, self._breaker, remember(keys, seen, self._horizon_ms), self._budget_s))


def remember(keys: Sequence[EventKey], seen: Seen, horizon_ms: int) -> list[Command]:
    """Return the commands after which events are known as seen."""
    value = _VALUES[seen]
    return [("SET", redis_keys.event(*key), value, "PX", horizon_ms) for key in keys]


def _certain(reply: Any) -> bytes | None:
    """Return a document: a key of another type is no document, and not the absence of one."""
    return b"" if _wrong_type(reply) else cast("bytes | None", reply)


def _wrong_type(reply: object) -> bool:
    return isinstance(reply, hiredis.ReplyError) and code(reply) == "WRONGTYPE"
