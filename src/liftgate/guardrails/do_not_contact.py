"""Do-not-contact lists: whoever is on one is not offered what it names. Whoever might be is not either."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict


class DoNotContact:
    """Denies what a list that the person is on holds back; where it cannot be told who is on a list, what any list holds back."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._lists = bundle.suppressions.lists
        self.idle = not self._lists
        held = np.zeros((len(self._lists), len(bundle.offers)), dtype=np.bool_)
        for i, each in enumerate(self._lists):
            held[i, each.offers] = True
        self._held: Bools = held
        """[lists, K]"""

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        listed, unknown = batch.listed, batch.listed_unknown
        if listed is None or unknown is None or (True not in listed.tobytes() and True not in unknown.tobytes()):
            return None
        tally = Tally(batch, self._bundle)
        for i, each in enumerate(self._lists):
            concerned = np.array([each.on(request.context.channel) for request in batch.requests], dtype=np.bool_)
            tally.object((listed[:, i] & concerned)[:, None] & self._held[i], Reason.DO_NOT_CONTACT)
            tally.object((unknown & concerned)[:, None] & self._held[i], Reason.DO_NOT_CONTACT_UNKNOWN)
        return tally.verdict()
