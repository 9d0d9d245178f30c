"""Consent documents in Redis or Valkey: `pipeline.consent_store.ConsentStore`, one key a person and one of its history,
changed by compare-and-set."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import hiredis

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import Command, RedisClient, check, code, guarded
from liftgate.domain.consent_history import KEPT
from liftgate.domain.errors import StoreUnavailable

NOT_TEXT = b"\0"
"""What `get` says of a key that holds no string: no document, and nothing that a change can start from."""


@cache
def _swap() -> tuple[bytes, bytes]:
    body = files("liftgate.adapters").joinpath("lua", "consent_swap.lua").read_bytes()
    return body, sha1(body, usedforsecurity=False).hexdigest().encode()


class RedisConsent:
    """Consent in Redis. Calls take part in the breaker and never open it: their budgets are their callers'."""

    def __init__(self, client: RedisClient, breaker: Breaker | None = None) -> None:
        self._client = client
        self._breaker = breaker or Breaker()

    async def get(self, person_id: str, budget_s: float) -> bytes | None:
        """See `pipeline.consent_store.ConsentStore`."""
        (reply,) = await self._call([("GET", redis_keys.consent(person_id))], budget_s)
        if isinstance(reply, hiredis.ReplyError) and code(reply) == "WRONGTYPE":
            return NOT_TEXT
        check([reply])
        return reply  # type: ignore[no-any-return]

    async def last(self, person_id: str, budget_s: float) -> bytes | None:
        """See `pipeline.consent_store.ConsentStore`."""
        (reply,) = await self._call([("LINDEX", redis_keys.consent_history(person_id), -1)], budget_s)
        check([reply])
        return reply  # type: ignore[no-any-return]

    async def history(self, person_id: str, budget_s: float) -> list[bytes]:
        """See `pipeline.consent_store.ConsentStore`."""
        (reply,) = await self._call([("LRANGE", redis_keys.consent_history(person_id), 0, -1)], budget_s)
        check([reply])
        return list(reply)

    async def swap(
        self,
        person_id: str,
        before: bytes | None,
        after: bytes,
        budget_s: float,
        *,
        last: bytes | None = None,
        entry: bytes = b"",
        forget: bool = False,
    ) -> bool:
        """See `pipeline.consent_store.ConsentStore`."""
        body, digest = _swap()
        deadline = asyncio.get_running_loop().time() + budget_s
        own = (redis_keys.consent(person_id), redis_keys.consent_history(person_id), *([redis_keys.windows(person_id)] if forget else ()))
        arguments = (len(own), *own, "0" if before is None else "1", before or b"", after, entry, last or b"", KEPT)
        (reply,) = await self._call([("EVALSHA", digest, *arguments)], budget_s)
        if isinstance(reply, hiredis.ReplyError) and code(reply) == "NOSCRIPT":
            (reply,) = await self._call([("EVAL", body, *arguments)], deadline - asyncio.get_running_loop().time())
        check([reply])
        return bool(reply)

    async def _call(self, commands: Sequence[Command], budget_s: float) -> list[Any]:
        if budget_s <= 0:
            raise StoreUnavailable("redis: no time is left")
        return await guarded(self._client, self._breaker, commands, budget_s, hurried=True)
