"""Suppression: must the offer wait? `suppress_if` holds it back where true, and where it cannot be told."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict


class Suppression:
    """Denies offers whose `suppress_if` is true or unknown."""

    hard = False

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def evaluate(self, batch: Batch) -> Verdict:
        """See `Guardrail`."""
        tally = Tally(batch, self._bundle)
        now_ms = batch.now_ms.astype(np.float64)
        for rule in self._bundle.suppress_if:
            true, unknown = rule.condition.evaluate(batch.inputs, now_ms)
            held = true | unknown
            if not held.any():
                continue
            against = np.zeros(tally.mask.shape, dtype=np.bool_)
            against[:, rule.offers] = held[:, None]
            reason = np.where(unknown, Reason.SUPPRESSION_UNKNOWN, Reason.SUPPRESSED).astype(np.uint8)
            tally.object(against, reason[:, None])
        return tally.verdict()
