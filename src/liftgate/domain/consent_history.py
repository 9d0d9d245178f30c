"""The history of a person's consent: entries that are only added, each bound to the one before by its hash. Pure.

An entry is JSON. Its `hash` is SHA-256 over the JSON of everything else in it, keys sorted; `previous_hash` is that of the entry before.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson

from liftgate.domain.consent_record import ConsentRecord

KEPT = 256
"""Entries kept of one person; the oldest go first."""


def digest(document: bytes | None) -> str:
    """Return what entries call a consent document: 64 hexadecimal digits; empty: there is none."""
    return "" if document is None else sha256(document).hexdigest()


def entry(last: bytes | None, at_ms: int, actor: str, record: ConsentRecord, before: bytes | None, after: bytes) -> bytes:
    """Return the entry that follows `last` (None: it is the first). A last entry that cannot be read is followed as if it were bytes."""
    known = read(last)
    told: dict[str, Any] = {
        "sequence": 0 if known is None else known["sequence"] + 1,
        "at_ms": at_ms,
        "actor": actor,
        "consent": {"purpose": record.purpose, **record.stored()},
        "digest_before": digest(before),
        "digest_after": digest(after),
        "previous_hash": known["hash"] if known is not None else "" if last is None else sha256(last).hexdigest(),
    }
    return orjson.dumps(told | {"hash": sha256(hashed(told)).hexdigest()})


def hashed(told: dict[str, Any]) -> bytes:
    """Return what an entry's hash is over."""
    return orjson.dumps({name: value for name, value in told.items() if name != "hash"}, option=orjson.OPT_SORT_KEYS)


def read(raw: bytes | None) -> dict[str, Any] | None:
    """Return an entry; None: there is none, or it cannot be read."""
    try:
        told = orjson.loads(raw or b"null")
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("sequence"), int):
        return None
    return told if all(isinstance(told.get(name), str) for name in _TEXTS) and isinstance(told.get("consent"), dict) else None


_TEXTS = ("actor", "digest_before", "digest_after", "previous_hash", "hash")


def faults(entries: Sequence[tuple[dict[str, Any], bytes]]) -> list[str]:
    """Return what is wrong with (entry, what its hash is over) pairs, oldest first, in plain words; empty: nothing was edited or moved.

    That the newest were cut off shows in the document's digest and in the audit chain, not here.
    """
    found = []
    for place, (told, over) in enumerate(entries):
        if sha256(over).hexdigest() != told["hash"]:
            found.append(f"entry {told['sequence']} was changed: its hash does not fit")
        before = entries[place - 1][0] if place else None
        if before is None and (told["sequence"] == 0) != (told["previous_hash"] == ""):
            found.append(f"entry {told['sequence']} does not begin the history")
        if before is not None and (told["sequence"] != before["sequence"] + 1 or told["previous_hash"] != before["hash"]):
            found.append(f"entry {told['sequence']} does not follow entry {before['sequence']}: something was taken out, put in or moved")
    return found


def written_past(entries: Sequence[dict[str, Any]], digest_now: str) -> list[str]:
    """Return where the document was changed by others than `ConsentService.Set`, such as a load, in plain words."""
    found = []
    for before, after in pairwise(entries):
        if before["digest_after"] != after["digest_before"]:
            found.append(f"between entries {before['sequence']} and {after['sequence']} the document was written past this service")
    if entries and entries[-1]["digest_after"] != digest_now:
        found.append(f"since entry {entries[-1]['sequence']} the document was written past this service")
    return found
