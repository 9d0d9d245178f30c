"""Erasing people in Redis or Valkey: `pipeline.erasure.ErasureStore`, and erasing them again in a store that was restored from a backup."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import hiredis
import orjson

from liftgate.adapters import redis_keys
from liftgate.adapters.erasure_journal import KEPT_DAYS
from liftgate.adapters.redis_client import Command, RedisClient, check, code
from liftgate.adapters.redis_controls import key_of
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.verdict import parse

TOMBSTONE_MS = KEPT_DAYS * 86_400_000
SETTLE_S = 0.25
"""Decisions under way when somebody is erased have ended by then; what they wrote goes in a second pass."""
_SCANNED = 2_000
"""Keys that a server looks at in one step: well under a millisecond."""
_STEP_S = 5.0


class RedisErasure:
    """Erasures in Redis. `hashed` gives 16 bytes for an id, under a key of their own."""

    def __init__(self, client: RedisClient, hashed: Callable[[str], bytes], settle_s: float = SETTLE_S) -> None:
        self._client = client
        self._hashed = hashed
        self._settle_s = settle_s

    async def erased_at(self, people: Sequence[str], budget_s: float) -> Sequence[int | None]:
        """See `pipeline.erasure.ErasureStore`."""
        keys = [redis_keys.tombstone(self._hashed(person)) for person in people]
        return [moment(value) for value in await self._get(keys, budget_s)]

    async def any_erased(self) -> bool:
        """Say whether anybody's tombstone stands. Each key of the store may be looked at. Raises StoreUnavailable."""
        async for keys in self._like(redis_keys.TOMBSTONES, lambda: _STEP_S):
            if keys:
                return True
        return False

    async def erase(self, person_id: str, account_id: str, at_ms: int, left_s: Callable[[], float]) -> int:
        """See `pipeline.erasure.ErasureStore`."""
        await self._bury({self._hashed(person_id): at_ms}, left_s)
        accounts = redis_keys.of_account(account_id) if account_id else ()
        removed = await self._remove(person_id, accounts, left_s)
        await asyncio.sleep(min(self._settle_s, max(left_s() / 2, 0.0)))
        return removed + await self._remove(person_id, accounts, left_s)

    async def lift(self, person_id: str, budget_s: float) -> None:
        """See `pipeline.erasure.ErasureStore`."""
        check(await self._call([("UNLINK", redis_keys.tombstone(self._hashed(person_id)))], budget_s))

    async def keys_of(self, person_id: str, budget_s: float = 60.0) -> set[bytes]:
        """Return every key that names the person. Raises StoreUnavailable."""
        deadline = asyncio.get_running_loop().time() + budget_s
        found: set[bytes] = set()
        async for keys in self._like(_literal(redis_keys.tag(person_id)) + b"*", lambda: deadline - asyncio.get_running_loop().time()):
            found.update(keys)
        return found

    async def forgot(self, newest: bytes, budget_s: float = _STEP_S) -> bool:
        """Say whether the tombstone of the newest erasure is missing: then the store is older than it. Raises StoreUnavailable."""
        return (await self._get([redis_keys.tombstone(newest)], budget_s))[0] is None

    async def erase_again(self, journal: Mapping[bytes, int]) -> tuple[int, int]:
        """Erase everybody of a journal whose tombstone the store lacks; return (people, values removed). Raises StoreUnavailable.

        Each key of the store is looked at once. What was kept under such an id since goes too, for nobody can tell it apart.
        """
        hashes = list(journal)
        there: list[bytes | None] = []
        for i in range(0, len(hashes), _SCANNED):
            there += await self._get([redis_keys.tombstone(one) for one in hashes[i : i + _SCANNED]], _STEP_S)
        missing = {one: journal[one] for one, value in zip(hashes, there, strict=True) if value is None}
        removed, known = 0, {}
        async for keys in self._like(b"lg:{*}:*", lambda: _STEP_S):
            gone = []
            for key in keys:
                person = redis_keys.person_of(key)
                if person is not None and (hashed := self._hashed(person)) in missing:
                    gone.append(key)
                    known[person] = hashed
            removed += await self._unlink(gone, lambda: _STEP_S)
        removed += await self._of_reviews(set(), lambda person: self._hashed(person) in missing, lambda: _STEP_S)
        # Last: a sweep that was cut short begins again.
        await self._bury(missing, lambda: _STEP_S)
        return len(missing), removed

    async def _bury(self, people: Mapping[bytes, int], left_s: Callable[[], float]) -> None:
        commands: list[Command] = [("SET", redis_keys.tombstone(one), at_ms, "PX", TOMBSTONE_MS) for one, at_ms in people.items()]
        for i in range(0, len(commands), _SCANNED):
            check(await self._call(commands[i : i + _SCANNED], left_s()))

    async def _remove(self, person_id: str, accounts: Iterable[bytes], left_s: Callable[[], float]) -> int:
        """Remove what there is now."""
        tag = redis_keys.tag(person_id)
        (verdicts,) = await self._get([tag + b"v"], left_s())
        settled = {one.review_id for one in parse(verdicts).values()}
        removed = await self._unlink([*(tag + name for name in redis_keys.OWN), *accounts], left_s)
        removed += await self._of_reviews(settled, lambda person: person == person_id, left_s)
        async for keys in self._like(_literal(tag) + b"*", left_s):
            removed += await self._unlink(keys, left_s)
        return removed

    async def _of_reviews(self, settled: set[str], concerns: Callable[[str], bool], left_s: Callable[[], float]) -> int:
        """Remove decisions that wait for a reviewer, or that a verdict stands about."""
        keys = [key_of(f"s:{one}") for one in settled]
        gone: list[bytes] = []
        for kind in (b"d", b"s"):
            async for some in self._like(_literal(key_of("")) + kind + b":*", left_s):
                keys += some
        for i in range(0, len(keys), 500):
            some = keys[i : i + 500]
            gone += [key for key, raw in zip(some, await self._get(some, left_s()), strict=True) if concerns(_asked_of(raw))]
        if not gone:
            return 0
        ids = [key.rsplit(b":", 1)[1] for key in gone]
        check(await self._call([("ZREM", key_of("queue"), *ids)], left_s()))
        return await self._unlink(list(dict.fromkeys(gone)), left_s)

    async def _like(self, pattern: bytes, left_s: Callable[[], float]) -> AsyncIterator[list[bytes]]:
        """Yield the keys that a pattern fits, each at least once, step by step on every server."""
        for server in await self._client.servers(left_s()):
            cursor = b"0"
            while True:
                if left_s() <= 0:
                    raise StoreUnavailable("redis: no time is left")
                (reply,) = await server.call([("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED)], min(left_s(), _STEP_S))
                check([reply])
                cursor, keys = reply
                if keys:
                    yield keys
                if cursor == b"0":
                    break

    async def _unlink(self, keys: Sequence[bytes], left_s: Callable[[], float]) -> int:
        removed = 0
        for i in range(0, len(keys), 500):
            replies = await self._call([("UNLINK", key) for key in keys[i : i + 500]], left_s())
            check(replies)
            removed += sum(replies)
        return removed

    async def _get(self, keys: Sequence[bytes], budget_s: float) -> list[bytes | None]:
        """Return what is stored; a key of another type is b""."""
        replies = await self._call([("GET", key) for key in keys], budget_s)
        check([reply for reply in replies if not _wrong_type(reply)])
        return [b"" if _wrong_type(reply) else reply for reply in replies]

    async def _call(self, commands: Sequence[Command], budget_s: float) -> list[Any]:
        if not commands:
            return []
        if budget_s <= 0:
            raise StoreUnavailable("redis: no time is left")
        return await self._client.call(commands, min(budget_s, _STEP_S))


def _wrong_type(reply: object) -> bool:
    return isinstance(reply, hiredis.ReplyError) and code(reply) == "WRONGTYPE"


def _literal(text: bytes) -> bytes:
    """Return a pattern that only this text fits."""
    return b"".join([b"\\" + bytes([one]) if one in b"*?[]\\^-" else bytes([one]) for one in text])


def moment(value: bytes | None) -> int | None:
    """Return what a tombstone says; None: there is none."""
    if value is None:
        return None
    with suppress(ValueError):
        return int(value)
    return 2**53  # not readable: erased, and nobody knows since when


def _asked_of(raw: bytes | None) -> str:
    """Return whom a decision under review concerns; a NUL, which is nobody, where it cannot be read."""
    try:
        return str(orjson.loads(raw or b"")["person_id"])
    except (ValueError, KeyError, TypeError):
        return "\0"
