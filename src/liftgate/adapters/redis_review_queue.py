"""Single decisions that wait for a reviewer, in Redis or Valkey: `pipeline.ports.ReviewQueue`.

    lg:control{lg}:queue         ZSET of ids by their end        lg:control{lg}:d:<id>   one decision, JSON
    lg:{<person>}:v              the person's verdicts   lg:control{lg}:s:<id>   one that a verdict stands about, JSON

Every key ends by itself: decisions after `ttl_ms`, settled ones with their verdicts, verdicts with the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

import hiredis
import orjson

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command, RedisClient, code
from liftgate.adapters.redis_controls import DEFAULT_BUDGET_MS, key_of
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.verdict import Asked, Verdict, parse, stored
from liftgate.pipeline.ports import Clock

TTL_MS = 7 * 24 * 60 * 60 * 1000
"""A decision that nobody looked at for so long is forgotten; the next one for the person asks again."""
LIMIT = 10_000
"""Decisions that wait at once."""
_TRIES = 5


class RedisReviewQueue:
    """The queue in Redis. `budget_ms` bounds every call."""

    def __init__(
        self, client: RedisClient, clock: Clock, budget_ms: float = DEFAULT_BUDGET_MS, ttl_ms: int = TTL_MS, limit: int = LIMIT
    ) -> None:
        if ttl_ms < 1:
            raise ValueError("the queue's time to live must be at least 1 ms")
        self._client = client
        self._clock = clock
        self._budget_s = budget_ms / 1000
        self._ttl_ms, self._limit = ttl_ms, limit

    async def put(self, asked: Sequence[Asked]) -> int:
        """See `pipeline.ports.ReviewQueue`."""
        keys = [key_of("queue"), *(_key(one.review_id) for one in asked)]
        values: list[bytes | str | int] = [self._clock.now_ms(), self._ttl_ms, self._limit]
        for one in asked:
            values += (one.review_id, orjson.dumps(asdict(one)))
        return int(await self._one(("EVAL", _body("review_put.lua"), len(keys), *keys, *values)))

    async def waiting(self, limit: int = 500) -> Sequence[Asked]:
        """See `pipeline.ports.ReviewQueue`."""
        ids = await self._one(("ZRANGEBYSCORE", key_of("queue"), self._clock.now_ms(), "+inf", "LIMIT", 0, limit))
        if not ids:
            return []
        values = await self._one(("MGET", *(_key(one.decode()) for one in ids)))
        return [asked for value in values if (asked := _asked(value)) is not None]

    async def get(self, review_id: str) -> Asked | None:
        """See `pipeline.ports.ReviewQueue`."""
        return _asked(await self._one(("GET", _key(review_id))))

    async def settle(self, asked: Asked, verdict: Verdict) -> None:
        """See `pipeline.ports.ReviewQueue`."""
        # First: a verdict that nobody could withdraw must not stand.
        left_ms = max(verdict.until_ms - self._clock.now_ms(), 1)
        await self._one(("SET", _settled_key(asked.review_id), orjson.dumps(asdict(asked)), "PX", left_ms))
        await self._change(asked, lambda verdicts: verdicts | {asked.offer_id: verdict})
        await self._one(("DEL", _key(asked.review_id)))
        await self._one(("ZREM", key_of("queue"), asked.review_id))

    async def settled(self, review_id: str) -> tuple[Asked, Verdict] | None:
        """See `pipeline.ports.ReviewQueue`."""
        asked = _asked(await self._one(("GET", _settled_key(review_id))))
        if asked is None:
            return None
        verdict = parse(await self._one(("GET", redis_keys.verdicts(asked.person_id)))).get(asked.offer_id)
        stands = verdict is not None and verdict.review_id == review_id and self._clock.now_ms() < verdict.until_ms
        return (asked, verdict) if stands and verdict is not None else None

    async def withdraw(self, asked: Asked) -> bool:
        """See `pipeline.ports.ReviewQueue`."""

        def without(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
            return {offer: one for offer, one in verdicts.items() if one.review_id != asked.review_id}

        changed = await self._change(asked, without)
        await self._one(("DEL", _settled_key(asked.review_id)))
        return changed

    async def _change(self, asked: Asked, to: Callable[[dict[str, Verdict]], dict[str, Verdict]]) -> bool:
        """Change the verdicts that stand for the person, and return whether they are others now. Raises StoreUnavailable."""
        key = redis_keys.verdicts(asked.person_id)
        for _ in range(_TRIES):
            before = await self._one(("GET", key))
            now_ms = self._clock.now_ms()
            standing = {offer: one for offer, one in parse(before).items() if now_ms < one.until_ms}
            after = to(standing)
            if after == standing:
                return False
            ends = max([1, *(one.until_ms - now_ms for one in after.values())])
            if await self._one(("EVAL", _body("verdict_set.lua"), 1, key, before or b"", stored(after), ends)):
                return True
        raise StoreUnavailable("redis: others changed the same person's verdicts all the time")

    async def _one(self, command: Command) -> Any:
        (reply,) = await self._client.call([command], self._budget_s)
        if isinstance(reply, hiredis.ReplyError):
            raise StoreUnavailable(f"redis: error reply {code(reply)}")
        return reply


def _key(review_id: str) -> bytes:
    return key_of(f"d:{review_id}")


def _settled_key(review_id: str) -> bytes:
    return key_of(f"s:{review_id}")


def _asked(raw: Any) -> Asked | None:
    try:
        return Asked(**orjson.loads(raw)) if raw else None
    except (ValueError, TypeError):
        return None


@cache
def _body(name: str) -> bytes:
    return files("liftgate.adapters").joinpath("lua", name).read_bytes()
