"""Frequency caps as far as contact history tells before the choice; the reservation after it is what holds them."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict


class FrequencyCap:
    """Denies offers with a used-up cap; where contact history could not be read, every capped offer."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._capped = np.array([bool(caps) for caps in bundle.offer_caps], dtype=np.bool_)

    def evaluate(self, batch: Batch) -> Verdict:
        """See `Guardrail`."""
        bundle, tally = self._bundle, Tally(batch, self._bundle)
        if not bundle.caps:
            return tally.verdict()
        away = batch.profile_state == ProfileState.UNAVAILABLE
        if away.any():
            tally.object(away[:, None] & self._capped, Reason.FREQUENCY_CAP_UNAVAILABLE)
        full = batch.cap_room <= 0
        if full.any():
            for c in np.flatnonzero(full.any(axis=0)):
                against = np.zeros(tally.reason.shape, dtype=np.bool_)
                against[:, bundle.caps[c].offers] = full[:, c, None]
                tally.object(against, Reason.FREQUENCY_CAP)
        return tally.verdict()
