"""Stored consent: JSON under one key a person, written by pipelines and the consent service, parsed here.

    {"v": 1, "policy_version": "2026-05", "purposes": {"personalization":
        {"status": "granted", "given_at_ms": 1767225600000, "expires_at_ms": 1798761600000}}}

Statuses: granted, denied, withdrawn, expired, pending, objected. Only a present, parsed, unexpired grant lets anything pass, and none that
was withdrawn since. A record's other fields are evidence (`domain/consent_record.py`) and decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import orjson

from liftgate.domain.reason import Reason

VERSION_LENGTH = 64
"""Characters of a policy version that are kept."""
STATUSES = frozenset({"granted", "denied", "withdrawn", "expired", "pending", "objected"})


# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_ALLOWED, _MISSING, _DENIED = Reason.ALLOWED, Reason.CONSENT_MISSING, Reason.CONSENT_DENIED
_EXPIRED, _UNREADABLE = Reason.CONSENT_EXPIRED, Reason.CONSENT_UNREADABLE
_ABSENT, _NEVER_ASKED = object(), (_MISSING, inf)
_SAID: dict[Any, Reason] = dict.fromkeys(STATUSES, _DENIED) | {"granted": _ALLOWED, "expired": _EXPIRED}
"""What a status says by itself."""


def parse(raw: bytes | None, purposes: Sequence[str], now_ms: int) -> tuple[list[Reason], list[float], str]:
    """Return, for each purpose, ALLOWED or the CONSENT_ reason against it and when a grant ends (ms, inf: it does not); and the version."""
    said, version = said_of(raw, purposes, now_ms)
    return [reason for reason, _ in said], [end for _, end in said], version


def said_of(raw: bytes | None, purposes: Sequence[str], now_ms: int) -> tuple[list[tuple[Reason, float]], str]:
    """Return the same as pairs, one for each purpose; and the version."""
    if raw is None:
        return [_NEVER_ASKED] * len(purposes), ""
    try:
        document = orjson.loads(raw)
        get = document["purposes"].get
        if document["v"] != 1 or type(document["purposes"]) is not dict:
            raise ValueError("not a version 1 consent document")
    except (ValueError, KeyError, TypeError, AttributeError):
        return [(_UNREADABLE, inf)] * len(purposes), ""
    version = document.get("policy_version")
    return [_one(get(purpose, _ABSENT), now_ms) for purpose in purposes], version[:VERSION_LENGTH] if isinstance(version, str) else ""


def reason_of(raw: bytes | None, purpose: str, now_ms: int) -> Reason:
    """Return of one purpose what `parse` says of several: ALLOWED or the CONSENT_ reason against it."""
    if raw is None:
        return _MISSING
    try:
        document = orjson.loads(raw)
        purposes = document["purposes"]
        if document["v"] != 1 or type(purposes) is not dict:
            return _UNREADABLE
    except (ValueError, KeyError, TypeError):
        return _UNREADABLE
    return _one(purposes.get(purpose, _ABSENT), now_ms)[0]


def _one(record: Any, now_ms: int) -> tuple[Reason, float]:
    # type() and not isinstance(): true and false are no times. Parsed JSON has no types of its own.
    if type(record) is not dict:
        # A null is a record that says nothing, and not the absence of one: no default stands in for it.
        return _MISSING if record is _ABSENT else _UNREADABLE, inf
    get = record.get
    try:
        said = _SAID[get("status")]
    except (KeyError, TypeError):
        return _UNREADABLE, inf
    given, expires, withdrawn = get("given_at_ms", 0), get("expires_at_ms"), get("withdrawn_at_ms")
    if type(given) not in _NUMBERS:
        return _UNREADABLE, inf
    if expires is None:
        expires = inf
    elif type(expires) not in _NUMBERS:
        return _UNREADABLE, inf
    if withdrawn is not None and type(withdrawn) not in _NUMBERS:
        return _UNREADABLE, inf
    if said is not _ALLOWED:
        return said, inf
    # A grant from the future means that our clock is behind: then expiry cannot be judged either.
    if now_ms >= expires or now_ms < given:
        return _EXPIRED, inf
    if withdrawn is not None:
        if withdrawn > now_ms:
            return _EXPIRED, inf
        # What was granted anew after a withdrawal stands.
        if withdrawn >= given:
            return _DENIED, inf
    return _ALLOWED, expires


_NUMBERS = frozenset({int, float})


def jurisdiction(raw: bytes | None) -> str:
    """Return the jurisdiction that the records of a document name; empty: none does, they do not agree, or it cannot be read."""
    if raw is None:
        return ""
    try:
        found = {record.get("jurisdiction", "") for record in orjson.loads(raw)["purposes"].values()} - {""}
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    one = found.pop() if len(found) == 1 else ""
    return one if isinstance(one, str) else ""


def document(purposes: dict[str, dict[str, Any]], policy_version: str = "") -> bytes:
    """Return the stored form. Raises ValueError on an unknown status."""
    for name, record in purposes.items():
        if record.get("status") not in STATUSES:
            raise ValueError(f"{name}: status must be one of {', '.join(sorted(STATUSES))}")
    return orjson.dumps({"v": 1, "policy_version": policy_version, "purposes": purposes})
