"""What became of events: for each event of a batch while it is taken, and for each call in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from liftgate.domain.errors import FieldViolation
from liftgate.domain.event import Event
from liftgate.domain.feature import FeatureChange
from liftgate.pipeline.event_ports import EventKey, Seen
from liftgate.pipeline.exposure_consent import Against
from liftgate.pipeline.naming import Named

_ERASED = FieldViolation("occurred_at_ms", "wants a time after the person was erased: what happened before is not taken any more")
_REVOKED = Seen.REVOKED
UNNAMED = Named(b"")
"""What stands for nobody yet."""


@dataclass(slots=True)
class Taken:
    """What became of one call's events. Positions are the call's, from 0."""

    events: int
    accepted: int = 0
    """In the event log, duplicates included, revoked ones left out."""
    duplicates: int = 0
    late: int = 0
    uncounted: int = 0
    dropped: int = 0
    """Properties."""
    rejected: list[tuple[int, FieldViolation]] = field(default_factory=list)
    revoked: list[tuple[int, Against | None]] = field(default_factory=list)
    """None: it was answered so before."""


@dataclass(eq=False)
class Told:
    """One event of a batch, however often it is in it. Without slots: what it mostly is need not be set."""

    event: Event
    key: EventKey
    call: int
    index: int
    """Where it is for the first time: the batch's call and the position in it."""
    changes: FeatureChange | None
    """What it changes of features, as far as that may be kept; None: nothing."""
    name: Named = field(default=UNNAMED, init=False)
    """What stands for its person."""
    seen: Seen = field(default=Seen.UNKNOWN, init=False)
    """What was known of it before."""
    against: Against | None = field(default=None, init=False)
    """Why it is revoked."""
    undecided: bool = field(default=False, init=False)
    """Nobody knows whether its changes may be kept: it is logged and not counted."""
    counted: bool = field(default=True, init=False)
    """It counts where it should, in full."""

    @property
    def erased(self) -> bool:
        """It happened before its person was erased."""
        erased_at_ms = self.name.erased_at_ms
        return erased_at_ms is not None and self.event.occurred_at_ms <= erased_at_ms


def tell(found: Taken, call: int, places: Sequence[tuple[int, Told]], usual: bool) -> Taken:
    """Say of one call's events what became of them. `places`: position and event, without those that were rejected at sight.

    `usual`: all of the batch's are new, each is there once and counts, none is late, revoked or of somebody erased.
    """
    if usual:
        found.accepted = len(places)
        return found
    uncounted: set[int] = set()
    accepted = duplicates = 0
    for index, told in places:
        if told.name.erased_at_ms is not None and told.erased:
            found.rejected.append((index, _ERASED))
        elif told.against is not None or told.seen is _REVOKED:
            found.revoked.append((index, told.against))
        else:
            accepted += 1
            if told.seen or told.index != index or told.call != call:
                duplicates += 1
            elif told.event.late:
                found.late += 1
            if not told.counted:
                uncounted.add(id(told))
    found.accepted, found.duplicates, found.uncounted = accepted, duplicates, len(uncounted)
    found.rejected.sort(key=_position)
    return found


def _position(one: tuple[int, FieldViolation]) -> int:
    return one[0]
