"""Single decisions that wait for a reviewer, in Redis or Valkey: `pipeline.ports.ReviewQueue`.

    lg:control{lg}:queue         ZSET of ids by their end        lg:control{lg}:d:<id>   one decision, JSON
    lg:{<person>}:v              the person's verdicts

Every key ends by itself: decisions after `ttl_ms`, verdicts with the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        key = redis_keys.verdicts(asked.person_id)
        for _ in range(_TRIES):
            before = await self._one(("GET", key))
            now_ms = self._clock.now_ms()
            verdicts = {offer: one for offer, one in parse(before).items() if now_ms < one.until_ms} | {asked.offer_id: verdict}
            ends = max(max(one.until_ms for one in verdicts.values()) - now_ms, 1)
            if await self._one(("EVAL", _body("verdict_set.lua"), 1, key, before or b"", stored(verdicts), ends)):
                await self._one(("DEL", _key(asked.review_id)))
                await self._one(("ZREM", key_of("queue"), asked.review_id))
                return
        raise StoreUnavailable("redis: others changed the same person's verdicts all the time")

    async def _one(self, command: Command) -> Any:
        (reply,) = await self._client.call([command], self._budget_s)
        if isinstance(reply, hiredis.ReplyError):
            raise StoreUnavailable(f"redis: error reply {code(reply)}")
        return reply


def _key(review_id: str) -> bytes:
    return key_of(f"d:{review_id}")


def _asked(raw: Any) -> Asked | None:
    try:
        return Asked(**orjson.loads(raw)) if raw else None
    except (ValueError, TypeError):
        return None


@cache
def _body(name: str) -> bytes:
    return files("liftgate.adapters").joinpath("lua", name).read_bytes()
