"""Features that events keep fresh, in memory. Held to the same contract suite as Redis: `tests/contract`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import EventKey
from liftgate.pipeline.signal_ports import FeatureUpdate, UpdateStatus
from liftgate.signals.cell import Bound, apply, packed, pruned, unpacked
from liftgate.signals.plan import FeaturePlan


@dataclass
class MemoryFeatureEvents:
    """FeatureEvents over dictionaries; no event is ever forgotten."""

    states: dict[str, bytes] = field(default_factory=dict)
    """By person, as stored."""
    consent: dict[str, bytes] = field(default_factory=dict)
    down: bool = False
    """True: every call raises StoreUnavailable."""
    _known: set[EventKey] = field(default_factory=set)

    async def consents(self, person_ids: Sequence[str]) -> Sequence[bytes | None]:
        """See `pipeline.signal_ports.FeatureEvents`."""
        self._check()
        return [self.consent.get(person_id) for person_id in person_ids]

    async def apply(self, updates: Sequence[FeatureUpdate], plan: FeaturePlan, now_ms: int) -> Sequence[UpdateStatus]:
        """See `pipeline.signal_ports.FeatureEvents`."""
        self._check()
        bounds = plan.bounds(now_ms)
        return [self._apply(update, bounds) for update in updates]

    def _apply(self, update: FeatureUpdate, bounds: dict[int, Bound]) -> UpdateStatus:
        if update.key in self._known:
            return UpdateStatus.KNOWN
        self._known.add(update.key)
        person_id = update.key.person_id
        state = unpacked(self.states.get(person_id))
        status = UpdateStatus.APPLIED if state is not None else UpdateStatus.ANEW
        state = state or {}
        apply(state, update.changes)
        found = packed(pruned(state, bounds))
        if found is not None:
            self.states[person_id] = found
        return status

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("switched off")
