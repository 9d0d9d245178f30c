"""Heads of audit chains in Redis or Valkey: one hash, a field for each chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import hiredis
import orjson

from liftgate.adapters.redis_client import RedisClient, check
from liftgate.domain.errors import StoreUnavailable
from liftgate.record.audit import HASH_BYTES, Head

KEY = b"lg:audit:heads"
_BUDGET_S = 1.0


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A chain's head, and where its records lie."""

    head: Head
    host: str
    directory: str


class RedisHeads:
    """`audit_log.Heads`. Nobody waits for it: its budget is its own, and the breaker of the decide path does not hear of it."""

    def __init__(self, client: RedisClient, host: str, directory: str) -> None:
        """`host` and `directory` say where the chains of this keeper lie."""
        self._client = client
        self._host, self._directory = host, directory

    async def put(self, writer_id: bytes, head: Head) -> None:
        """See `audit_log.Heads`."""
        value = {"sequence": head.sequence, "hash": head.hash.hex(), "host": self._host, "directory": self._directory}
        check(await self._client.call([("HSET", KEY, writer_id.hex(), orjson.dumps(value))], _BUDGET_S))


async def kept_heads(client: RedisClient, budget_s: float = 5.0) -> tuple[dict[bytes, KeptHead], int]:
    """Return every chain's head and the number of fields that are none. Raises StoreUnavailable."""
    (reply,) = await client.call([("HGETALL", KEY)], budget_s)
    if isinstance(reply, hiredis.ReplyError) or not isinstance(reply, (list, Mapping)):
        raise StoreUnavailable("redis: the heads of the audit chains cannot be read")
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    found: dict[bytes, KeptHead] = {}
    wrong = 0
    for field, value in pairs:
        try:
            said = orjson.loads(value)
            head = Head(int(said["sequence"]), bytes.fromhex(said["hash"]))
            if len(head.hash) != HASH_BYTES or head.sequence < 0:
                raise ValueError
            found[bytes.fromhex(field.decode())] = KeptHead(head, str(said["host"]), str(said["directory"]))
        except (ValueError, KeyError, TypeError, UnicodeDecodeError):
            wrong += 1
    return found, wrong
