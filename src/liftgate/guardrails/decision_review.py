"""Per-decision review: an offer that asks for it is shown to a person only after somebody said yes to that. Judged last.

So whoever has this reason passed everything else, and only those are put before a reviewer.
"""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict


class DecisionReview:
    """Denies offers of which every decision is reviewed, unless the person's verdict stands."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.idle = not bundle.each_decision

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        if not self._bundle.each_decision:
            return None
        tally, now_ms = Tally(batch, self._bundle), batch.now_ms.tolist()
        verdicts = batch.verdicts or [{}] * batch.n
        codes = np.zeros(tally.shape, dtype=np.uint8)
        for k, wanted in self._bundle.each_decision.items():
            offer_id = self._bundle.offers[k].offer_id
            for row in range(batch.n):
                verdict = verdicts[row].get(offer_id)
                if verdict is None or verdict.digest != wanted.digest or now_ms[row] >= verdict.until_ms:
                    codes[row, k] = Reason.AWAITING_REVIEW
                else:
                    codes[row, k] = PASSES if verdict.approved else Reason.REVIEW_REJECTED
        tally.object_with(codes)
        return tally.verdict()
