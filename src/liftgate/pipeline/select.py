"""Select: values, probability vectors, one draw a slot; and what each row's decision then is."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from operator import attrgetter

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.bucketing import uniforms
from liftgate.domain.decision import Decision, deferred_id
from liftgate.domain.input import Floats
from liftgate.domain.reason import Arm
from liftgate.domain.verdict import review_id_of
from liftgate.pipeline.answer import answer
from liftgate.pipeline.choose import choose
from liftgate.pipeline.live import Live
from liftgate.pipeline.outcome import outcomes
from liftgate.pipeline.walk import Walk

_HELD_OUT = Arm.HOLDOUT  # looking a member up on its enum costs microseconds before Python 3.12
_SLOT_COUNT, _REQUEST_ID, _DRY_RUN, _DEFERRED = map(attrgetter, ("slot_count", "request_id", "dry_run", "deferred"))


def select(walk: Walk) -> None:
    """Fill in probability, choice, explored and draws, and decide every unsettled row."""
    batch, live = walk.batch, walk.live
    slot_counts = list(map(_SLOT_COUNT, batch.requests))
    if not walk.decisions:
        batch.draws = _draws(walk, slot_counts)
    allowed = batch.allowed
    if any(walk.forced):
        allowed = allowed & np.array([forced is None for forced in walk.forced])[:, None]
    slates = choose(batch, live, allowed, slot_counts)
    batch.probability, batch.choice, batch.explored = slates.probability, slates.choice, slates.explored
    batch.slate_marginal, batch.slate_joint = slates.marginal, slates.joint
    first = not walk.decisions
    new_id = walk.ports.ids.decision_id
    if first:
        if True in map(_DRY_RUN, batch.requests) or True in map(_DEFERRED, batch.requests):
            ids = ["" if one.dry_run else deferred_id(new_id()) if one.deferred else new_id() for one in batch.requests]
        else:
            ids = walk.ports.ids.decision_ids(batch.n)
    else:
        # A claim that may have been made keeps its id: what is answered instead is another decision.
        ids = [decision.decision_id for decision in walk.decisions]
        for row in walk.unsure:
            ids[row] = deferred_id(new_id()) if batch.requests[row].deferred else new_id()
    _count_attempts(walk)
    decisions = _decide(walk, ids, walk.unsettled)
    answer(walk, decisions)
    reviewed = "review" not in live.bundle.shadow.guardrails
    _limit_validity(batch, live, decisions, approved=reviewed)
    if batch.verdicts is not None and reviewed:
        _end_with_verdicts(batch, live.bundle, decisions)
    quiet = live.bundle.suppressions.quiet_hours is not None and "quiet_hours" not in live.bundle.shadow.guardrails
    if quiet and live.chain.quiet_hours.kept(batch):
        _end_before_quiet_hours(batch, live, decisions)
    if first:
        walk.decisions = decisions
    else:
        for decision in decisions:
            walk.decisions[decision.row] = decision


def _count_attempts(walk: Walk) -> None:
    """Count the reservation to come for every unsettled row that caps concern."""
    concerned, forced, attempts, requests = walk.live.caps.concerned(walk.batch), walk.forced, walk.attempts, walk.batch.requests
    if len(walk.unsettled) == len(attempts) and all(concerned) and not any(forced) and True not in map(_DRY_RUN, requests):
        # As mostly.
        walk.attempts = [tried + 1 for tried in attempts]
        return
    for row in walk.unsettled:
        if concerned[row] and forced[row] is None and not requests[row].dry_run:
            attempts[row] += 1


def _decide(walk: Walk, ids: list[str], rows: list[int]) -> list[Decision]:
    """Return what the rows' columns amount to. A forced row (`walk.forced`) gets the guarded default, or nothing."""
    own = ids if len(rows) == len(ids) else [ids[row] for row in rows]
    decisions = list(map(Decision.again, outcomes(walk, rows), rows, own))
    if walk.batch.requested is not None:
        for decision, asked in zip(decisions, walk.batch.requested[rows].tolist(), strict=True):
            if asked >= 0 and decision.arm is not _HELD_OUT and walk.forced[decision.row] is None:
                decision.review_id = _review_id(walk, decision.row)
    return decisions


