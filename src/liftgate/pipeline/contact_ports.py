"""Events as caps and pauses see them, and the port that counts them. `tests/contract` holds implementations to the text here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from liftgate.domain.event import Event
from liftgate.domain.feature import FeatureChange
from liftgate.domain.pause import Pause
from liftgate.pipeline.event_ports import EventKey


@dataclass(slots=True)
class CapCount:
    """One cap that an event counts against."""

    cap_id: bytes
    until_ms: float
    """End of the window that the event's own time lies in."""
    leased_only: bool
    """Counts only where the event's decision holds a lease on the cap."""
    lease_window: bool
    """While the lease's window lasts, its end holds: it knows the person's time zone."""
    once: bool = False
    """The decision counts and not the event, however many events it has; it needs a known decision."""


@dataclass(slots=True)
class TotalCount:
    """One total counter that an event counts in."""

    cap_id: bytes
    receipt_id: bytes
    bucket_until_ms: float
    leased_only: bool
    once: bool = False
    """As in CapCount."""


@dataclass(slots=True)
class ContactEvent:
    """An event as caps and pauses see it. Counted once, however often it is reported."""

    key: EventKey
    reservation_id: bytes
    """Of its decision, eight bytes; empty: not known."""
    now_ms: int
    occurred_at_ms: int
    held_out: bool
    """Where nothing is held for its decision: the person is held out, so it counts among ghosts."""
    unsure: bool
    """Whether they are depends on their consent: then it counts on both sides."""
    account_id: str
    caps: tuple[CapCount, ...] = ()
    account_caps: tuple[CapCount, ...] = ()
    totals: tuple[TotalCount, ...] = ()
    pauses: tuple[Pause, ...] = ()
    partly: bool = False
    """The person is held out of some offers, `held_out` says whether of this one: a lease counts where it lies, real or ghost; without one
    the event counts for real, but for an offer that is withheld and whose decision holds anything among ghosts."""
    both: bool = False
    """With `partly`: about a whole answer, so leases on either side count."""
    features: FeatureChange | None = None
    """What it changes of the person's live features; None: nothing."""


class FeatureEvent(ContactEvent):
    """An event that changes features, and that neither caps nor pauses count: as most are."""

    __slots__ = ()
    reservation_id, held_out, unsure, account_id = b"", False, False, ""
    caps, account_caps, totals, pauses, partly, both = (), (), (), (), False, False

    def __init__(self, key: EventKey, now_ms: int, occurred_at_ms: int, features: FeatureChange) -> None:
        """Take what it is, and what it changes."""
        self.key, self.now_ms, self.occurred_at_ms, self.features = key, now_ms, occurred_at_ms, features


class CountStatus(IntEnum):
    """What became of an event."""

    KNOWN = 0
    """It was counted before; nothing changed."""
    COUNTED = 1
    IN_PART = 2
    """A history was full or damaged; the rest was counted."""


class FeatureUpdates(Protocol):
    """What events change of people's live features: compiled once for a bundle, and pure."""

    def of(self, event: Event) -> FeatureChange | None:
        """Return what the event changes; None: nothing, as of every late event. Revoked ones are not asked about."""
        ...


class ContactEvents(Protocol):
    """Counts events against caps and pauses, and applies them to features. What is counted is also known to be logged (`EventsSeen`)."""

    async def count(self, events: Sequence[ContactEvent], others: Sequence[EventKey] = ()) -> Sequence[CountStatus]:
        """Count each event atomically, in any order to the same end: a lease of its decision becomes what it was held for.

        ONE round trip for all. `others` count nowhere; that they are logged is remembered. Raises StoreUnavailable; then any of them may
        or may not have been counted, and counting them again is safe.
        """
        ...
