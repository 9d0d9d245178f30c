"""Feature states computed offline, put in the place of those in Redis or Valkey; and who there is to do that for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import Command, RedisClient, check
from liftgate.adapters.redis_script import run_script
from liftgate.domain.errors import StoreUnavailable

_CHUNK = 500
_BUDGET_S = 5.0
_ENDINGS = (b"}:p", b"}:f", b"}:c", b"}:w")
"""Keys that say that there is such a person."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one person before a backfill."""

    digest: str
    """Of the feature state, hexadecimal SHA-1; empty: there is none."""
    consent: bytes | None


class RedisBackfill:
    """Reads and replaces feature states, many people a round trip."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def people(self) -> AsyncIterator[str]:
        """Yield the id of everyone of whom a profile, a consent or a feature state is stored. One server only."""
        if self._client.clustered:
            raise StoreUnavailable("a Cluster cannot be asked for everyone: name the people with --people FILE")
        cursor, seen = b"0", set[str]()
        while True:
            (reply,) = await self._client.call([("SCAN", cursor, "MATCH", "lg:{*}:[pfcw]", "COUNT", 1000)], _BUDGET_S)
            check([reply])
            cursor, keys = reply
            for key in keys:
                person_id = _person_of(key)
                if person_id is not None and person_id not in seen:
                    seen.add(person_id)
                    yield person_id
            if cursor == b"0":
                return

    async def stored(self, people: Sequence[str]) -> dict[str, Stored]:
        """Return what is stored of people. Raises StoreUnavailable."""
        found = {}
        for i in range(0, len(people), _CHUNK):
            some = people[i : i + _CHUNK]
            reads: list[Command] = [("MGET", redis_keys.windows(person), redis_keys.consent(person)) for person in some]
            replies = await self._client.call(reads, _BUDGET_S)
            check(replies)
            for person, (state, consent) in zip(some, replies, strict=True):
                found[person] = Stored("" if state is None else sha1(state, usedforsecurity=False).hexdigest(), consent)
        return found

    async def replace(self, states: Mapping[str, bytes | None], before: Mapping[str, Stored], lives_ms: int) -> list[str]:
        """Replace people's states, None: remove it. Return whose has changed since `before` was read. Raises StoreUnavailable."""
        changed = []
        people, size = list(states), 1 if self._client.clustered else 100
        for i in range(0, len(people), _CHUNK):
            some = people[i : i + _CHUNK]
            calls = []
            for j in range(0, len(some), size):
                part = some[j : j + size]
                arguments = [[before[person].digest.encode(), states[person] or b"", b"%d" % lives_ms] for person in part]
                calls.append(([redis_keys.windows(person) for person in part], [each for three in arguments for each in three]))
            replies = await run_script("features_swap.lua", calls, self._client, Breaker(), _BUDGET_S)
            flags = [flag for reply in replies for flag in reply]
            changed += [person for person, flag in zip(some, flags, strict=True) if not flag]
        return changed


def _person_of(key: bytes) -> str | None:
    """Return whose key it is; None: not a person's."""
    if not key.startswith(b"lg:{") or not key.endswith(_ENDINGS) or key.startswith((b"lg:{%a:", b"lg:{%t:")):
        return None
    text = key[4:-3].decode("utf-8", "surrogatepass")
    if text == "%":
        return ""
    return text.replace("%7B", "{").replace("%7D", "}").replace("%25", "%")
