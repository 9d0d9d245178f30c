"""Suppression: must the offer wait? `suppress_if` holds it back where true, and where it cannot be told."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict
from liftgate.guardrails.rules import Rules


class Suppression:
    """Denies offers whose `suppress_if` is true or unknown."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._rules = Rules(bundle.suppress_if, len(bundle.offers))

    def evaluate(self, batch: Batch) -> Verdict:
        """See `Guardrail`."""
        tally = Tally(batch, self._bundle)
        if self._rules:
            true, unknown = self._rules.evaluate(batch)
            codes = np.where(true, np.uint8(Reason.SUPPRESSED), np.where(unknown, np.uint8(Reason.SUPPRESSION_UNKNOWN), np.uint8(PASSES)))
            for layer in self._rules.layers:
                tally.object_with(codes[:, layer])
        return tally.verdict()
