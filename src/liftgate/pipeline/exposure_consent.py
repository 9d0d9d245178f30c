"""Exposures and consent: is what the decision needed still there? Pure.

What is needed for certain is judged strictly: the offer's purposes and those of the channel that the event names must be granted now, or
have been when it was shown. What may have been needed, which only the decision knows (the use of the profile, permissions of channels and
purposes of offers that the event does not name), revokes where it ended between the decision and the exposure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import orjson

from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent
from liftgate.domain.event import Event, EventKind
from liftgate.domain.reason import Reason

_ALLOWED, _MISSING = Reason.ALLOWED, Reason.CONSENT_MISSING
_EXPOSURE = int(EventKind.EXPOSURE)
_ENDED = frozenset({"withdrawn", "objected"})


@dataclass(frozen=True, slots=True)
class Against:
    """Why an exposure is revoked."""

    reason: Reason
    """A CONSENT_ reason."""
    purpose: str


class ExposureConsent:
    """What exposures of one bundle need. Compiled once."""

    def __init__(self, bundle: Bundle) -> None:
        self._purposes = bundle.purposes
        self._rules = bundle.consent
        self._offers = bundle.offer_index
        everything = frozenset(range(len(bundle.purposes)))
        self._profile = frozenset({bundle.profile_purpose} - {-1})
        self._of_offer = [_set(row) for row in bundle.needs_purpose]
        self._any_offer = frozenset().union(*self._of_offer) & everything
        self._of_channel = [_set(row) for row in bundle.consent.channel_needs]
        self.needed = bool(self._profile or self._any_offer or any(self._of_channel))
        """An exposure may need anything at all."""

    def concerns(self, event: Event) -> bool:
        """Say whether consent has to be read for an event."""
        if event.kind != _EXPOSURE or not self.needed:
            return False
        strict, lenient = self._needs(event)
        return bool(strict or lenient)

    def unavailable(self, event: Event) -> Against | None:
        """Return what is against an event while the store is away: everything that it needs for certain is unknown, and unknown is no."""
        strict, _ = self._needs(event)
        return Against(Reason.CONSENT_UNAVAILABLE, self._purposes[min(strict)]) if strict else None

    def against(self, event: Event, document: bytes | None) -> Against | None:
        """Return what is against an exposure, by its person's consent document; None: nothing."""
        strict, lenient = self._needs(event)
        now_ms, shown_at = event.received_at_ms, event.occurred_at_ms
        needed = strict | lenient
        if len(needed) == 1:
            (only,) = needed
            if consent.reason_of(document, self._purposes[only], now_ms) is _ALLOWED:
                return None
        reasons, _, _ = consent.parse(document, self._purposes, now_ms)
        missing = [p for p in needed if reasons[p] is not _ALLOWED]
        if not missing:
            return None
        # What is certain comes first, and the profile's own purpose before those that may have been needed beside it.
        missing.sort(key=lambda p: (p not in strict, p not in self._profile, p))
        records = _records(document)
        decided_at = int(event.decision_id[:12], 16) if event.decision_id else inf
        for p in missing:
            record = records.get(self._purposes[p])
            if p in strict:
                reason = self._default(p, event, document) if reasons[p] is _MISSING else reasons[p]
                if reason is not _ALLOWED and not _in_force(record, shown_at):
                    return Against(reason, self._purposes[p])
            elif reasons[p] is Reason.CONSENT_UNREADABLE or (_ended_since(record, decided_at) and not _in_force(record, shown_at)):
                return Against(reasons[p], self._purposes[p])
        return None

    def _needs(self, event: Event) -> tuple[frozenset[int], frozenset[int]]:
        """Return the purposes that it needs for certain, and those that its decision may have needed."""
        offer = self._offers.get(event.offer_id)
        strict = self._of_offer[offer] if offer is not None else frozenset()
        lenient = self._profile if event.offer_id else self._profile | self._any_offer
        if self._rules.channels:
            needs = self._of_channel[self._rules.needs_of(event.channel)]
            if event.channel:
                strict = strict | needs
            else:
                lenient = lenient | needs
        return strict, lenient if event.decision_id else frozenset()

    def _default(self, purpose: int, event: Event, document: bytes | None) -> Reason:
        """Return what the jurisdiction's declared default says where nothing is on record."""
        rules = self._rules
        if not rules.jurisdictions:
            return _MISSING
        jurisdiction = event.jurisdiction or consent.jurisdiction(document)
        return Reason(int(rules.defaults[rules.jurisdictions.get(jurisdiction, len(rules.jurisdictions)), purpose]))


def _set(row: Any) -> frozenset[int]:
    return frozenset(np.flatnonzero(row).tolist())


def _records(document: bytes | None) -> Mapping[str, Any]:
    try:
        found = orjson.loads(document or b"{}").get("purposes", {})
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _time(record: Mapping[str, Any], name: str) -> float | None:
    found = record.get(name)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def _in_force(record: Any, at_ms: float) -> bool:
    """Say whether a record that holds no more shows that it held at a moment."""
    if not isinstance(record, dict):
        return False
    given, end = _time(record, "given_at_ms") or 0.0, _end(record)
    return end is not None and given <= at_ms < end


def _ended_since(record: Any, decided_at_ms: float) -> bool:
    """Say whether a record shows an end after a moment. One without times shows none."""
    if not isinstance(record, dict):
        return False
    end = _end(record)
    return end is not None and end > decided_at_ms


def _end(record: Mapping[str, Any]) -> float | None:
    """Return when a consent that is no more ended; None: the record does not say."""
    status = record.get("status")
    if status in _ENDED:
        return _time(record, "withdrawn_at_ms")
    if status == "expired":
        return _time(record, "expires_at_ms")
    if status == "granted":
        given = _time(record, "given_at_ms") or 0.0
        ends = [end for name in ("withdrawn_at_ms", "expires_at_ms") if (end := _time(record, name)) is not None and end > given]
        return min(ends, default=None)
    return None
