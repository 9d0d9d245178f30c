"""Eligibility: could the offer fit? Channel and dates first, then three layers of conditions, in each of which unknown is no."""

from __future__ import annotations

from itertools import repeat
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Codes
from liftgate.domain.input import Floats
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally, Verdict
from liftgate.guardrails.rules import Rules, Section

_CHANNEL, _OTHER = attrgetter("context.channel"), repeat(-1)
_PASSES = np.uint8(PASSES)


class Eligibility:
    """Denies offers off their channel, out of their dates, or with a condition that is not true.

    `eligible_if` (may this person have it), `applicable_if` (does it make sense now) and `suitable_if` (is it right for this person) are
    judged in this order, each with reasons of its own.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.idle = False
        self._rules = Rules(
            bundle,
            Section("eligible_if", Reason.NOT_ELIGIBLE, None, Reason.ELIGIBILITY_UNKNOWN),
            Section("applicable_if", Reason.NOT_APPLICABLE, None, Reason.APPLICABILITY_UNKNOWN, excusable=True),
            Section("suitable_if", Reason.NOT_SUITABLE, None, Reason.SUITABILITY_UNKNOWN, excusable=True),
        )
        self._channel_code = {name: i for i, name in enumerate(bundle.channels)}
        other = np.zeros((len(bundle.offers), 1), dtype=np.bool_)
        off_channel = (bundle.needs_channel[:, None] & ~np.concatenate((bundle.on_channel, other), axis=1)).T
        self._by_channel: Codes = np.where(off_channel, np.uint8(Reason.CHANNEL_NOT_ALLOWED), _PASSES)
        """[channels + 1, K]; the last row is any channel that no offer names."""
        self._boundaries: Floats = np.concatenate((bundle.starts_at_ms, bundle.ends_at_ms))
        self._stands = bool(bundle.channels) or bool(np.isfinite(self._boundaries).any())
        """Channels or dates can have something against an offer."""
        self._same: tuple[float, float, Codes] = (0.0, 0.0, self._by_channel)
        """From when until before when channels, and dates behind them, have what against offers, [channels + 1, K]. Replaced whole."""

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        tally: Tally | None = None
        if self._stands:
            tally = Tally(batch, self._bundle)
            tally.reason = self._standing(batch)
        if self._rules:
            tally = self._rules.judge(batch, tally)
        return None if tally is None else tally.verdict()

    def _standing(self, batch: Batch) -> Codes:
        """Return what channels and dates have against offers, [N, K]. For a channel it stays the same until a boundary."""
        channels = list(map(self._channel_code.get, map(_CHANNEL, batch.requests), _OTHER))
        moments = batch.now_ms.tolist()
        earliest, latest = min(moments), max(moments)
        since, until, standing = self._same
        if not since <= earliest or not latest < until:
            if earliest != latest:
                return self._at(batch.now_ms[:, None], self._by_channel.take(channels, axis=0))
            standing = self._at(batch.now_ms[0], self._by_channel)
            ahead = self._boundaries[self._boundaries > latest]
            self._same = (earliest, float(ahead.min(initial=np.inf)), standing)
        return standing.take(channels, axis=0)

    def _at(self, now_ms: NDArray[np.int64] | np.int64, by_channel: Codes) -> Codes:
        late = np.where(now_ms >= self._bundle.ends_at_ms, np.uint8(Reason.ENDED), _PASSES)
        dates = np.where(now_ms < self._bundle.starts_at_ms, np.uint8(Reason.NOT_STARTED), late)
        return np.where(by_channel, by_channel, dates)
