"""Eligibility: could the offer fit? Channel and dates first, then three layers of conditions, in each of which unknown is no."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict
from liftgate.guardrails.rules import Rules

_PASSES = np.uint8(PASSES)


class Eligibility:
    """Denies offers off their channel, out of their dates, or with a condition that is not true.

    `eligible_if` (may this person have it), `applicable_if` (does it make sense now) and `suitable_if` (is it right for this person) are
    judged in this order, each with reasons of its own.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        sections = (
            (bundle.eligible_if, Reason.NOT_ELIGIBLE, Reason.ELIGIBILITY_UNKNOWN),
            (bundle.applicable_if, Reason.NOT_APPLICABLE, Reason.APPLICABILITY_UNKNOWN),
            (bundle.suitable_if, Reason.NOT_SUITABLE, Reason.SUITABILITY_UNKNOWN),
        )
        self._sections = [
            (Rules(rules, len(bundle.offers)), np.uint8(false), np.uint8(unknown)) for rules, false, unknown in sections if rules
        ]
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
        for rules, against, against_unknown in self._sections:
            true, unknown = rules.evaluate(batch)
            true[:, -1] = True
            codes = np.where(true, _PASSES, np.where(unknown, against_unknown, against))
            for layer in rules.layers:
                tally.object_with(codes[:, layer])
        return tally.verdict()
