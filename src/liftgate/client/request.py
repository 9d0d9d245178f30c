"""What is asked and told, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

AttributeValue = str | int | float | bool


EventKindName = Literal[
    "exposure",
    "click",
    "purchase",
    "dismiss",
    "unsubscribe",
    "complaint",
    "cart_action",
    "email_sent",
    "email_delivered",
    "email_opened",
    "email_clicked",
    "email_bounced",
    "email_unsubscribed",
    "email_complained",
    "refund",
    "custom",
]


def _fresh_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Request:
    """One decision wanted. Empty text and None mean: not said."""

    person_id: str
    placement_id: str
    slot_count: int = 0
    """0: all of the placement's slots."""
    channel: str = ""
    device: str = ""
    locale: str = ""
    time_zone: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    global_privacy_control: bool = False
    candidates: Sequence[str] | None = None
    explain: bool = False
    dry_run: bool = False
    request_id: str = field(default_factory=_fresh_id)
    """The same id with the same body gets the same answer; made for you."""
    account_id: str = ""
    """The person's account or household, where caps count by it."""
    jurisdiction: str = ""
    """Whose law holds, as the bundle names it; empty: what the person's consent records say."""
    baseline_offers: Sequence[str] = ()
    """What you would show of your own accord, in slot order; a placement in apprentice mode answers it."""
    deferred: bool = False
    """Caps count nothing of it before its exposure is recorded; their places are held meanwhile."""
    session_id: str = ""
    visitor_id: str = ""
    """The visit, and the device or browser, for layers drawn by them; the visitor is the same before and after a login."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a person."""

    kind: EventKindName
    person_id: str
    decision_id: str = ""
    offer_id: str = ""
    occurred_at_ms: int = 0
    """Milliseconds since the Unix epoch; 0: now."""
    value: float | None = None
    """Money, for purchases, refunds (positive), cart actions and custom events."""
    currency: str = ""
    """ISO 4217; empty: the bundle's."""
    event_id: str = field(default_factory=_fresh_id)
    """The same id is counted once; made for you."""
    account_id: str = ""
    """As the decision was asked with it."""
    channel: str = ""
    """Where it happened."""
    time_zone: str = ""
    """The person's, for calendar windows in it; empty: that of the decision, or the bundle's."""
    name: str = ""
    """What a custom event is called, as the bundle's `signals` declare it; of a cart action add, remove, view or checkout."""
    slot: int = 0
    """The slot of the answer, from 1; 0: not known."""
    placement_id: str = ""
    device: str = ""
    jurisdiction: str = ""
    """As the decision was asked with it."""
    properties: Mapping[str, AttributeValue] = field(default_factory=dict)
    """Kept where the bundle's `event_properties` declare them, dropped and nowhere recorded otherwise."""
    prefetched: bool = False
    """A machine did it ahead of the person, such as a mail proxy that loads pictures: the signal is unreliable."""
    automated: bool = False
    """A machine did it, such as a link scanner: a bot's."""
