"""The chain: every guardrail over every offer; the first objection gives the reason."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Guardrail, Verdict
from liftgate.guardrails.consent import Consent
from liftgate.guardrails.contact_policy import ContactPolicy
from liftgate.guardrails.decision_review import DecisionReview
from liftgate.guardrails.do_not_contact import DoNotContact
from liftgate.guardrails.eligibility import Eligibility
from liftgate.guardrails.exclusion import Exclusion
from liftgate.guardrails.frequency_cap import FrequencyCap
from liftgate.guardrails.freshness import Freshness
from liftgate.guardrails.kill_switch import KillSwitch
from liftgate.guardrails.pause import Pause
from liftgate.guardrails.quiet_hours import QuietHours
from liftgate.guardrails.review import Review
from liftgate.guardrails.shared_cap import SharedCap
from liftgate.guardrails.suppression import Suppression

_CANDIDATES = attrgetter("candidates")
_PASSES = np.array(PASSES, dtype=np.uint8)


class Chain:
    """The guardrails of one bundle, in the order in which reasons are given. The mask does not depend on the order."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.quiet_hours = QuietHours(bundle)
        guardrails: tuple[tuple[str, Guardrail], ...] = (
            ("kill_switch", KillSwitch(bundle)),
            ("consent", Consent(bundle)),
            ("review", Review(bundle)),
            ("freshness", Freshness(bundle)),
            ("eligibility", Eligibility(bundle)),
            ("suppression", Suppression(bundle)),
            ("lists", DoNotContact(bundle)),
            ("quiet_hours", self.quiet_hours),
            ("exclusions", Exclusion(bundle)),
            ("pauses", Pause(bundle)),
            ("caps", FrequencyCap(bundle)),
            ("contact_policy", ContactPolicy(bundle)),
            ("caps", SharedCap(bundle)),
            ("review", DecisionReview(bundle)),
        )
        # Counters know themselves which of them run in shadow, for the reservation holds them too.
        shadowed = bundle.shadow.guardrails - {"caps", "contact_policy", "exclusions", "pauses"}
        self.guardrails = tuple((guardrail, name in shadowed) for name, guardrail in guardrails if not guardrail.idle)
        """Each with whether it runs in shadow, in the order in which reasons are given; without those that have nothing to do."""
        self._shadows = bool(bundle.shadow)
        self._default: Bools = np.zeros((len(bundle.placements), len(bundle.offers)), dtype=np.bool_)
        """[P, K] the placement's default offer."""
        for p, placement in enumerate(bundle.placements):
            if placement.default_offer >= 0:
                self._default[p, placement.default_offer] = True
        most = max((len(placement.later_defaults) for placement in bundle.placements), default=0)
        later = [[*placement.later_defaults, *[-1] * (most - len(placement.later_defaults))] for placement in bundle.placements]
        self._later = np.array(later, dtype=np.intp) if most else None

    def evaluate(self, batch: Batch) -> None:
        """Fill in the batch's guard columns: allowed, reason, shadow_reason, default_allowed, later_default_allowed."""
        asked = candidates = self._bundle.candidates.take(batch.placement, axis=0)
        requested = self._requested(batch)
        if requested is not None:
            asked = candidates & requested
        against = None
        shadow = np.zeros(asked.shape, dtype=np.uint8) if self._shadows or batch.excused is not None else None
        for guardrail, in_shadow in self.guardrails:
            verdict = guardrail.evaluate(batch)
            if verdict is None:
                continue
            if shadow is not None:
                noted = _noted(verdict, in_shadow)
                if noted is not None:
                    still = asked if against is None else asked & (against == _PASSES)
                    np.copyto(shadow, noted, where=still & (shadow == _PASSES))
                if in_shadow:
                    continue
            if against is None:
                against = verdict.reason
            else:
                np.copyto(against, verdict.reason, where=against == _PASSES)
        if against is None:
            against = np.zeros(asked.shape, dtype=np.uint8)
        passes = against == _PASSES
        batch.allowed = asked & passes
        reason = asked.astype(np.uint8)  # Reason.ALLOWED is 1
        # On booleans, greater: the one and not the other.
        np.copyto(reason, against, where=asked > passes)
        if requested is not None:
            reason[candidates > requested] = Reason.NOT_REQUESTED
        batch.reason, batch.shadow_reason = reason, shadow
        batch.default_allowed = np.logical_or.reduce(passes & self._default.take(batch.placement, axis=0), axis=1)
        if self._later is not None:
            later = self._later[batch.placement]
            batch.later_default_allowed = (later >= 0) & np.take_along_axis(passes, later, axis=1)

    def _requested(self, batch: Batch) -> Bools | None:
        """Return [N, K] of what callers' candidate lists leave in, None where nobody sent one."""
        named = list(map(_CANDIDATES, batch.requests))
        if named.count(None) == len(named):
            return None
        requested = np.ones((batch.n, len(self._bundle.offers)), dtype=np.bool_)
        for row, candidates in enumerate(named):
            if candidates is not None:
                requested[row] = False
                requested[row, [self._bundle.offer_index[offer_id] for offer_id in candidates]] = True
        return requested


def _noted(verdict: Verdict, in_shadow: bool) -> Codes | None:
    """Return the reasons [N, K] that a verdict only notes: of its rules in shadow, or of all when it runs in shadow itself; None: none."""
    if verdict.shadow is None or not in_shadow:
        return verdict.reason if in_shadow else verdict.shadow
    # A rule in shadow notes only what nothing had denied before it.
    return np.where(verdict.shadow == PASSES, verdict.reason, verdict.shadow)
