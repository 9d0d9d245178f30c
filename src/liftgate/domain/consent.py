"""Stored consent: JSON under one key a person, written by pipelines and the consent service, parsed here.

    {"v": 1, "policy_version": "2026-05", "purposes": {"personalization":
        {"status": "granted", "given_at_ms": 1767225600000, "expires_at_ms": 1798761600000}}}

Statuses: granted, denied, withdrawn, expired, pending, objected. Only a present, parsed, unexpired grant lets anything pass, and none that
was withdrawn since. A record's other fields are evidence (`domain/consent_record.py`) and decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from operator import itemgetter
from struct import Struct
from typing import Any

import orjson

from liftgate.domain.reason import Reason

VERSION_LENGTH = 64
"""Characters of a policy version that are kept."""
KNOWN, LARGEST = 4096, 1024
"""Documents that a reader remembers, one more and all are forgotten; and the largest of them, bytes."""
STATUSES = frozenset({"granted", "denied", "withdrawn", "expired", "pending", "objected"})


# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_ALLOWED, _MISSING, _DENIED = Reason.ALLOWED, Reason.CONSENT_MISSING, Reason.CONSENT_DENIED
_EXPIRED, _UNREADABLE = Reason.CONSENT_EXPIRED, Reason.CONSENT_UNREADABLE
_ABSENT = object()
_NEVER_ASKED, _ILLEGIBLE = (_MISSING, inf, -inf, inf), (_UNREADABLE, inf, -inf, inf)
_SAID: dict[Any, Reason] = dict.fromkeys(STATUSES, _DENIED) | {"granted": _ALLOWED, "expired": _EXPIRED}
"""What a status says by itself."""


def parse(raw: bytes | None, purposes: Sequence[str], now_ms: int) -> tuple[list[Reason], list[float], str]:
    """Return, for each purpose, ALLOWED or the CONSENT_ reason against it and when a grant ends (ms, inf: it does not); and the version."""
    records, version = _records(raw)
    if records is None:
        return [_UNREADABLE] * len(purposes), [inf] * len(purposes), version
    said = [_one(records.get(purpose, _ABSENT), now_ms) for purpose in purposes]
    return [reason for reason, *_ in said], [end for _, end, *_ in said], version


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
    record = purposes.get(purpose, _ABSENT)
    if type(record) is dict:
        # A grant as most are: since a while, and without an end.
        get = record.get
        given = get("given_at_ms")
        endless = get("expires_at_ms") is None and get("withdrawn_at_ms") is None
        if endless and type(given) is int and given <= now_ms and get("status") == "granted":
            return _ALLOWED
    return _one(record, now_ms)[0]


def _records(raw: bytes | None) -> tuple[dict[str, Any] | None, str]:
    """Return a document's records by purpose, None where it cannot be read; and its version."""
    if raw is None:
        return {}, ""
    try:
        document = orjson.loads(raw)
        records = document["purposes"]
        if document["v"] != 1 or type(records) is not dict:
            return None, ""
        version = document.get("policy_version")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, ""
    return records, version[:VERSION_LENGTH] if isinstance(version, str) else ""


_Said = tuple[float, float, bytes, bytes, str]
"""Since when and until before when a document says so; its codes, ends and version."""
_SINCE, _UNTIL, _CODES, _ENDS, _VERSION = map(itemgetter, range(5))


class Reader:
    """Reads what documents say of some purposes. The same document is read again only once time has changed what it says."""

    def __init__(self, purposes: Sequence[str]) -> None:
        self._purposes = tuple(purposes)
        self._pack = Struct(f"={len(purposes)}d").pack
        self._known: dict[bytes | None, _Said] = {}

    def columns(self, raws: Sequence[bytes | None], moments_ms: Sequence[int]) -> tuple[bytearray, bytearray, list[str]]:
        """Return what `parse` does of N documents, each at its moment: [N, P] codes, [N, P] float64 ends, [N] versions."""
        if not raws:
            return bytearray(), bytearray(), []
        said: list[Any] = list(map(self._known.get, raws))
        if None in said or not max(map(_SINCE, said)) <= min(moments_ms) <= max(moments_ms) < min(map(_UNTIL, said)):
            said = list(map(self._said, raws, moments_ms))
        return bytearray().join(map(_CODES, said)), bytearray().join(map(_ENDS, said)), list(map(_VERSION, said))

    def _said(self, raw: bytes | None, now_ms: int) -> _Said:
        said = self._known.get(raw)
        return said if said is not None and said[0] <= now_ms < said[1] else self._read(raw, now_ms)

    def _read(self, raw: bytes | None, now_ms: int) -> _Said:
        records, version = _records(raw)
        codes, ends = bytearray(), []
        since, until = -inf, inf
        for purpose in self._purposes:
            reason, end, first, last = _ILLEGIBLE if records is None else _one(records.get(purpose, _ABSENT), now_ms)
            codes.append(reason)
            ends.append(end)
            if first > since:
                since = first
            if last < until:
                until = last
        said = since, until, bytes(codes), self._pack(*ends), version
        if raw is None or len(raw) <= LARGEST:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[raw] = said
        return said


def _one(record: Any, now_ms: int) -> tuple[Reason, float, float, float]:
    """Return what a record says, until when its grant lasts, and since when and until before when it says so."""
    # type() and not isinstance(): true and false are no times. Parsed JSON has no types of its own.
    if type(record) is not dict:
        # A null is a record that says nothing, and not the absence of one: no default stands in for it.
        return _NEVER_ASKED if record is _ABSENT else _ILLEGIBLE
    get = record.get
    try:
        said = _SAID[get("status")]
    except (KeyError, TypeError):
        return _ILLEGIBLE
    given, expires, withdrawn = get("given_at_ms", 0), get("expires_at_ms"), get("withdrawn_at_ms")
    if type(given) not in _NUMBERS:
        return _ILLEGIBLE
    if expires is None:
        expires = inf
    elif type(expires) not in _NUMBERS:
        return _ILLEGIBLE
    if withdrawn is not None and type(withdrawn) not in _NUMBERS:
        return _ILLEGIBLE
    if said is not _ALLOWED:
        return said, inf, -inf, inf
    # A grant from the future means that our clock is behind: then expiry cannot be judged either.
    if now_ms >= expires:
        return _EXPIRED, inf, expires, inf
    if now_ms < given:
        return _EXPIRED, inf, -inf, given
    if withdrawn is not None:
        if withdrawn > now_ms:
            return _EXPIRED, inf, -inf, withdrawn
        # What was granted anew after a withdrawal stands.
        if withdrawn >= given:
            return _DENIED, inf, withdrawn, expires
    return _ALLOWED, expires, given if withdrawn is None else max(given, withdrawn), expires


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
