"""Which events are in the event log already: `pipeline.ports.EventsSeen` in Redis or Valkey, one key an event."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import DEFAULT_BUDGET_MS, Command, RedisClient, check, guarded
from liftgate.pipeline.ports import EventKey

DEFAULT_HORIZON_MS = 24 * 60 * 60 * 1000
_LOGGED = b"L"


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

    async def logged(self, keys: Sequence[EventKey]) -> Sequence[bool]:
        """See `pipeline.ports.EventsSeen`."""
        return [reply == _LOGGED for reply in await self._run([("GET", _key(key)) for key in keys])]

    async def confirm(self, keys: Sequence[EventKey]) -> None:
        """See `pipeline.ports.EventsSeen`."""
        await self._run([("SET", _key(key), _LOGGED, "PX", self._horizon_ms) for key in keys])

    async def _run(self, commands: list[Command]) -> Sequence[object]:
        if not commands:
            return []
        replies = await guarded(self._client, self._breaker, commands, self._budget_s)
        check(replies)
        return replies


def _key(key: EventKey) -> bytes:
    return redis_keys.event(key.person_id, key.event_id)
