"""One purpose's consent in full, with the evidence for it, and the documents that hold such records.

Deciding reads status and times alone (`domain/consent.py`). Who sets, shows and loads consent reads and writes whole records here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from liftgate.domain import consent
from liftgate.domain.reason import Reason

BASES = ("consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests")
"""Lawful bases, as article 6 of the GDPR lists them."""
TEXTS = ("jurisdiction", "source", "mechanism", "notice_version", "policy_version")
TIMES = ("given_at_ms", "expires_at_ms", "withdrawn_at_ms")
TEXT_BYTES = 128
"""Of each text; versions and jurisdictions keep 64."""
SHORT_TEXT_BYTES = 64
LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
AHEAD_MS = 5 * 60 * 1000
"""How far a record may lie ahead of our clock."""

_SHORT = frozenset({"jurisdiction", "notice_version", "policy_version"})


class UnreadableConsent(Exception):
    """What is stored cannot be read, so that nobody can say what a change would overwrite. `purpose` empty: the whole document."""

    def __init__(self, purpose: str) -> None:
        super().__init__(purpose)
        self.purpose = purpose


class OlderConsent(Exception):
    """A grant that was given no later than a withdrawal on record: a call that comes late must not undo what came after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """What a person said about one purpose. Empty texts and absent times are not known."""

    purpose: str
    status: str
    """One of `consent.STATUSES`."""
    basis: str = ""
    """One of `BASES`, or empty."""
    jurisdiction: str = ""
    """Whose law it was given under, named as the bundle names it."""
    source: str = ""
    """Where it was collected: `checkout`, `preference-centre`."""
    mechanism: str = ""
    """How: `double-opt-in`, `toggle`."""
    notice_version: str = ""
    """Version of the notice that the person saw."""
    policy_version: str = ""
    given_at_ms: int | float | None = None
    expires_at_ms: int | float | None = None
    withdrawn_at_ms: int | float | None = None

    def stored(self) -> dict[str, Any]:
        """Return the record as it lies in a document: what is not known is left out."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if name != "purpose" and value not in ("", None)}

    def mistakes(self, now_ms: int | None = None) -> list[tuple[str, str]]:
        """Return (field, what is wanted) for everything that is wrong. `now_ms`: also refuse what lies ahead of that clock."""
        found = []
        if self.status not in consent.STATUSES:
            found.append(("status", f"wants one of {', '.join(sorted(consent.STATUSES))}"))
        if self.basis and self.basis not in BASES:
            found.append(("basis", f"wants one of {', '.join(BASES)}"))
        for name in TEXTS:
            text, limit = getattr(self, name), SHORT_TEXT_BYTES if name in _SHORT else TEXT_BYTES
            if text and (len(text.encode("utf-8", "surrogatepass")) > limit or not text.isprintable()):
                found.append((name, f"wants at most {limit} bytes of printable text"))
        for name in TIMES:
            at = getattr(self, name)
            if at is not None and not 0 <= at <= LATEST_MS:
                found.append((name, "wants milliseconds since the Unix epoch, up to the year 9999"))
            elif at is not None and now_ms is not None and name != "expires_at_ms" and at > now_ms + AHEAD_MS:
                found.append((name, "wants a time no more than 5 minutes ahead of the service's clock"))
        return found or self._contradictions()

    def _contradictions(self) -> list[tuple[str, str]]:
        given, expires, withdrawn = self.given_at_ms, self.expires_at_ms, self.withdrawn_at_ms
        found = []
        if given is not None and expires is not None and expires <= given:
            found.append(("expires_at_ms", "wants a time after given_at_ms"))
        if self.status == "granted" and withdrawn is not None and (given is None or withdrawn >= given):
            found.append(("withdrawn_at_ms", "wants a time before given_at_ms: a grant that was withdrawn since is `withdrawn`"))
        return found


def records(raw: bytes | None) -> dict[str, ConsentRecord | None] | None:
    """Return every record of a stored document by purpose, None for one that cannot be read; None: the document cannot be."""
    found = _purposes(raw)
    if found is None:
        return None
    stored = found[1]
    reasons, _, version = consent.parse(raw, list(stored), 0)
    return {
        name: None if reason is Reason.CONSENT_UNREADABLE else _record(name, stored[name], version)
        for name, reason in zip(stored, reasons, strict=True)
    }


def with_record(raw: bytes | None, record: ConsentRecord, replace_unreadable: bool = False) -> bytes:
    """Return the stored document with one purpose's record put in the place of the old one; everything else stays as it is.

    Raises UnreadableConsent when the document, or the record in question, cannot be read, unless `replace_unreadable`; OlderConsent when
    a grant says that it was given no later than the withdrawal on record.
    """
    found = _purposes(raw)
    if found is None:
        if not replace_unreadable:
            raise UnreadableConsent("")
        found = {}, {}
    document, purposes = found
    old = purposes.get(record.purpose)
    unreadable = record.purpose in purposes and consent.parse(raw, [record.purpose], 0)[0][0] is Reason.CONSENT_UNREADABLE
    if unreadable and not replace_unreadable:
        raise UnreadableConsent(record.purpose)
    if record.status == "granted" and record.given_at_ms is not None and not unreadable and old is not None:
        withdrawn = old.get("withdrawn_at_ms")
        if withdrawn is not None and record.given_at_ms <= withdrawn:
            raise OlderConsent
    version = document.get("policy_version")
    if record.policy_version and isinstance(version, str) and version and version != record.policy_version:
        # The document's version spoke for records without one of their own.
        for other in purposes.values():
            if isinstance(other, dict):
                other.setdefault("policy_version", version)
    if record.policy_version:
        document["policy_version"] = record.policy_version
    return orjson.dumps({**document, "v": 1, "purposes": {**purposes, record.purpose: record.stored()}})


def _purposes(raw: bytes | None) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the document and its records; None: it cannot be read."""
    if raw is None:
        return {}, {}
    # Whether it can be read is judged in one place.
    if consent.parse(raw, ["?"], 0)[0][0] is Reason.CONSENT_UNREADABLE:
        return None
    document: dict[str, Any] = orjson.loads(raw)
    return document, document["purposes"]


def _record(purpose: str, stored: Mapping[str, Any], policy_version: str) -> ConsentRecord:
    known: dict[str, Any] = {name: text for name in (*TEXTS, "basis") if isinstance(text := stored.get(name), str)}
    times = {name: stored.get(name) for name in TIMES}
    return ConsentRecord(purpose=purpose, status=stored["status"], **{"policy_version": policy_version, **known, **times})
