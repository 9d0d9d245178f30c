"""What a doctor looks at on each server of a store: version, memory policy, clock, and what a Cluster does while a part of it is away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from liftgate.adapters.redis_client import Command, RedisClient
from liftgate.app.counted import counted
from liftgate.domain.errors import StoreUnavailable

_BUDGET_S = 5.0
_SLOTS = 16_384
SKEW_MS = 1_000
"""Clocks further apart than this are named."""
ONE_OF_MANY = "cluster"
"""The finding that a Cluster was named as if it were one server."""
_POLICY = "set `maxmemory-policy noeviction`: an evicted contact history is a cap forgotten, an evicted feature an event lost"
_COVERAGE = (
    "set `cluster-require-full-coverage no` on every server, replicas too: with `yes`, losing one takes all of them away, and everybody "
    "falls back instead of its people alone"
)
_UNASKED = "may not be asked by this user"
_ASKED: tuple[Command, ...] = (("INFO", "server"), ("CONFIG", "GET", "maxmemory-policy"), ("TIME",))
_ASKED_OF_CLUSTERS: tuple[Command, ...] = (("CONFIG", "GET", "cluster-require-full-coverage"), ("CLUSTER", "INFO"))


@dataclass(slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    said: str
    mend: str = ""


async def look(client: RedisClient) -> list[Finding]:
    """Look at every server that holds keys; the finding `server` says name and version. Raises StoreUnavailable where none answers."""
    servers = await client.servers(_BUDGET_S)
    found = [await _one(server, client.clustered) for server in servers]
    if not client.clustered:
        return found[0]
    return _together([server.where for server in servers], found)


async def _one(server: RedisClient, clustered: bool) -> list[Finding]:
    asked = (*_ASKED, *_ASKED_OF_CLUSTERS) if clustered else _ASKED
    before_ms = time.time() * 1000
    try:
        info, policy, now, *rest = await server.call(asked, _BUDGET_S)
    except StoreUnavailable as error:
        if not clustered:
            raise
        return [Finding("server", False, str(error), "start it, or let a replica take over; its people fall back until then")]
    after_ms = time.time() * 1000
    fields = _fields(info)
    if "valkey_version" in fields:
        version = f"valkey {fields['valkey_version']}"
    else:
        version = f"redis {fields['redis_version']}" if "redis_version" in fields else _UNASKED
    found = [Finding("server", True, version), _setting("maxmemory-policy", policy, "noeviction", _POLICY)]
    if isinstance(now, list) and len(now) == 2:
        its_ms = int(now[0]) * 1000 + int(now[1]) / 1000
        off_ms = max(before_ms - its_ms, its_ms - after_ms, 0.0)
        mend = "" if off_ms <= SKEW_MS else "set both clocks by NTP: events and consents from the future are held back"
        found.append(Finding("clocks", off_ms <= SKEW_MS, f"{off_ms:.0f} ms apart", mend))
    if clustered:
        found.append(_setting("cluster-require-full-coverage", rest[0], "no", _COVERAGE))
        found.append(_slots(_fields(rest[1]).get("cluster_slots_ok")))
    elif "cluster" in (fields.get("redis_mode"), fields.get("server_mode")):
        found.append(
            Finding(ONE_OF_MANY, False, "this is one server of a Cluster", "write redis+cluster://HOST:PORT: it has a part of the keys")
        )
    return found


def _slots(served: str | None) -> Finding:
    if served is None:
        return Finding("slots", True, f"{_UNASKED}; all {_SLOTS:,} must be served")
    fine = int(served) == _SLOTS
    mend = "" if fine else "whose keys lie in the others falls back: start their server, or give them to another one"
    return Finding("slots", fine, f"{int(served):,} of {_SLOTS:,} are served", mend)


def _setting(name: str, reply: Any, wanted: str, mend: str) -> Finding:
    if not isinstance(reply, list) or len(reply) != 2:
        return Finding(name, True, f"{_UNASKED}; it must be {wanted}")
    value = reply[1].decode()
    return Finding(name, value == wanted, value, "" if value == wanted else mend)


def _fields(reply: Any) -> dict[str, str]:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _together(names: Sequence[str], found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Return one finding for all servers of which the same holds, and one each of those with which something is wrong."""
    said: dict[str, dict[str, int]] = {}
    wrong = []
    for name, findings in zip(names, found, strict=True):
        for one in findings:
            if one.fine:
                counts = said.setdefault(one.what, {})
                counts[one.said] = counts.get(one.said, 0) + 1
            else:
                wrong.append(Finding(f"{one.what} at {name}", False, one.said, one.mend))
    fine = [
        Finding(what, True, ", ".join(f"{words} ({count} of {counted(len(names), 'server')})" for words, count in counts.items()))
        for what, counts in said.items()
    ]
    return [*fine, *wrong]
