"""Events seen, in memory. It passes the same contract suite as Redis: `tests/contract/test_events_seen.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.event_ports import EventKey, Looked, Seen


@dataclass
class FakeEventsSeen:
    """EventsSeen over a dictionary. The horizon runs on `clock`, seconds."""

    horizon_ms: int = 86_400_000
    clock: Callable[[], float] = monotonic
    down: bool = False
    """True: every call raises StoreUnavailable."""
    consent: dict[str, bytes] = field(default_factory=dict)
    """Documents by person, to be read; share a FakeConsentStore's."""
    _until: dict[EventKey, tuple[float, Seen]] = field(default_factory=dict)

    async def look(self, keys: Sequence[EventKey], people: Sequence[str] = (), named: Sequence[str] = ()) -> Looked:
        """See `pipeline.ports.EventsSeen`."""
        self._check()
        now = self.clock()
        known = [self._until.get(key, (0.0, Seen.UNKNOWN)) for key in keys]
        return Looked([seen if until > now else Seen.UNKNOWN for until, seen in known], [self.consent.get(person) for person in people])

    async def confirm(self, keys: Sequence[EventKey], seen: Seen = Seen.LOGGED) -> None:
        """See `pipeline.ports.EventsSeen`."""
        self._check()
        self._until.update(dict.fromkeys(keys, (self.clock() + self.horizon_ms / 1000, seen)))

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")
