"""Features that events keep fresh, as ports. `tests/contract` holds implementations to the text here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from liftgate.pipeline.ports import EventKey
from liftgate.signals.plan import FeaturePlan


@dataclass(slots=True)
class FeatureUpdate:
    """What one event changes of a person's features."""

    key: EventKey
    changes: bytes
    """Packed: `signals/cell.py`. Empty: nothing, and nothing is stored of it."""
    lives_ms: int
    """How long from now that can matter."""
    last: bool = False
    """Nothing else counts the event: once it has been applied it is known as logged (`EventsSeen`). Else only features are done with it,
    and whoever counts it says the rest."""


class UpdateStatus(IntEnum):
    """What became of an update."""

    KNOWN = 0
    """It was applied before, or the event is known as logged; nothing changed."""
    APPLIED = 1
    ANEW = 2
    """What was stored was no state: it has been replaced by one that holds this event alone."""


class FeatureEvents(Protocol):
    """What is kept of people for features. The end is the same in whatever order events come, once or often."""

    async def consents(self, person_ids: Sequence[str]) -> Sequence[bytes | None]:
        """Return the consent documents of people, in order, in ONE round trip; an empty one: there is something that is no document.

        Raises StoreUnavailable within its budget.
        """
        ...

    async def apply(self, updates: Sequence[FeatureUpdate], plan: FeaturePlan, now_ms: int) -> Sequence[UpdateStatus]:
        """Apply each update atomically and once, in ONE round trip, and let go of what is of no more use at `now_ms`.

        Raises StoreUnavailable; then any of them may or may not have been applied, and applying them again is safe.
        """
        ...
