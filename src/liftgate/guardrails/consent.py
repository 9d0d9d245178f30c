"""Consent: an offer passes only where every purpose that it names, and every one that the channel needs, is granted, now."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict

_GRANTED = np.array(Reason.ALLOWED, dtype=np.uint8)
_GRANT = int(Reason.ALLOWED)


class Consent:
    """Denies offers whose purposes are not granted; the reason is the first such purpose's, the offer's own before the channel's."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.idle = False
        self._purposes = [p for p in range(len(bundle.purposes)) if bundle.needs_purpose[:, p].any()]

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        codes = batch.consent.tobytes()
        if codes.count(_GRANT) == len(codes):
            return None
        denied, tally = batch.consent != _GRANTED, Tally(batch, self._bundle)
        for p in self._purposes:
            tally.object(denied[:, p, None] & self._bundle.needs_purpose[:, p], batch.consent[:, p, None])
        if batch.contact_needs is not None:
            barred = denied & batch.contact_needs
            for p in np.flatnonzero(barred.any(axis=0)).tolist():
                tally.object(barred[:, p, None], batch.consent[:, p, None])
        return tally.verdict()
