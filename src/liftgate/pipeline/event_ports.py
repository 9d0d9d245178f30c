"""What taking events in needs of the store of those seen. `tests/contract` holds implementations to the text here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from liftgate.pipeline.naming import Named


class EventKey(NamedTuple):
    """An event's identity: the same id about another person is another event."""

    person_id: str
    event_id: str


class Seen(IntEnum):
    """What is known of an event."""

    UNKNOWN = 0
    """It is not known to be logged."""
    LOGGED = 1
    REVOKED = 2
    """Logged, and it was answered that the consent that it needed is gone."""


class Looked(NamedTuple):
    """What a look at events found, in the order asked."""

    seen: Sequence[Seen]
    documents: Sequence[bytes | None] = ()
    """Consent documents: None where certainly none is stored, b"" where what is there cannot be one."""
    names: Sequence[Named] | None = None
    """What stands for people; None: this store keeps no keys of theirs."""


class EventsSeen(Protocol):
    """Which events are in the event log already. A help to the log's readers, who drop repeated ids in any case."""

    async def look(self, keys: Sequence[EventKey], people: Sequence[str] = (), named: Sequence[str] = ()) -> Looked:
        """Return what is known of each event, the consent documents of `people`, and what stands for those `named`, each of them once.

        ONE round trip; more only where somebody named lost their key since they were met here. Raises StoreUnavailable within its budget.
        """
        ...

    async def confirm(self, keys: Sequence[EventKey], seen: Seen = Seen.LOGGED) -> None:
        """Say that these are in the log; remembered for the horizon. Idempotent. Raises StoreUnavailable."""
        ...
