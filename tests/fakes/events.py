"""Events seen, in memory. It passes the same contract suite as Redis: `tests/contract/test_events_seen.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import EventKey


@dataclass
class FakeEventsSeen:
    """EventsSeen over a dictionary. The horizon runs on `clock`, seconds."""

    horizon_ms: int = 86_400_000
    clock: Callable[[], float] = monotonic
    down: bool = False
    """True: every call raises StoreUnavailable."""
    _until: dict[EventKey, float] = field(default_factory=dict)

    async def logged(self, keys: Sequence[EventKey]) -> Sequence[bool]:
        """See `pipeline.ports.EventsSeen`."""
        self._check()
        return [self._until.get(key, 0.0) > self.clock() for key in keys]

    async def confirm(self, keys: Sequence[EventKey]) -> None:
        """See `pipeline.ports.EventsSeen`."""
        self._check()
        self._until.update(dict.fromkeys(keys, self.clock() + self.horizon_ms / 1000))

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")