def _review_id(walk: Walk, row: int) -> str:
    """Return the id under which a reviewer decides whether the row's person is shown what would have come first."""
    request, bundle = walk.batch.requests[row], walk.live.bundle
    if walk.batch.requested is None or request.dry_run:
        return ""
    k = int(walk.batch.requested[row])
    return review_id_of(walk.pseudonyms[row], bundle.offers[k].offer_id, bundle.each_decision[k].digest)


def _draws(walk: Walk, slot_counts: list[int]) -> Floats:
    """Return [N, S] uniforms, pure functions of salt, pseudonym and request_id; slots that a request does not ask for stay 0."""
    salts, by, asked = walk.live.draw_salts, walk.drawn_by(), list(map(_REQUEST_ID, walk.batch.requests))
    placement, slots, fewest = walk.batch.placement.tolist(), max(slot_counts), min(slot_counts)
    draws = np.empty((walk.batch.n, slots))
    for slot in range(slots):
        own = list(map(salts[slot].__getitem__, placement))
        if slot >= fewest:
            own = [salt if slot < count else None for salt, count in zip(own, slot_counts, strict=True)]
        draws[:, slot] = uniforms(own, by, asked)
    return draws


def _limit_validity(batch: Batch, live: Live, decisions: list[Decision], approved: bool) -> None:
    """Set valid_until_ms: the placement's validity, cut short by the end of an offer shown, of a consent that it needs or of an approval.

    `approved`: approvals end it.
    """
    now_ms, placement, valid_for_ms = batch.now_ms.tolist(), batch.placement.tolist(), live.valid_for_ms
    ends_at_ms: Sequence[float] = live.ends_at_ms
    if approved and batch.controls.approved_until_ms is not None:
        ends_at_ms = list(map(min, ends_at_ms, batch.controls.approved_until_ms.tolist()))
    consents_end = False in np.isinf(batch.consent_until_ms).tobytes()
    if not consents_end and min(ends_at_ms, default=inf) >= max(now_ms) + max(valid_for_ms):
        # As mostly: nothing ends before any of the answers does.
        for decision in decisions:
            decision.valid_until_ms = now_ms[decision.row] + valid_for_ms[placement[decision.row]]
        return
    for decision in decisions:
        row = decision.row
        until: float = now_ms[row] + valid_for_ms[placement[row]]
        for offer in decision.offered:
            ends = ends_at_ms[offer]
            if ends < until:
                until = ends
            if consents_end:
                until = min(until, _consents_end(batch, live.bundle, row, offer))
        decision.valid_until_ms = int(until)


def _consents_end(batch: Batch, bundle: Bundle, row: int, offer: int) -> float:
    """Return when the first of the consents ends that an offer needs, milliseconds since the epoch; inf: none does."""
    needs = bundle.needs_purpose[offer]
    if batch.contact_needs is not None:
        needs = needs | batch.contact_needs[row]
    return float(batch.consent_until_ms[row, needs].min(initial=np.inf))


def _end_with_verdicts(batch: Batch, bundle: Bundle, decisions: list[Decision]) -> None:
    """Cut the validity of what is shown short where what a reviewer said of the person ends before it."""
    verdicts = batch.verdicts
    assert verdicts is not None
    for decision in decisions:
        for offer in decision.offered:
            if offer in bundle.each_decision:
                until_ms = verdicts[decision.row][bundle.offers[offer].offer_id].until_ms
                decision.valid_until_ms = min(decision.valid_until_ms, until_ms)


def _end_before_quiet_hours(batch: Batch, live: Live, decisions: list[Decision]) -> None:
    """Cut the validity of what is shown short where quiet hours begin before its end."""
    now_ms = batch.now_ms.tolist()
    for decision in decisions:
        if decision.offered:
            begins = live.chain.quiet_hours.next_ms(batch.requests[decision.row], now_ms[decision.row])
            decision.valid_until_ms = int(min(decision.valid_until_ms, begins))
