"""The fleet's roll call in Redis or Valkey: one hash, a field for each worker, timed by the server's clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from liftgate.adapters.fleet import Reported, WorkerState
from liftgate.adapters.redis_client import RedisClient, check

KEY = b"lg:fleet"
REPORT_S = 5.0
"""How often a worker reports."""
GONE_MS = 60_000
"""A worker that was silent for so long is gone: its machine died, or it was killed."""
_BUDGET_S = 1.0


class RedisFleet:
    """Reports and reads. Never on the decide path; every call may raise StoreUnavailable."""

    def __init__(self, client: RedisClient, budget_s: float = _BUDGET_S) -> None:
        self._client = client
        self._budget_s = budget_s

    async def report(self, state: WorkerState) -> None:
        """Say what a worker runs, and let go of those that are gone."""
        now = await self._now_ms()
        value = orjson.dumps({"at_ms": now, **state.plain()})
        check(await self._client.call([("HSET", KEY, state.worker_id, value), ("PEXPIRE", KEY, 10 * GONE_MS)], self._budget_s))

    async def leave(self, worker_id: str) -> None:
        """Take a worker that drains off the roll."""
        check(await self._client.call([("HDEL", KEY, worker_id)], self._budget_s))

    async def read(self) -> list[Reported]:
        """Return every worker that is not gone, by host, port and process. Forgets those that are."""
        now = await self._now_ms()
        replies = await self._client.call([("HGETALL", KEY)], self._budget_s)
        check(replies)
        found: list[Reported] = []
        gone: list[bytes] = []
        for field, value in _pairs(replies[0]):
            try:
                said = orjson.loads(value)
                silent_ms = max(0, now - int(said.pop("at_ms")))
                state = WorkerState.read(said)
            except (KeyError, TypeError, ValueError, AttributeError):
                # Another version's report, or none at all.
                gone.append(field)
                continue
            if silent_ms > GONE_MS:
                gone.append(field)
            else:
                found.append(Reported(state, silent_ms))
        if gone:
            check(await self._client.call([("HDEL", KEY, *gone)], self._budget_s))
        return sorted(found, key=lambda one: (one.state.host, one.state.port, one.state.pid, one.state.worker_id))

    async def _now_ms(self) -> int:
        """Return the server's clock: those of the workers' machines may differ."""
        # By a script with the roll's key: a Cluster has a clock a server, and sends nowhere what names no key.
        replies = await self._client.call([("EVAL", "return redis.call('TIME')", 1, KEY)], self._budget_s)
        check(replies)
        seconds, micros = replies[0]
        return int(seconds) * 1_000 + int(micros) // 1_000


def _pairs(reply: Any) -> list[tuple[bytes, bytes]]:
    if isinstance(reply, Mapping):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True)) if isinstance(reply, list) else []
