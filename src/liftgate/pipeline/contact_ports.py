"""Events as caps and pauses see them, and the port that counts them. `tests/contract` holds implementations to the text here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from liftgate.domain.pause import Pause
from liftgate.pipeline.ports import EventKey


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


@dataclass(slots=True)
class TotalCount:
    """One total counter that an event counts in."""

    cap_id: bytes
    receipt_id: bytes
    bucket_until_ms: float
    leased_only: bool


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


class CountStatus(IntEnum):
    """What became of an event."""

    KNOWN = 0
    """It was counted before; nothing changed."""
    COUNTED = 1
    IN_PART = 2
    """A history was full or damaged; the rest was counted."""


class ContactEvents(Protocol):
    """Counts events against caps and pauses. An event that is counted is also known to be logged (`EventsSeen`)."""

    async def count(self, events: Sequence[ContactEvent]) -> Sequence[CountStatus]:
        """Count each event atomically, in any order to the same end: a lease of its decision becomes what it was held for.

        Raises StoreUnavailable; then any of them may or may not have been counted, and counting them again is safe.
        """
        ...
