"""What comes back, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer to show."""

    offer_id: str
    payload_json: str = ""
    """JSON text from the bundle; empty: none."""
    propensity: float | None = None
    """P(outcome), 0 to 1; None for default offers."""
    value: float | None = None
    """Worth of the outcome in the bundle's currency; None for default offers."""
    selection_probability: float = 1.0
    """P(the policy chooses it for this slot), 0 to 1."""
    is_default: bool = False

    @property
    def payload(self) -> Any:
        """The payload, parsed; an empty mapping when there is none, also while the service is away."""
        return json.loads(self.payload_json) if self.payload_json else {}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One offer's way through the stages, from an explanation."""

    offer_id: str
    reason: str
    """Name of the reason without its prefix, for example `FREQUENCY_CAP`."""
    text: str
    rule: str
    """File and line of the rule that stopped it; empty: none did."""
    propensity: float | None
    value: float | None
    selection_probability: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why this offer and why not the others. Of a held-out person it names what would have been offered: not for the front end."""

    summary: str
    candidates: tuple[Candidate, ...]
    masked_paths: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    """Everything in it as plain data, by the names of the contract: rules and what they saw, factors, slots, consent, versions."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request, the service's or, when it is away, the default's."""

    request_id: str
    """Send it again to get the same answer."""
    decision_id: str
    """32 hexadecimal digits, to be sent with events; empty for a dry run and when the service is away."""
    offers: tuple[Offer, ...]
    """What to show, in slot order; empty: show nothing."""
    reason: str
    """Name without prefix, for example `OFFERED`; `SERVICE_UNAVAILABLE` when the service did not answer."""
    arm: str = ""
    """`TREATMENT` or `HOLDOUT`; empty when the service is away."""
    branch: str = ""
    bundle_digest: str = ""
    valid_until_ms: int = 0
    """Do not show the answer at or after this time, milliseconds since the Unix epoch; 0 when the service is away."""
    degraded: bool = False
    from_service: bool = True
    """False: the service was away and this is the client's default offer. It is in no log."""
    status: str = "OK"
    """Name of the gRPC status that the last attempt ended with."""
    detail: str = ""
    """What gRPC said about it, for an operator: may name the service's address; empty when the service answered."""
    explanation: Explanation | None = None
    baseline_refused: Mapping[str, str] = field(default_factory=dict)
    """Offers of your own choice that an apprentice placement does not answer, and the reason's name."""

    @property
    def offer(self) -> Offer | None:
        """The first offer; None: show nothing."""
        return self.offers[0] if self.offers else None


@dataclass(frozen=True, slots=True)
class Rejection:
    """One event that was not taken."""

    index: int
    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """An exposure after the consent that its decision needed was gone: what is not shown yet must not be shown."""

    index: int
    reason: str
    """Why: `CONSENT_DENIED`, `CONSENT_EXPIRED`, `CONSENT_UNAVAILABLE` and so on; `UNSPECIFIED` when it was answered so before."""
    purpose: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch of events, or of a whole stream. Every event is accepted, rejected or revoked."""

    accepted: int
    """In the event log now, duplicates included, revoked ones left out."""
    duplicates: int
    rejections: tuple[Rejection, ...]
    """Of a stream the first 1,000; `rejected` counts all."""
    uncounted: int = 0
    """In the event log, and not counted against caps and pauses, or not in full; sent again they are, once."""
    revocations: tuple[Revocation, ...] = ()
    """In the event log, marked, and counted nowhere. Of a stream the first 1,000; `revoked` counts all."""
    late: int = 0
    """Of the accepted: in the event log, marked, part of no feature and of no training."""
    dropped_properties: int = 0
    """Properties that the bundle does not declare."""
    rejected: int = 0
    revoked: int = 0
