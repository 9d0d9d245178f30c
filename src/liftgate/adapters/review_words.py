"""A text under review in sentences that somebody who approves offers can read. The text itself stays the thing that is approved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from liftgate.bundle.duration import duration_text

_KNOWN = frozenset({"purposes", "channels", "eligible_if", "applicable_if", "suitable_if", "suppress_if", "caps", "pauses"})
_TOLD = _KNOWN | {"sensitive", "review", "group", "value", "propensity", "starts_at_ms", "until_ms", "payload"}
_CONDITIONS = (
    ("eligible_if", "Only for people of whom this holds"),
    ("applicable_if", "Only when this holds"),
    ("suitable_if", "Only for people for whom this is right"),
    ("suppress_if", "Never while this holds"),
)
_COUNTED = {"decision": "time it is decided", "exposure": "time it is seen", "click": "click"}


def words(text: bytes) -> list[str]:
    """Return the sentences, one for each thing that matters; one that says so where the text cannot be read."""
    try:
        document = orjson.loads(text)
        return list(_start(document) if document["kind"] == "start" else _offer(document))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["The text cannot be put into words; read it as it is."]


def moment(ms: int) -> str:
    """Return a time as people read it, in UTC."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def _start(document: dict[str, Any]) -> Iterator[str]:
    stop = document["stop"]
    yield f"{document['asked_by']} asks for {document['subject']} to be served again: {document['reason']}"
    yield f"It was stopped by {stop['by']} on {moment(stop['at_ms'])}: {stop['reason']}"
    yield "Approving this starts it again at once, everywhere."


def _offer(document: dict[str, Any]) -> Iterator[str]:
    own, wide = document["offer"], document["bundle_wide"]
    groups = document["group"] or {}
    rules = [("", own), *((f" (group {name})", group) for name, group in groups.items())]
    yield f"{document['subject']} of the bundle {document['bundle']} is sensitive: {', '.join(document['sensitive'])}."
    yield f"What people get: {json.dumps(own['payload'], ensure_ascii=False)}"
    yield f"Worth {own['value']:g} {wide['currency']} to us{_likelihood(document)}."
    places = [f"{place} (as its default)" if "default" in ways else place for place, ways in document["placements"].items()]
    yield f"Where: {', '.join(places) or 'in no placement'}; channels: {_channels(rules)}."
    starts, until = own["starts_at_ms"], own["until_ms"]
    yield f"When: from {moment(starts) if starts is not None else 'now'} until {moment(until) if until is not None else 'further notice'}."
    purposes = sorted({purpose for _, rule in rules for purpose in rule["purposes"]})
    yield f"Needs consent to: {', '.join(purposes) or 'nothing'}."
    for key, meaning in _CONDITIONS:
        for whose, rule in rules:
            if rule.get(key):
                yield f"{meaning}{whose}: {rule[key]}"
    for whose, rule in rules:
        for cap in rule["caps"]:
            yield f"{_cap(cap)}{whose}."
        for pause in rule.get("pauses", ()):
            yield f"Waits after outcomes{whose}: {json.dumps(pause)}"
        for key in sorted(set(rule) - _TOLD):
            yield f"{key}{whose}: {json.dumps(rule[key], ensure_ascii=False)}"
    if not any(rule["caps"] for _, rule in rules):
        yield "How often: without a cap of its own."
    for kind in ("features", "context"):
        for name, item in document[kind].items():
            missing = "unknown" if item.get("default") is None else f"taken as {item['default']!r}"
            yield f"Reads {'profile' if kind == 'features' else 'context'}.{name} ({item['type']}); where missing: {missing}."
    for key in sorted(set(wide) - {"currency", "time_zone", "profile_purpose"}):
        yield f"Rules of the whole bundle, {key}: {json.dumps(wide[key], ensure_ascii=False)}"


def _likelihood(document: dict[str, Any]) -> str:
    if not document["model"]:
        return ", by itself"
    ((name, model),) = document["model"].items()
    return f", times the chance that model {name} version {model['version']} (SHA-256 {model['sha256'][:12]}...) gives"


def _channels(rules: list[tuple[str, dict[str, Any]]]) -> str:
    lists = [rule["channels"] for _, rule in rules if rule["channels"] is not None]
    return ", ".join(sorted(set.intersection(*map(set, lists)))) if lists else "all"


def _cap(cap: dict[str, Any]) -> str:
    per = cap["per_ms"]
    window = duration_text(per) if isinstance(per, int) else f"calendar {per}"
    scope = {"person": "to one person", "account": "to one account", "total": "to everybody together"}[cap.get("scope", "person")]
    return f"At most {cap['max']} in {window} {scope}, counting each {_COUNTED.get(cap['counts'], cap['counts'])}"
