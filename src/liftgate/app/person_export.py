"""Everything held about one person, as plain data: what the store has under the id, and the rows of the log that are theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command, RedisClient, check
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.adapters.redis_review_queue import LIMIT, RedisReviewQueue
from liftgate.adapters.remembered_answer import readable
from liftgate.app.cli.caps_show import entry_names
from liftgate.app.known_people import names_of
from liftgate.bundle.compiled import Bundle
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.profile import ProfileState, unpack
from liftgate.domain.suppression import membership
from liftgate.pipeline.ports import Clock
from liftgate.signals import cell
from liftgate.signals.evaluate import Evaluation
from liftgate.signals.plan import FeaturePlan

_NAMES = {
    "p": "profile",
    "f": "profile_fields",
    "c": "consent",
    "l": "consent_history",
    "h": "contact_history",
    "g": "contact_history_as_held_out",
    "s": "do_not_contact_lists",
    "v": "reviewers_verdicts",
    "w": "features_from_events",
    "k": "own_key",
}
_BUDGET_MS = 5_000.0
_READ: dict[bytes, tuple[str, ...]] = {b"hash": ("HGETALL",), b"list": ("LRANGE", "0", "-1"), b"string": ("GET",)}


async def held(client: RedisClient, person_id: str, bundle: Bundle | None, clock: Clock) -> dict[str, Any]:
    """Return what the store has, by what it is. `bundle` gives features and caps their names and values; what it cannot read, and
    everything without it, is hexadecimal. Raises StoreUnavailable."""
    tag = redis_keys.tag(person_id)
    keys = sorted(await RedisErasure(client, lambda _: b"").keys_of(person_id))
    found: dict[str, Any] = {}
    for key in keys:
        (kind,) = await client.call([("TYPE", key)], 5.0)
        first, *rest = _READ.get(kind, ("DUMP",))
        command: Command = (first, key, *rest)
        (value,) = await client.call([command], 5.0)
        check([value])
        if value is None:  # it ended meanwhile
            continue
        name = key[len(tag) :].decode("utf-8", "replace")
        if name.startswith("r:"):
            found.setdefault("remembered_answers", {})[name[2:]] = readable(value)
        elif name.startswith("q:"):
            found.setdefault("records_not_in_a_log_yet", {})[name[2:]] = {"hexadecimal": value.hex()}
        elif name.startswith("e:"):
            found.setdefault("events_seen", []).append(name[2:])
        else:
            found[_NAMES.get(name, name)] = _readable(name, value, bundle, clock.now_ms())
    waiting = await RedisReviewQueue(client, clock, _BUDGET_MS).waiting(LIMIT)
    if mine := [asdict(asked) for asked in waiting if asked.person_id == person_id]:
        found["decisions_under_review"] = mine
    return found


def _readable(name: str, value: Any, bundle: Bundle | None, now_ms: int) -> Any:
    if name == "k":
        return "16 random bytes that the log's pseudonym is made with; not shown"
    if isinstance(value, list) and name == "f":
        return {_text(field): _text(text) for field, text in zip(value[::2], value[1::2], strict=True)}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    if name in ("c", "v"):
        return _json(value)
    if name == "s":
        lists = membership(value)
        return _text(value) if lists is None else sorted(lists)
    if name in ("h", "g") and len(value) % ENTRY.size == 0:
        names = {} if bundle is None else entry_names(bundle)
        return [{"cap": names.get(cap, cap.hex()), "counts_until_ms": until} for cap, _, until, _ in ENTRY.iter_unpack(value)]
    if name == "p" and bundle is not None:
        stored = unpack(bundle.schema, [value])
        if stored.state[0] == ProfileState.FOUND:
            # What events keep fresh stands under a key of its own.
            numbers = stored.value[0].tolist()[: bundle.schema.stored_count]
            return {column.name: column.decode(number) for column, number in zip(bundle.schema.stored, numbers, strict=True)}
    if name == "w" and bundle is not None and bundle.streams and cell.readable(value):
        return {"now": _features(bundle, value, now_ms), "hexadecimal": value.hex()}
    return {"hexadecimal": value.hex()}


def _features(bundle: Bundle, state: bytes, now_ms: int) -> dict[str, Any]:
    """Return what the features from events are now, by name."""
    groups = {offer.offer_id: offer.group for offer in bundle.offers}
    plan = FeaturePlan(bundle.streams, groups, bundle.currency)
    numbers = Evaluation(plan)([state], np.array([now_ms], dtype=np.int64)).value[0].tolist()
    return {one.input.name: one.input.decode(number) for one, number in zip(plan.definitions, numbers, strict=True)}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except ValueError:
        return _text(value)


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


async def pseudonyms(client: RedisClient, key: bytes, person_id: str) -> set[bytes]:
    """Return what stands for the person in the log. Raises StoreUnavailable."""
    return set(await names_of(client, key, [person_id]))


def rows(log: Path, stream: str, theirs: set[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the person's rows of a stream, as JSON can hold them. Needs pyarrow."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from liftgate.record.parquet import read_batches

    wanted = pa.array(sorted(theirs), pa.binary())
    for batch in read_batches(log, stream):
        column = batch.column("person_pseudonym").cast(pa.binary())
        for row in batch.filter(pc.is_in(column, value_set=wanted)).to_pylist():
            yield _plain(row)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return _number(value) if isinstance(value, float) else value
