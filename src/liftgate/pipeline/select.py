"""Select: values, probability vectors, one draw a slot; and what the row's decision then is."""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.input import Floats
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Walk
from liftgate.selection.slate import fill
from liftgate.selection.value import expected_value

_DEGRADED = frozenset(
    {
        Reason.PROFILE_STORE_UNAVAILABLE,
        Reason.MODEL_UNAVAILABLE,
        Reason.RESERVATION_UNAVAILABLE,
        Reason.LOG_UNAVAILABLE,
        Reason.STAGE_FAILED,
    }
)


def select(walk: Walk) -> None:
    """Fill in probability, choice, explored and draws, and decide every unsettled row."""
    batch, live = walk.batch, walk.live
    attempts = len(walk.lost) + 1
    slots = max(request.slot_count for request in batch.requests)
    batch.draws = _draws(batch, live, attempts, slots)
    # The first attempt's set holds what later attempts lost: their probabilities compound from it.
    allowed = batch.allowed | walk.lost[-1] if walk.lost else batch.allowed
    allowed = allowed & (walk.forced == Reason.UNSPECIFIED)[:, None]
    slot_count = np.array([request.slot_count for request in batch.requests], dtype=np.intp)
    expected = expected_value(batch.propensity, live.bundle.value)
    slates = fill(expected, allowed, walk.lost, live.epsilon[batch.placement], slot_count, batch.draws)
    batch.probability, batch.choice, batch.explored = slates.probability, slates.choice, slates.explored
    if not walk.decisions:
        ids = walk.ports.ids
        walk.decisions = [decide_row(walk, row, "" if r.dry_run else ids.decision_id()) for row, r in enumerate(batch.requests)]
    else:
        for row in walk.unsettled:
            walk.decisions[row] = decide_row(walk, row, walk.decisions[row].decision_id)
    for row in walk.unsettled:
        walk.attempts[row] += bool(walk.caps_charged(row))


def decide_row(walk: Walk, row: int, decision_id: str) -> Decision:
    """Return what the row's columns amount to. A forced row (`walk.forced`) gets the guarded default, or nothing."""
    batch, bundle = walk.batch, walk.live.bundle
    forced = Reason(walk.forced[row])
    chosen = tuple(offer for offer in batch.choice[row].tolist() if offer >= 0)
    placement = bundle.placements[batch.placement[row]]
    default = (placement.default_offer,) if batch.default_allowed[row] else ()
    default_served = bool(default) and not chosen
    would_offer: tuple[int, ...] = ()
    offered = chosen or default
    arm = Arm.HOLDOUT if batch.held_out[row] else Arm.TREATMENT
    branch: Branch
    reason: Reason
    if forced is not Reason.UNSPECIFIED:
        branch, reason = Branch.FALLBACK, forced
    elif not chosen:
        branch, reason = Branch.DEFAULT, Reason.NO_OFFER_ALLOWED
    else:
        branch, reason = (Branch.EXPLORE if batch.explored[row] else Branch.EXPLOIT), _reason_of_choice(batch, row)
    if arm is Arm.HOLDOUT:
        would_offer = offered
        offered = default if _holdout_answer(walk, row) == "default_offer" else ()
        default_served = bool(offered)
        if branch is not Branch.FALLBACK:
            branch, reason = Branch.HOLDOUT, Reason.HELD_OUT
    fallback_reason = Reason.MODEL_UNAVAILABLE if batch.model_failed[row] and forced is Reason.UNSPECIFIED else forced
    return Decision(
        row=row,
        decision_id=decision_id,
        arm=arm,
        branch=branch,
        reason=reason,
        degraded=fallback_reason in _DEGRADED,
        fallback_reason=fallback_reason,
        offered=offered,
        default_served=default_served,
        would_offer=would_offer,
        valid_until_ms=_valid_until(walk, row, offered),
    )


def _draws(batch: Batch, live: Live, attempts: int, slots: int) -> Floats:
    """Return [A, N, S] uniforms, pure functions of salt and request_id; slots that a placement lacks stay 0."""
    draws = np.zeros((attempts, batch.n, slots))
    for row, request in enumerate(batch.requests):
        salts = live.draw_salts[batch.placement[row]]
        for attempt in range(attempts):
            for slot in range(request.slot_count):
                draws[attempt, row, slot] = salts[attempt][slot].uniform(request.request_id)
    return draws


def _reason_of_choice(batch: Batch, row: int) -> Reason:
    if batch.model_failed[row]:
        return Reason.MODEL_UNAVAILABLE
    if batch.masked[row]:
        return Reason.PROFILE_NOT_CONSENTED
    if batch.profile_state[row] == ProfileState.MISSING:
        return Reason.UNKNOWN_PERSON
    if batch.profile_state[row] == ProfileState.UNREADABLE:
        return Reason.PROFILE_UNREADABLE
    return Reason.OFFERED


def _holdout_answer(walk: Walk, row: int) -> str:
    """Return what the first layer that holds the person out declares."""
    first = int(walk.batch.layer_held_out[row].argmax())
    return walk.live.bundle.layers[first].answer


def _valid_until(walk: Walk, row: int, offered: tuple[int, ...]) -> int:
    """Return the placement's validity, cut short by the end of an offer or of a consent that it needs."""
    batch, bundle = walk.batch, walk.live.bundle
    until = float(batch.now_ms[row] + bundle.placements[batch.placement[row]].valid_for_ms)
    for offer in offered:
        until = min(until, float(bundle.ends_at_ms[offer]))
        if len(bundle.purposes):
            until = min(until, float(np.min(batch.consent_until_ms[row], where=bundle.needs_purpose[offer], initial=np.inf)))
    return int(until)
