"""The event log as events, for features offline. People are the log's pseudonyms, as hexadecimal digits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from liftgate.domain.event import Event, EventKind, Reliability
from liftgate.record.parquet import read_log


def logged_events(directory: Path) -> Iterator[Event]:
    """Yield every event of a log directory that counts, each once: revoked exposures are left out. Wants pyarrow."""
    for row in read_log(directory, "event"):
        if row.get("reason") in (None, "", "UNSPECIFIED"):
            yield event_of(row)


def event_of(row: Mapping[str, Any]) -> Event:
    """Return one row of the event log as an event."""
    properties = row.get("properties_json") or ""
    return Event(
        event_id=row["event_id"],
        kind=EventKind[row["kind"]],
        person_id=row["person_pseudonym"].hex(),
        occurred_at_ms=row["occurred_at_ms"],
        received_at_ms=row["received_at_ms"],
        reliability=Reliability[row.get("reliability") or "UNSPECIFIED"],
        decision_id=row["decision_id"],
        offer_id=row["offer_id"],
        value=row["value"],
        currency=row["currency"],
        channel=row.get("channel") or "",
        name=row.get("name") or "",
        slot=row.get("slot") or 0,
        placement_id=row.get("placement_id") or "",
        device=row.get("device") or "",
        properties=orjson.loads(properties) if properties else {},
        late=bool(row.get("late")),
    )
