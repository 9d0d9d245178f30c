"""Review: a sensitive offer is shown while an approval stands for exactly what it is now, and not a millisecond longer."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict


class Review:
    """Denies sensitive offers without a standing approval, and those that were sensitive until somebody took the mark away."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.idle = False
        self._sensitive = np.zeros(len(bundle.offers), dtype=np.bool_)
        self._sensitive[list(bundle.reviews)] = True

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        if not self._bundle.reviews and batch.controls.approved_until_ms is None:
            return None
        controls, tally = batch.controls, Tally(batch, self._bundle)
        if controls.approved_until_ms is None or controls.refusal is None:
            reason = Reason.NOT_APPROVED if controls.known else Reason.CONTROLS_UNKNOWN
            tally.object(np.broadcast_to(self._sensitive, tally.shape), reason)
        else:
            tally.object(batch.now_ms[:, None] >= controls.approved_until_ms, np.broadcast_to(controls.refusal, tally.shape))
        return tally.verdict()
