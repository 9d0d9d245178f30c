"""What a caller asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AttributeValue = str | int | float | bool


@dataclass(slots=True)
class Context:
    """This moment, as the caller sees it. Empty text means missing."""

    channel: str = ""
    device: str = ""
    locale: str = ""
    time_zone: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    jurisdiction: str = ""
    """Whose law holds; no input of conditions."""


@dataclass
class DecideRequest:
    """A validated request. Ids are non-empty; `slot_count` lies in 1..the placement's slots."""

    request_id: str
    person_id: str
    placement_id: str
    slot_count: int = 1
    context: Context = field(default_factory=Context)
    gpc: bool = False
    candidates: tuple[str, ...] | None = None
    explain: bool = False
    dry_run: bool = False
    account_id: str = ""
    """The person's account or household, as caps by account know it; empty: not named."""
    idempotent: bool = True
    """False when the service made the request_id itself: nobody can retry it."""
    fingerprint: bytes = b"\0" * 8
    """Eight bytes of BLAKE2b over the request's bytes; another body under the same request_id is refused."""
    trace_id: bytes = b""
    span_id: bytes = b""
    sampled: bool = False
    session_id: str = ""
    """The visit, for layers drawn by session; empty: not named."""
    visitor_id: str = ""
    """The device or browser, the same before and after a login, for layers drawn by visitor; empty: not named."""
    baseline_offers: tuple[str, ...] = ()
    """The caller's own choice, in slot order; answered where the placement is in apprentice mode, recorded elsewhere."""
    deferred: bool = False
    """Counts nowhere before an exposure activates it; leases hold its places until then."""

    def asked_by(self, person_id: str, request_id: str, idempotent: bool, fingerprint: bytes) -> DecideRequest:
        """Return the same request of another person."""
        other = object.__new__(DecideRequest)
        own = other.__dict__ = self.__dict__.copy()
        own["person_id"], own["request_id"], own["idempotent"], own["fingerprint"] = person_id, request_id, idempotent, fingerprint
        return other
