"""The chain: every guardrail over every offer; the first objection gives the reason."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import Guardrail
from liftgate.guardrails.consent import Consent
from liftgate.guardrails.contact_policy import ContactPolicy
from liftgate.guardrails.eligibility import Eligibility
from liftgate.guardrails.frequency_cap import FrequencyCap
from liftgate.guardrails.kill_switch import KillSwitch
from liftgate.guardrails.pause import Pause
from liftgate.guardrails.review import Review
from liftgate.guardrails.shared_cap import SharedCap
from liftgate.guardrails.suppression import Suppression


class Chain:
    """The guardrails of one bundle, in the order in which reasons are given. The mask does not depend on the order."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._guardrails: tuple[Guardrail, ...] = (
            KillSwitch(bundle),
            Consent(bundle),
            Review(bundle),
            Eligibility(bundle),
            Suppression(bundle),
            Pause(bundle),
            FrequencyCap(bundle),
            ContactPolicy(bundle),
            SharedCap(bundle),
        )
        self._default = np.array([placement.default_offer for placement in bundle.placements], dtype=np.intp)

    def evaluate(self, batch: Batch) -> None:
        """Fill in the batch's guard columns: allowed, reason, default_allowed."""
        bundle = self._bundle
        default = self._default[batch.placement]
        default_allowed = default >= 0
        allowed = bundle.candidates[batch.placement]
        reason = allowed.astype(np.uint8)  # Reason.ALLOWED is 1
        requested = self._requested(batch)
        if requested is not None:
            reason[allowed & ~requested] = Reason.NOT_REQUESTED
            allowed &= requested
        passes = np.ones(reason.shape, dtype=np.bool_)
        for guardrail in self._guardrails:
            verdict = guardrail.evaluate(batch)
            if verdict is None:
                continue
            np.copyto(reason, verdict.reason, where=allowed & ~verdict.mask)
            allowed &= verdict.mask
            passes &= verdict.mask
        default_allowed &= passes[np.arange(batch.n), default]
        batch.allowed, batch.reason, batch.default_allowed = allowed, reason, default_allowed

    def _requested(self, batch: Batch) -> Bools | None:
        """Return [N, K] of what callers' candidate lists leave in, None where nobody sent one."""
        if all(request.candidates is None for request in batch.requests):
            return None
        requested = np.ones((batch.n, len(self._bundle.offers)), dtype=np.bool_)
        for row, request in enumerate(batch.requests):
            if request.candidates is not None:
                requested[row] = False
                requested[row, [self._bundle.offer_index[offer_id] for offer_id in request.candidates]] = True
        return requested
