"""Features that events keep fresh, in Redis or Valkey: `pipeline.signal_ports.FeatureEvents`. The script is `lua/features.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import DEFAULT_BUDGET_MS, Command, RedisClient, check, guarded
from liftgate.adapters.redis_events import DEFAULT_HORIZON_MS
from liftgate.adapters.redis_reservations import run_script
from liftgate.pipeline.signal_ports import FeatureUpdate, UpdateStatus
from liftgate.signals.plan import FeaturePlan

CHUNK = 64
"""Events in one script call: bounds how long the server is busy with it."""

_HEADER = Struct("<ddB")
_COUNTS = Struct("<Id")
_AHEAD_MS = 5 * 60 * 1000
"""Events may lie so far ahead of our clock."""


class RedisFeatureEvents:
    """Features in Redis. `horizon_ms` is how long an event is known, `budget_ms` bounds every call."""

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

    async def consents(self, person_ids: Sequence[str]) -> Sequence[bytes | None]:
        """See `pipeline.signal_ports.FeatureEvents`."""
        if not person_ids:
            return []
        keys = [redis_keys.consent(person_id) for person_id in person_ids]
        reads: list[Command]
        if self._client.clustered:
            reads = [*(("MGET", key) for key in keys), *(("EXISTS", key) for key in keys)]
        else:
            reads = [("MGET", *keys), ("EXISTS", *keys)]
        replies = await guarded(self._client, self._breaker, reads, self._budget_s)
        check(replies)
        half = len(replies) // 2
        documents: list[bytes | None] = [value for reply in replies[:half] for value in reply]
        if sum(replies[half:]) != sum(document is not None for document in documents):
            # A key of another type is there: whose it is cannot be told, and unreadable is no.
            documents = [b"" if document is None else document for document in documents]
        return documents

    async def apply(self, updates: Sequence[FeatureUpdate], plan: FeaturePlan, now_ms: int) -> Sequence[UpdateStatus]:
        """See `pipeline.signal_ports.FeatureEvents`."""
        if not updates:
            return []
        size = 1 if self._client.clustered else CHUNK
        bounds = plan.packed_bounds(now_ms)
        calls = [self._call(updates[i : i + size], bounds, plan.most_bytes) for i in range(0, len(updates), size)]
        replies = await run_script("features.lua", calls, self._client, self._breaker, self._budget_s)
        return [UpdateStatus(reply) for chunk in replies for reply in chunk]

    def _call(self, updates: Sequence[FeatureUpdate], bounds: bytes, most_bytes: int) -> tuple[list[bytes], list[bytes]]:
        keys: list[bytes] = []
        arguments: list[bytes] = []
        for update in updates:
            person = redis_keys.tag(update.key.person_id)
            keys += (redis_keys.event(update.key.person_id, update.key.event_id), person + b"w")
            arguments += (_HEADER.pack(self._horizon_ms, update.lives_ms + _AHEAD_MS, update.last), update.changes)
        return keys, [*arguments, bounds, _COUNTS.pack(len(updates), most_bytes)]
