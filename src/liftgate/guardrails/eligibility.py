"""Eligibility: could the offer fit? Channel and dates first, then `eligible_if`, where unknown is no."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Tally, Verdict


class Eligibility:
    """Denies offers off their channel, out of their dates, or whose condition is not true."""

    hard = True

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._channel_code = {name: i for i, name in enumerate(bundle.channels)}
        self._dated = bool(np.isfinite(bundle.starts_at_ms).any() or np.isfinite(bundle.ends_at_ms).any())

    def evaluate(self, batch: Batch) -> Verdict:
        """See `Guardrail`."""
        bundle, tally = self._bundle, Tally(batch, self._bundle)
        if bundle.channels:
            code = np.array([self._channel_code.get(request.context.channel, -1) for request in batch.requests])
            on_channel = (bundle.on_channel[:, code] & (code >= 0)).T
            tally.object(bundle.needs_channel & ~on_channel, Reason.CHANNEL_NOT_ALLOWED)
        if self._dated:
            now = batch.now_ms[:, None]
            tally.object(now < bundle.starts_at_ms, Reason.NOT_STARTED)
            tally.object(now >= bundle.ends_at_ms, Reason.ENDED)
        now_ms = batch.now_ms.astype(np.float64)
        for rule in bundle.eligible_if:
            true, unknown = rule.condition.evaluate(batch.inputs, now_ms)
            if true.all():
                continue
            against = np.zeros(tally.mask.shape, dtype=np.bool_)
            against[:, rule.offers] = ~true[:, None]
            reason = np.where(unknown, Reason.ELIGIBILITY_UNKNOWN, Reason.NOT_ELIGIBLE).astype(np.uint8)
            tally.object(against, reason[:, None])
        return tally.verdict()
