"""Which events are in the event log already: `pipeline.event_ports.EventsSeen` in Redis or Valkey, one key an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.cluster_person_keys import ClusterAsking
from liftgate.adapters.errand import promptly
from liftgate.adapters.person_keys import Asking, PersonKeys
from liftgate.adapters.redis_client import DEFAULT_BUDGET_MS, Command, RedisClient, check, code
from liftgate.adapters.redis_erasure import moment
from liftgate.pipeline.event_ports import EventKey, Looked, Seen
from liftgate.pipeline.naming import Named

DEFAULT_HORIZON_MS = 24 * 60 * 60 * 1000
EVENT_BUDGET_MS = 250.0
"""Of a call about events: a batch has up to 1,000 of them, and nobody waits for a page to be shown."""
_VALUES = {Seen.LOGGED: b"L", Seen.REVOKED: b"R"}
"""As `lua/count.lua` reads them."""
_SEEN = {value: seen for seen, value in _VALUES.items()}


class _Named:
    """As much of a `PersonKey` as asking for a key looks at, and a third of its making."""

    __slots__ = ("person_id",)
    keyed = True

    def __init__(self, person_id: str) -> None:
        self.person_id = person_id


class RedisEventsSeen:
    """Events seen, in Redis. `horizon_ms` is how long they are remembered, `budget_ms` bounds every call."""

    def __init__(
        self,
        client: RedisClient,
        breaker: Breaker | None = None,
        budget_ms: float = DEFAULT_BUDGET_MS,
        horizon_ms: int = DEFAULT_HORIZON_MS,
        keys: PersonKeys | None = None,
    ) -> None:
        """`keys` makes what stands for people; None: somebody else does."""
        if horizon_ms < 1:
            raise ValueError("the horizon of events must be at least 1 ms")
        self._client = client
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000
        self._horizon_ms = horizon_ms
        self._keys = keys

    async def look(self, keys: Sequence[EventKey], people: Sequence[str] = (), named: Sequence[str] = ()) -> Looked:
        """See `pipeline.event_ports.EventsSeen`."""
        if not keys and not people and not named:
            return Looked([], [])
        tag, name_of = redis_keys.tag, redis_keys.event
        names = [name_of(person_id, event_id, tag(person_id)) for person_id, event_id in keys]
        documents = [tag(person) + b"c" for person in people]
        asking = None
        if self._keys is not None and named:
            asking = (ClusterAsking if self._client.clustered else Asking)(self._keys, [_Named(person) for person in named])
        first: list[Command]
        there: list[Command] = []
        if self._client.clustered:
            first = [*(("MGET", name) for name in names), *(("GET", name) for name in documents)]
        else:
            # MGET says nothing of keys of other types, and many GETs cost more than the rest: how many keys there are tells.
            first = [("MGET", *names, *documents)] if names or documents else []
            there = [("EXISTS", *documents)] if documents else []
        replies = await self._call([*first, *there, *([] if asking is None else asking.commands)])
        if self._client.clustered:
            values, found = [value for (value,) in replies[: len(names)]], [_certain(reply) for reply in replies[len(names) : len(first)]]
        else:
            values = replies[0] if first else []
            values, found = values[: len(names)], values[len(names) :]
            if there and replies[1] != len(found) - found.count(None):
                found = [_certain(reply) for reply in await self._call([("GET", name) for name in documents])]
        who = None if asking is None else await self._named(asking, named, replies[len(first) + len(there) :])
        return Looked([_SEEN.get(value, Seen.UNKNOWN) for value in values], found, who)

    async def _named(self, asking: Asking, people: Sequence[str], replies: Sequence[Any]) -> list[Named]:
        """Return what stands for people, by the replies to what was asked of their keys."""
        ring = self._keys
        assert ring is not None
        asking.take(replies)
        keys = asking.keys if asking.at_once() else await asking.settled(self._call)
        erased_at: dict[int, int | None] = {}
        if asking.erased:
            tombstones = await self._call([("GET", ring.tombstone(people[row])) for row in asking.erased])
            erased_at = {row: moment(value) for row, value in zip(asking.erased, tombstones, strict=True)}
        if None not in keys:
            return ring.names(people, cast("Sequence[bytes]", keys))
        return [
            Named(*ring.pseudonym(person, key), erased_at.get(row), key) for row, (person, key) in enumerate(zip(people, keys, strict=True))
        ]

    async def _call(self, commands: Sequence[Command]) -> list[Any]:
        replies = await promptly(self._client, self._breaker, list(commands), self._budget_s)
        check([reply for reply in replies if not _wrong_type(reply)])
        return replies

    async def confirm(self, keys: Sequence[EventKey], seen: Seen = Seen.LOGGED) -> None:
        """See `pipeline.event_ports.EventsSeen`."""
        if keys:
            check(await promptly(self._client, self._breaker, remember(keys, seen, self._horizon_ms), self._budget_s))


def remember(keys: Sequence[EventKey], seen: Seen, horizon_ms: int) -> list[Command]:
    """Return the commands after which events are known as seen."""
    value = _VALUES[seen]
    return [("SET", redis_keys.event(*key), value, "PX", horizon_ms) for key in keys]


def _certain(reply: Any) -> bytes | None:
    """Return a document: a key of another type is no document, and not the absence of one."""
    return b"" if _wrong_type(reply) else cast("bytes | None", reply)


def _wrong_type(reply: object) -> bool:
    return isinstance(reply, hiredis.ReplyError) and code(reply) == "WRONGTYPE"
