"""Stops, review items and reviewed texts in Redis or Valkey: `pipeline.controls.ControlStore`.

    lg:control{lg}:version   counts changes      lg:control{lg}:items   HASH digest -> review item
    lg:control{lg}:stops     HASH subject -> stop   lg:control{lg}:texts   HASH digest -> reviewed text

All lie in one Cluster slot, so that one script can change them together. Keys of people begin with `lg:{`: they never meet these.
Every change is published on the channel `lg:control`, with the new version as its message.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import hiredis

from liftgate.adapters.redis_client import RedisClient, code
from liftgate.domain.control import Controls, parse_stop
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.review import parse_item
from liftgate.pipeline.controls import ITEMS, STOPS, Change, Overtaken

CHANNEL = b"lg:control"
DEFAULT_BUDGET_MS = 1_000.0
"""Far above a round trip: nothing that is decided waits for it."""
_VERSION = b"lg:control{lg}:version"


def key_of(section: str) -> bytes:
    """Return the key of a section's hash."""
    return b"lg:control{lg}:" + section.encode()


class RedisControls:
    """Controls in Redis. `budget_ms` bounds every call."""

    def __init__(self, client: RedisClient, budget_ms: float = DEFAULT_BUDGET_MS) -> None:
        self._client = client
        self._budget_s = budget_ms / 1000

    async def read(self) -> Controls:
        """See `pipeline.controls.ControlStore`."""
        version, stops, items = await self._script("control_read.lua", (_VERSION, key_of(STOPS), key_of(ITEMS)), ())
        parsed = {digest: item for digest, raw in _pairs(items) if (item := parse_item(digest, raw)) is not None}
        in_order = sorted(_pairs(stops))
        return Controls(
            known=True, version=int(version), stops=tuple(parse_stop(key, raw) for key, raw in in_order), items=MappingProxyType(parsed)
        )

    async def version(self) -> int:
        """See `pipeline.controls.ControlStore`."""
        return int(await self._one(("GET", _VERSION)) or 0)

    async def get(self, section: str, key: str) -> bytes | None:
        """See `pipeline.controls.ControlStore`."""
        value = await self._one(("HGET", key_of(section), key))
        return value if isinstance(value, bytes) else None

    async def change(self, changes: Sequence[Change]) -> int:
        """See `pipeline.controls.ControlStore`."""
        arguments: list[bytes] = [CHANNEL]
        for change in changes:
            flags = f"{int(change.before is not None)}{int(change.after is not None)}".encode()
            arguments += (change.key.encode(), flags, change.before or b"", change.after or b"")
        version = await self._script("control_change.lua", (_VERSION, *(key_of(change.section) for change in changes)), arguments)
        if not version:
            raise Overtaken
        return int(version)

    async def _script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        # Rare calls: sending the body each time costs nothing that matters, and no server needs to know it beforehand.
        return await self._one(("EVAL", _body(name), len(keys), *keys, *arguments))

    async def _one(self, command: tuple[bytes | str | int, ...]) -> Any:
        (reply,) = await self._client.call([command], self._budget_s)
        if isinstance(reply, hiredis.ReplyError):
            raise StoreUnavailable(f"redis: error reply {code(reply)}")
        return reply


@cache
def _body(name: str) -> bytes:
    return files("liftgate.adapters").joinpath("lua", name).read_bytes()


def _pairs(flat: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(flat[i].decode("utf-8", "replace"), flat[i + 1]) for i in range(0, len(flat), 2)]
