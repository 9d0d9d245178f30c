"""Eligibility: could the offer fit? Channel and dates first, then `eligible_if`, where unknown is no."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict
from liftgate.guardrails.rules import Rules


class Eligibility:
    """Denies offers off their channel, out of their dates, or whose condition is not true."""

    hard = True

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._rules = Rules(bundle.eligible_if, len(bundle.offers))
        self._channel_code = {name: i for i, name in enumerate(bundle.channels)}
        other = np.zeros((len(bundle.offers), 1), dtype=np.bool_)
        self._off_channel = (bundle.needs_channel[:, None] & ~np.concatenate((bundle.on_channel, other), axis=1)).T
        """[channels + 1, K]; the last row is any channel that no offer names."""
        self._starts, self._ends = bool(np.isfinite(bundle.starts_at_ms).any()), bool(np.isfinite(bundle.ends_at_ms).any())

    def evaluate(self, batch: Batch) -> Verdict:
        """See `Guardrail`."""
        bundle, tally = self._bundle, Tally(batch, self._bundle)
        if bundle.channels:
            code = [self._channel_code.get(request.context.channel, -1) for request in batch.requests]
            tally.object(self._off_channel[code], Reason.CHANNEL_NOT_ALLOWED)
        now_ms = batch.now_ms[:, None]
        if self._starts:
            tally.object(now_ms < bundle.starts_at_ms, Reason.NOT_STARTED)
        if self._ends:
            tally.object(now_ms >= bundle.ends_at_ms, Reason.ENDED)
        if self._rules:
            true, unknown = self._rules.evaluate(batch)
            true[:, -1] = True
            codes = np.where(true, np.uint8(PASSES), np.where(unknown, np.uint8(Reason.ELIGIBILITY_UNKNOWN), np.uint8(Reason.NOT_ELIGIBLE)))
            for layer in self._rules.layers:
                tally.object_with(codes[:, layer])
        return tally.verdict()
