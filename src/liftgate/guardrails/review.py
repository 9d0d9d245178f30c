"""Review: a sensitive offer is shown while an approval stands for exactly what it is now, and not a millisecond longer."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Codes
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict

_PASSES = np.uint8(PASSES)


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
        controls = batch.controls
        if controls.approved_until_ms is None or controls.refusal is None:
            tally = Tally(batch, self._bundle)
            reason = Reason.NOT_APPROVED if controls.known else Reason.CONTROLS_UNKNOWN
            tally.object(np.broadcast_to(self._sensitive, tally.shape), reason)
            return tally.verdict()
        reasons: Codes = np.where(batch.now_ms[:, None] >= controls.approved_until_ms, controls.refusal, _PASSES)
        return Verdict(reasons)
