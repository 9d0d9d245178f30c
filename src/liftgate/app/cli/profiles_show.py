"""What is stored about one person, as plain data and as plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite, isnan
from typing import Any

from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_profiles import Layout, RedisProfiles
from liftgate.app.cli.caps_show import entry_names
from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent
from liftgate.domain.consent_record import TEXTS, records
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.input import InputType
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.pipeline.ports import PersonKey

_BUDGET_MS = 5_000.0
_WORDS = {
    Reason.ALLOWED: "granted",
    Reason.CONSENT_MISSING: "no record, so no",
    Reason.CONSENT_DENIED: "no",
    Reason.CONSENT_EXPIRED: "granted once, not in force now",
    Reason.CONSENT_UNREADABLE: "cannot be read, so no",
}


async def look(url: str, person_id: str, bundle: Bundle, layout: Layout, now_ms: int) -> dict[str, Any]:
    """Read everything about one person. Raises StoreUnavailable, ValueError on a wrong URL."""
    client = connect(url, _BUDGET_MS, 1)
    try:
        store = RedisProfiles(client, layout, budget_ms=_BUDGET_MS)
        found = await store.fetch([PersonKey(person_id, False), PersonKey(person_id, True)], bundle.schema)
    finally:
        await client.close()
    value, at_s = found.profiles.value[0].tolist(), found.profiles.at_s[0].tolist()
    features = []
    for i, column in enumerate(bundle.schema.profile):
        age_s = None if isnan(at_s[i]) else max(now_ms / 1000 - at_s[i], 0.0)
        features.append(
            {
                "name": column.name,
                "value": _timed(column.decode(value[i]), column.type),
                "age_s": age_s,
                "stale": not isnan(value[i]) and isfinite(column.max_age_s) and (age_s is None or age_s > column.max_age_s),
            }
        )
    reasons, until, _ = consent.parse(found.consent[0], bundle.purposes, now_ms)
    stored = records(found.consent[0]) or {}
    return {
        "person_id": person_id,
        "profile": ProfileState(int(found.profiles.state[0])).name.lower(),
        "features": features,
        "consent_stored": found.consent[0] is not None,
        "consent": [
            {
                "purpose": purpose,
                "reason": reason.name,
                "until": _iso(end) if reason is Reason.ALLOWED and isfinite(end) else None,
                "record": None if (record := stored.get(purpose)) is None else record.stored(),
            }
            for purpose, reason, end in zip(bundle.purposes, reasons, until, strict=True)
        ],
        "history": _history(found.history[0], bundle, now_ms),
        "ghost_history": _history(found.history[1], bundle, now_ms),
    }


def _history(raw: bytes | None, bundle: Bundle, now_ms: int) -> list[dict[str, Any]]:
    if not raw:
        return []
    if len(raw) % ENTRY.size:
        return [{"cap": "damaged: every cap counts as used up", "counts": True, "counts_until": None, "window_ends": None}]
    names = entry_names(bundle)
    caps = {cap.cap_id for cap in bundle.caps}
    return [
        {
            "cap": names.get(cap, f"a cap that this bundle does not have ({cap.hex()})"),
            "counts": live_until > now_ms,
            "counts_until": _iso(live_until),
            # Outcomes and receipts keep something else there.
            "window_ends": _iso(live_until if cap in names and cap not in caps else until),
        }
        for cap, _, live_until, until in ENTRY.iter_unpack(raw)
    ]


def lines(found: dict[str, Any]) -> list[str]:
    """Return what `look` found in plain words, a line each."""
    said = {
        "found": "Features:",
        "missing": "No profile is stored in this layout.",
        "unreadable": "The stored profile cannot be read: it is damaged, or was written for another version of the bundle's features.",
    }
    result = [f"Person {found['person_id']}", said.get(found["profile"], found["profile"])]
    if found["profile"] == "found":
        width = max((len(one["name"]) for one in found["features"]), default=0)
        result += [f"  {one['name']:{width}}  {_feature(one)}" for one in found["features"]]
    result.append("Consent:")
    for one in found["consent"]:
        until = f" until {one['until']}" if one["until"] else ""
        result.append(f"  {one['purpose']}: {_WORDS.get(Reason[one['reason']], one['reason'])}{until}{_evidence(one['record'] or {})}")
    for key, title in (("history", "Contact history"), ("ghost_history", "Contact history as a held-out person")):
        if found[key]:
            result.append(f"{title}:")
            result += [f"  {one['cap']}: {_contact(one)}" for one in found[key]]
        elif key == "history":
            result.append("Contact history: none")
    return result


def _evidence(record: dict[str, Any]) -> str:
    """Return what is known of how a consent came about, in brackets; empty: nothing is."""
    named = [record["status"]] if record.get("status") not in (None, "granted", "denied") else []
    named += [f"{name.removesuffix('_at_ms')} {_iso(record[name])}" for name in ("given_at_ms", "withdrawn_at_ms") if name in record]
    named += [f"{name.replace('_', ' ')} {record[name]}" for name in ("basis", *TEXTS) if name in record]
    return f" ({', '.join(named)})" if named else ""


def _feature(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return "missing"
    age = "of unknown age" if one["age_s"] is None else f"{_span(one['age_s'])} old"
    return f"{one['value']}  ({age}{', stale' if one['stale'] else ''})"


def _contact(one: dict[str, Any]) -> str:
    if one["counts_until"] is None:
        return "nothing more is shown to this person under a cap"
    if not one["counts"]:
        return f"no longer counts (since {one['counts_until']})"
    if one["counts_until"] == one["window_ends"]:
        return f"counts until {one['counts_until']}"
    return f"reserved, counts until {one['counts_until']} unless an exposure makes it count until {one['window_ends']}"


def _timed(value: Any, kind: InputType) -> Any:
    return _iso(value) if kind is InputType.TIMESTAMP and value is not None else value


def _iso(at_ms: float) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "a time out of range"


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
