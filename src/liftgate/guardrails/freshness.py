"""Freshness: is what the offer is judged by recent enough?"""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import InputState, Reason
from liftgate.guardrails.base import Tally, Verdict

_STALE = np.array(InputState.DEFAULT_STALE, dtype=np.uint8)


class Freshness:
    """Denies offers whose rules or models read a stale feature that the bundle declares `on_stale: skip_offer`. It cannot run in shadow."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.idle = not bundle.stale_offers

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        readers = self._bundle.stale_offers
        if not readers or InputState.DEFAULT_STALE not in batch.input_state.tobytes():
            return None
        stale = {index: batch.input_state[:, index] == _STALE for index in readers}
        if not any(True in rows.tobytes() for rows in stale.values()):
            return None
        tally = Tally(batch, self._bundle)
        for index, rows in stale.items():
            tally.object(rows[:, None] & readers[index], Reason.FEATURE_STALE)
        return tally.verdict()
