"""Suppression: must the offer wait? `suppress_if` holds it back where true, and where it cannot be told."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Verdict
from liftgate.guardrails.rules import Rules, Section


class Suppression:
    """Denies offers whose `suppress_if` is true or unknown."""

    def __init__(self, bundle: Bundle) -> None:
        self._rules = Rules(bundle, Section("suppress_if", None, Reason.SUPPRESSED, Reason.SUPPRESSION_UNKNOWN))
        self.idle = not self._rules

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        tally = self._rules.judge(batch, None)
        return None if tally is None else tally.verdict()
