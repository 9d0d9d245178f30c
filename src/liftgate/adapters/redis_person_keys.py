"""People's keys in Redis or Valkey, for what is no decision: `pipeline.naming.Naming`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.person_keys import PersonKeys, valid
from liftgate.adapters.redis_client import Command, RedisClient, check, guarded
from liftgate.adapters.redis_erasure import moment
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.naming import Named


class RedisPersonKeys:
    """Keys in Redis. `budget_ms` bounds every round trip; there are two where somebody is met for the first time."""

    def __init__(self, client: RedisClient, keys: PersonKeys, breaker: Breaker | None = None, budget_ms: float = 250.0) -> None:
        self._client, self._keys = client, keys
        self._breaker = breaker or Breaker()
        self._budget_s = budget_ms / 1000

    @property
    def key_id(self) -> str:
        """See `pipeline.naming.Naming`."""
        return self._keys.key_id

    async def named(self, people: Sequence[str]) -> Sequence[Named]:
        """See `pipeline.naming.Naming`."""
        unique = list(dict.fromkeys(people))
        try:
            found = dict(zip(unique, await self._owners(unique), strict=True))
        except StoreUnavailable:
            found = dict.fromkeys(unique, (None, None))
        return [Named(*self._keys.pseudonym(person, found[person][0]), found[person][1], found[person][0]) for person in people]

    def account(self, account_id: str, person_id: str, name: Named) -> bytes | None:
        """See `pipeline.naming.Naming`."""
        return self._keys.unit("account", account_id, person_id, name.key) if self._keys.names_units else None

    async def _owners(self, people: Sequence[str]) -> list[tuple[bytes | None, int | None]]:
        """Return keys, and when people were erased. Raises StoreUnavailable."""
        own = [redis_keys.person_key(person) for person in people]
        tombstones = [self._keys.tombstone(person) for person in people]
        n = len(people)
        if self._client.clustered:
            commands: list[Command] = [("MGET", name) for name in (*own, *tombstones)]
            values = [value for (value,) in await self._call(commands)]
        else:
            (values,) = await self._call([("MGET", *own, *tombstones)])
        found = [(valid(key), moment(erased)) for key, erased in zip(values[:n], values[n:], strict=True)]
        new = [row for row, owner in enumerate(found) if owner == (None, None)]
        if new:
            claims = [self._keys.claim(people[row]) for row in new]
            replies = await self._call([claim for _, claim in claims])
            for row, (candidate, _), before in zip(new, claims, replies, strict=True):
                found[row] = candidate if before is None else valid(before), None
        for person, (key, _) in zip(people, found, strict=True):
            self._keys.learn(person, key)
        return found

    async def _call(self, commands: list[Command]) -> list[Any]:
        replies = await guarded(self._client, self._breaker, commands, self._budget_s)
        check(replies)
        return replies
