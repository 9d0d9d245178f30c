"""Suppression: must the offer wait? `suppress_if` holds it back where true, and where it cannot be told."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict
from liftgate.guardrails.rules import Rules

_SUPPRESSED, _UNKNOWN = Reason.SUPPRESSED, Reason.SUPPRESSION_UNKNOWN


class Suppression:
    """Denies offers whose `suppress_if` is true or unknown."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._rules = Rules(bundle.suppress_if, len(bundle.offers))

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        if not self._rules:
            return None
        tally = Tally(batch, self._bundle)
        codes = self._rules.evaluate(batch, true=_SUPPRESSED, unknown=_UNKNOWN, false=PASSES)
        for layer in self._rules.layers:
            tally.object_with(codes[:, layer])
        return tally.verdict()
