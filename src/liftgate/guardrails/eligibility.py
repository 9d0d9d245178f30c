"""Eligibility: could the offer fit? Channel and dates first, then three layers of conditions, in each of which unknown is no."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Codes
from liftgate.domain.input import Floats
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
        self.idle = False
        sections = (
            Rules(bundle, "eligible_if", Reason.NOT_ELIGIBLE, None, Reason.ELIGIBILITY_UNKNOWN),
            Rules(bundle, "applicable_if", Reason.NOT_APPLICABLE, None, Reason.APPLICABILITY_UNKNOWN, excusable=True),
            Rules(bundle, "suitable_if", Reason.NOT_SUITABLE, None, Reason.SUITABILITY_UNKNOWN, excusable=True),
        )
        self._sections = [rules for rules in sections if rules]
        self._channel_code = {name: i for i, name in enumerate(bundle.channels)}
        other = np.zeros((len(bundle.offers), 1), dtype=np.bool_)
        off_channel = (bundle.needs_channel[:, None] & ~np.concatenate((bundle.on_channel, other), axis=1)).T
        self._by_channel: Codes = np.where(off_channel, np.uint8(Reason.CHANNEL_NOT_ALLOWED), _PASSES)
        """[channels + 1, K]; the last row is any channel that no offer names."""
        self._boundaries: Floats = np.concatenate((bundle.starts_at_ms, bundle.ends_at_ms))
        self._dated = bool(np.isfinite(self._boundaries).any())
        self._same: tuple[float, float, Codes] = (0.0, 0.0, np.zeros(0, dtype=np.uint8))
        """From when until before when dates say what, [K]. Replaced whole."""

    def evaluate(self, batch: Batch) -> Verdict:
        """See `Guardrail`."""
        tally = Tally(batch, self._bundle)
        if self._bundle.channels:
            channels = [self._channel_code.get(request.context.channel, -1) for request in batch.requests]
            tally.reason = self._by_channel.take(channels, axis=0)
        if self._dated:
            tally.object_with(self._by_date(batch.now_ms))
        for rules in self._sections:
            rules.judge(batch, tally)
        return tally.verdict()

    def _by_date(self, now_ms: NDArray[np.int64]) -> Codes:
        """Return what dates have against offers, [K] where it is the same for everyone, else [N, K]. It stays the same until a boundary."""
        moments = now_ms.tolist()
        earliest, latest = min(moments), max(moments)
        since, until, codes = self._same
        if since <= earliest and latest < until:
            return codes
        if earliest != latest:
            return self._at(now_ms[:, None])
        codes = self._at(now_ms[0])
        ahead = self._boundaries[self._boundaries > latest]
        self._same = (earliest, float(ahead.min(initial=np.inf)), codes)
        return codes

    def _at(self, now_ms: NDArray[np.int64] | np.int64) -> Codes:
        late = np.where(now_ms >= self._bundle.ends_at_ms, np.uint8(Reason.ENDED), _PASSES)
        return np.where(now_ms < self._bundle.starts_at_ms, np.uint8(Reason.NOT_STARTED), late)
