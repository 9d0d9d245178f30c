"""What a doctor looks at: the bundle, the store that a service would use, and what a person costs there, measured."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import KEY_BYTES
from liftgate.adapters.redis_client import Command, PartAway, RedisClient, check
from liftgate.app.counted import counted
from liftgate.app.doctor_servers import ONE_OF_MANY, Finding, look
from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.profile import pack
from liftgate.signals.cell import CELL, HEADER, KEY
from liftgate.signals.plan import FeaturePlan
from liftgate.signals.series import Keeps, Series

_BUDGET_S = 5.0
_LIVES_MS = 60_000
TYPICAL_BUCKETS = 12
"""Buckets of each series that a typical person has an event in."""
_KILL_SWITCH_CHANNEL = "lg:control"


@dataclass(slots=True)
class Memory:
    """What one key of a person costs, by MEMORY USAGE."""

    what: str
    value_bytes: int
    measured_bytes: int

    @property
    def gb_a_million(self) -> float:
        """The same for 10^6 people, in GB (10^9 bytes)."""
        return self.measured_bytes * 1e6 / 1e9


@dataclass(slots=True)
class Diagnosis:
    """Everything that was found."""

    findings: list[Finding] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    server: str = ""


async def examine(client: RedisClient, bundle: Bundle) -> Diagnosis:
    """Look at a store through a bundle. Nothing of what is stored is read; what is written is gone at the end. Raises StoreUnavailable."""
    found = Diagnosis()
    began = time.perf_counter()
    servers = await look(client)
    took_ms = (time.perf_counter() - began) * 1000
    found.findings.append(Finding("store", True, f"answers in {took_ms:.1f} ms, connecting included"))
    found.server = next((one.said.partition(" (")[0] for one in servers if one.what == "server"), "")
    found.findings += servers
    if any(one.what == ONE_OF_MANY for one in servers):
        return found
    try:
        await _rights(client, found)
        found.memory = await _memory(client, bundle)
    except PartAway:
        found.findings.append(Finding("rights and memory", False, "not looked at while a server is away", "look again when it is back"))
    return found


async def _rights(client: RedisClient, found: Diagnosis) -> None:
    """Look at whether the user may do what a service does."""
    key = redis_keys.windows(_nobody())
    asked: list[tuple[str, Command]] = [
        ("write keys", ("SET", key, b"doctor", "PX", _LIVES_MS)),
        ("run scripts", ("EVAL", "return redis.call('GET', KEYS[1])", 1, key)),
        ("unpack structures in scripts", ("EVAL", "return #struct.pack('<d', 1) + #KEYS[1]", 1, key)),
        ("remove keys", ("DEL", key)),
        ("publish", ("PUBLISH", _KILL_SWITCH_CHANNEL + ":doctor", b"")),
    ]
    if client.clustered:
        asked.pop()
    for what, command in asked:
        (reply,) = await client.call([command], _BUDGET_S)
        refused = isinstance(reply, Exception)
        mend = "give the user +@read +@write +@scripting +@connection on ~lg:*, and +@pubsub on &lg:control*" if refused else ""
        found.findings.append(Finding(f"may {what}", not refused, "no" if refused else "yes", mend))


async def _memory(client: RedisClient, bundle: Bundle) -> list[Memory]:
    """Measure what a person costs: values of this bundle's size are stored under a made-up person, weighed and removed."""
    person = _nobody()
    values = [("packed profile", redis_keys.profile(person), pack(bundle.schema, [1.0] * bundle.schema.stored_count, 1))]
    records = {purpose: {"status": "granted", "given_at_ms": 1_767_225_600_000} for purpose in bundle.purposes}
    if records:
        values.append(("consent", redis_keys.consent(person), consent.document(records, "2026-05")))
    if bundle.caps:
        history = b"".join(ENTRY.pack(cap.cap_id, b"\1" * 8, 1.8e12, 1.8e12) for cap in bundle.caps[:8])
        values.append(
            (f"contact history, {counted(min(len(bundle.caps), 8), 'entry', 'entries')}", redis_keys.history(person, False), history)
        )
    if bundle.streams:
        plan = FeaturePlan(bundle.streams, {}, bundle.currency)
        key = redis_keys.windows(person)
        values.append((f"features from events, typical ({TYPICAL_BUCKETS} buckets a feature)", key, state_of(plan, TYPICAL_BUCKETS)))
        values.append(("features from events, every bucket full", key, state_of(plan, 10**6)))
        values.append(("features from events, the most before old cells go", key, bytes(plan.most_bytes)))
    values.append(("the person's key, which pseudonyms are made with", redis_keys.person_key(person), bytes(KEY_BYTES)))
    values.append(("an event that was seen (24 h)", redis_keys.event(person, "e" * 36), b"L"))
    weighed = []
    for what, key, value in values:
        commands: list[Command] = [("SET", key, value, "PX", _LIVES_MS), ("MEMORY", "USAGE", key), ("DEL", key)]
        replies = await client.call(commands, _BUDGET_S)
        check(replies)
        weighed.append(Memory(what, len(value), int(replies[1])))
    return weighed


def state_of(plan: FeaturePlan, buckets: int) -> bytes:
    """Return a state as a person has it of whom there are events in so many buckets of every series, at most in all."""
    cells = [CELL.pack(series.series_id, slot, 1.0) for series in plan.series for slot in range(_cells(series, buckets))]
    return HEADER + KEY.pack(0, 0) + b"".join(cells)


def _cells(series: Series, buckets: int) -> int:
    if series.keeps in (Keeps.LATEST_AT, Keeps.LATEST):
        return 1
    if series.keeps is Keeps.SET:
        return min(series.definition.exact_up_to + 1, buckets)
    if series.keeps is Keeps.REGISTERS:
        # Only of who has more distinct values than are counted exactly.
        return 256 if buckets > series.definition.exact_up_to else 0
    return min(series.buckets, buckets)


def _nobody() -> str:
    """Return the id of a person whom nobody has: its length is usual, its first character is not printable."""
    return "\x00liftgate-doctor-" + "0" * 16


def versions() -> dict[str, Any]:
    """Return the versions that matter when something is odd."""
    from importlib.metadata import version

    names = ("liftgate", "grpcio", "redis", "hiredis", "numpy", "onnxruntime", "protobuf")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
