"""What events say of one person, as plain data and as plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import check, connect
from liftgate.adapters.system import SystemClock
from liftgate.app.counted import counted
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.duration import duration_text
from liftgate.domain.feature import Definition
from liftgate.domain.input import InputType
from liftgate.signals.cell import CELL, readable
from liftgate.signals.evaluate import Evaluation
from liftgate.signals.plan import FeaturePlan

_BUDGET_MS = 5_000.0


async def look(url: str, person_id: str, bundle: Bundle, plan: FeaturePlan) -> dict[str, Any]:
    """Read what events say of one person. Raises StoreUnavailable, ValueError on a wrong URL."""
    client = connect(url, _BUDGET_MS, 1)
    key = redis_keys.windows(person_id)
    try:
        state, ends_in_ms = await client.call([("GET", key), ("PTTL", key)], _BUDGET_MS / 1000)
        check([state, ends_in_ms])
    finally:
        await client.close()
    now_ms = SystemClock().now_ms()
    found = Evaluation(plan)([state], np.array([now_ms], dtype=np.int64))
    fine = state is None or readable(state)
    features = []
    for definition, number, at_s in zip(plan.definitions, found.value[0].tolist(), found.at_s[0].tolist(), strict=True):
        value = definition.input.decode(number)
        if definition.input.type is InputType.TIMESTAMP and value is not None:
            value = datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        features.append(
            {
                "name": definition.input.name,
                "value": value,
                "age_s": max(now_ms / 1000 - at_s, 0.0) if fine else None,
                "from": in_words(definition),
                "rule": definition.source_line,
            }
        )
    return {
        "person_id": person_id,
        "readable": fine,
        "bytes": 0 if state is None else len(state),
        "cells": 0 if state is None else len(state) // CELL.size - 1,
        "ends_in_s": max(ends_in_ms, 0) / 1000,
        "features": features,
    }


def in_words(definition: Definition) -> str:
    """Return what a feature is made of, in a few words."""
    source = definition.source
    what = f"{source.signal}.{source.property}" if source.property else source.signal
    per = f" per {definition.per.signal}" if definition.per else ""
    if definition.half_life_ms:
        over = f"half-life {duration_text(definition.half_life_ms)} in steps of {duration_text(definition.bucket_ms)}"
    else:
        exact = definition.aggregate in ("last", "recency")
        steps = "" if exact else f" in {counted(definition.buckets, 'bucket')} of {duration_text(definition.bucket_ms)}"
        over = f"window {duration_text(definition.window_ms)}{steps}"
    limit = f", exact up to {definition.exact_up_to}" if definition.aggregate == "distinct" else ""
    where = f", where {', '.join(one.property for one in source.where)} fit" if source.where else ""
    return f"{definition.aggregate} of {what}{per}, {over}{limit}{where}"


def lines(found: dict[str, Any]) -> list[str]:
    """Return what `look` found in plain words, a line each."""
    if not found["readable"]:
        return [f"Person {found['person_id']}", "What is kept cannot be read: every feature from events is missing until the next event."]
    size = f"{counted(found['cells'], 'cell')}, {counted(found['bytes'], 'byte')}"
    kept = f"{size}, gone in {found['ends_in_s'] / 3600:,.0f} h without another event"
    said = [f"Person {found['person_id']}: {kept if found['bytes'] else 'no event is kept'}"]
    width = max(len(one["name"]) for one in found["features"])
    for one in found["features"]:
        value = "missing" if one["value"] is None else f"{one['value']}  ({one['age_s']:,.0f} s old)"
        said += [f"  {one['name']:{width}}  {value}", f"  {'':{width}}  {one['from']} ({one['rule']})"]
    return said
