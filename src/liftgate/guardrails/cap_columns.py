"""Caps of one kind as columns of a batch: what their guardrails have in common."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict

_UNAVAILABLE = np.array(ProfileState.UNAVAILABLE, dtype=np.uint8)
_NO_ROOM = np.array(0)


class CapColumns:
    """Denies offers with a full cap of the given reasons; where the store is away, every offer with a hard one."""

    def __init__(self, bundle: Bundle, *reasons: Reason) -> None:
        self._bundle = bundle
        self._columns = [c for c, cap in enumerate(bundle.caps) if cap.reason in reasons]
        self.idle = not self._columns
        self._own = np.array(self._columns, dtype=np.intp)
        self._held = np.zeros((len(bundle.caps), len(bundle.offers)), dtype=np.bool_)
        """[caps, K] offers that the cap is on."""
        self._hard = {False: np.zeros(len(bundle.offers), dtype=np.bool_), True: np.zeros(len(bundle.offers), dtype=np.bool_)}
        """By whether they run in shadow: [K] offers with a hard cap on any channel."""
        for c in self._columns:
            cap = bundle.caps[c]
            self._held[c, cap.offers] = True
            if not cap.soft and cap.channel is None:
                self._hard[cap.shadow][cap.offers] = True
        self._hard_on_channel = [c for c in self._columns if not bundle.caps[c].soft and bundle.caps[c].channel is not None]
        self._named = {bundle.caps[c].channel for c in range(len(bundle.caps)) if bundle.caps[c].channel}

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        if not self._columns:
            return None
        anyone_away, full = ProfileState.UNAVAILABLE in batch.profile_state.tobytes(), batch.cap_room.take(self._own, axis=1) <= _NO_ROOM
        if not anyone_away and True not in full.tobytes():
            return None
        bundle, tally = self._bundle, Tally(batch, self._bundle)
        if anyone_away:
            self._away(batch, tally, np.flatnonzero(batch.profile_state == _UNAVAILABLE).tolist())
        for i in np.logical_or.reduce(full, axis=0).nonzero()[0].tolist():
            c = self._columns[i]
            tally.object(full[:, i, None] & self._held[c], self._reason(batch, c), in_shadow=bundle.caps[c].shadow)
        return tally.verdict()

    def _away(self, batch: Batch, tally: Tally, rows: list[int]) -> None:
        held = {in_shadow: np.zeros(tally.shape, dtype=np.bool_) for in_shadow in (False, True)}
        for in_shadow, hard in self._hard.items():
            held[in_shadow][rows] = hard
        for c in self._hard_on_channel:
            cap = self._bundle.caps[c]
            for row in rows:
                channel = batch.requests[row].context.channel
                if not channel or (channel if channel in self._named else "") == cap.channel:
                    held[cap.shadow][row, cap.offers] = True
        for in_shadow, its in held.items():
            if its.any():
                tally.object(its, Reason.FREQUENCY_CAP_UNAVAILABLE, in_shadow)

    def _reason(self, batch: Batch, column: int) -> Reason | np.ndarray:
        """Return why a full cap of the column denies: one reason, or [N, 1] of them."""
        return self._bundle.caps[column].reason
