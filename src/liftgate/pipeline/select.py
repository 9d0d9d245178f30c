"""Select: values, probability vectors, one draw a slot; and what each row's decision then is."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision, deferred_id
from liftgate.domain.input import Floats
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.domain.verdict import review_id_of
from liftgate.pipeline.answer import answer
from liftgate.pipeline.choose import choose
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Walk

# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_TREATMENT, _HELD_OUT, _NOT_ENROLLED = Arm.TREATMENT, Arm.HOLDOUT, Arm.NOT_ENROLLED
_EXPLOIT, _EXPLORE, _HOLDOUT, _DEFAULT, _FALLBACK = Branch.EXPLOIT, Branch.EXPLORE, Branch.HOLDOUT, Branch.DEFAULT, Branch.FALLBACK
_ABLATION = Branch.ABLATION
_UNSPECIFIED, _OFFERED, _IN_HOLDOUT, _NONE_ALLOWED = Reason.UNSPECIFIED, Reason.OFFERED, Reason.HELD_OUT, Reason.NO_OFFER_ALLOWED
_NONE_WORTH = Reason.NOTHING_WORTH_SHOWING
_MODEL_UNAVAILABLE, _NOT_CONSENTED = Reason.MODEL_UNAVAILABLE, Reason.PROFILE_NOT_CONSENTED
_MODEL_STOPPED, _IMPERSONAL = Reason.MODEL_STOPPED, Reason.PERSONALIZATION_STOPPED
_STATE = {int(state): _OFFERED for state in ProfileState}
_STATE |= {int(ProfileState.MISSING): Reason.UNKNOWN_PERSON, int(ProfileState.UNREADABLE): Reason.PROFILE_UNREADABLE}
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
    slot_counts = [request.slot_count for request in batch.requests]
    if not walk.decisions:
        batch.draws = _draws(walk, max(slot_counts))
    allowed = batch.allowed
    if any(walk.forced):
        allowed = allowed & np.array([forced is None for forced in walk.forced])[:, None]
    slates = choose(batch, live, allowed, slot_counts)
    batch.probability, batch.choice, batch.explored = slates.probability, slates.choice, slates.explored
    batch.slate_marginal, batch.slate_joint = slates.marginal, slates.joint
    first = not walk.decisions
    new_id = walk.ports.ids.decision_id
    if first:
        ids = ["" if one.dry_run else deferred_id(new_id()) if one.deferred else new_id() for one in batch.requests]
    else:
        # A claim that may have been made keeps its id: what is answered instead is another decision.
        ids = [decision.decision_id for decision in walk.decisions]
        for row in walk.unsure:
            ids[row] = deferred_id(new_id()) if batch.requests[row].deferred else new_id()
    decisions = _decide(walk, ids, walk.unsettled)
    answer(walk, decisions)
    _limit_validity(batch, live.bundle, decisions)
    if (batch.controls.approved_until_ms is not None or batch.verdicts is not None) and "review" not in live.bundle.shadow.guardrails:
        _end_with_approvals(batch, live.bundle, decisions)
    if live.bundle.suppressions.quiet_hours is not None and "quiet_hours" not in live.bundle.shadow.guardrails:
        _end_before_quiet_hours(batch, live, decisions)
    if first:
        walk.decisions = decisions
    concerned, forced, attempts = live.caps.concerned(batch), walk.forced, walk.attempts
    for decision in decisions:
        row = decision.row
        walk.decisions[row] = decision
        if concerned[row] and forced[row] is None and not batch.requests[row].dry_run:
            attempts[row] += 1


def _decide(walk: Walk, ids: list[str], rows: list[int]) -> list[Decision]:
    """Return what the rows' columns amount to. A forced row (`walk.forced`) gets the guarded default, or nothing."""
    batch, placements = walk.batch, walk.live.bundle.placements
    choice, explored, held_out = batch.choice.tolist(), batch.explored.tolist(), batch.held_out.tolist()
    default_allowed, placement, state = batch.default_allowed.tolist(), batch.placement.tolist(), batch.profile_state.tolist()
    model_failed, model_stopped, masked = batch.model_failed.tolist(), batch.model_stopped.tolist(), batch.masked.tolist()
    impersonal = batch.controls.personalization_stopped
    asked = None if batch.requested is None else batch.requested.tolist()
    enrolled = None if batch.enrolled is None else batch.enrolled.tolist()
    variants = walk.live.variants
    ablated = None if variants.plain else variants.ablated[batch.variant].tolist()
    by_slot = walk.live.slot_defaults if walk.live.slot_defaults.any else None
    # Something was allowed, and if nothing is chosen none of it was worth showing.
    worthless: list[bool] | None = None if batch.not_shown is None else np.any(batch.not_shown, axis=1).tolist()
    decisions = []
    for row in rows:
        picked, held = choice[row], held_out[row]
        chosen = tuple(picked) if -1 not in picked else tuple([offer for offer in picked if offer >= 0])
        default: tuple[int, ...] = ()
        if default_allowed[row] and (held or not chosen):
            default = (placements[placement[row]].default_offer,)
        behind: tuple[int, ...] = ()
        if by_slot is not None:
            slots = walk.batch.requests[row].slot_count
            default = by_slot.behind(batch, row, (), slots)
            behind = by_slot.behind(batch, row, chosen, slots) if chosen else ()
        forced, failed = walk.forced[row], model_failed[row]
        branch: Branch
        reason: Reason
        if forced is not None:
            branch, reason = _FALLBACK, forced
        elif not chosen:
            branch, reason = _DEFAULT, _NONE_ALLOWED
            if worthless is not None and worthless[row]:
                # Nor the default, whatever the arm: nobody is shown anything here.
                default, reason = (), _NONE_WORTH
        else:
            branch = _ABLATION if ablated is not None and ablated[row] else _EXPLORE if explored[row] else _EXPLOIT
            if failed or model_stopped[row]:
                reason = _MODEL_UNAVAILABLE if failed else _MODEL_STOPPED
            elif masked[row] or impersonal:
                reason = _IMPERSONAL if impersonal else _NOT_CONSENTED
            else:
                reason = _STATE[state[row]]
        offered: tuple[int, ...] = chosen + behind if chosen else default
        would_offer: tuple[int, ...] = ()
        arm: Arm = _TREATMENT if enrolled is None or enrolled[row] else _NOT_ENROLLED
        if held:
            arm, would_offer = _HELD_OUT, offered
            offered = default if _holdout_answer(walk, row) == "default_offer" else ()
            if branch is not _FALLBACK:
                branch, reason = _HOLDOUT, _IN_HOLDOUT
        fallback_reason = forced if forced is not None else _MODEL_UNAVAILABLE if failed else _UNSPECIFIED
        decided = Decision(
            row,
            ids[row],
            arm,
            branch,
            reason,
            fallback_reason is not _UNSPECIFIED and fallback_reason in _DEGRADED,
            fallback_reason,
            chosen,
            offered,
            (held or not chosen) and offered != (),
            would_offer,
            not chosen and would_offer != (),
            0,
        )
        if behind and arm is not _HELD_OUT:
            decided.default_slots = tuple(range(len(chosen), len(offered)))
        if asked is not None and asked[row] >= 0 and not held and forced is None:
            decided.review_id = _review_id(walk, row)
        decisions.append(decided)
    return decisions


def _review_id(walk: Walk, row: int) -> str:
    """Return the id under which a reviewer decides whether the row's person is shown what would have come first."""
    request, bundle = walk.batch.requests[row], walk.live.bundle
    if walk.batch.requested is None or request.dry_run:
        return ""
    k = int(walk.batch.requested[row])
    return review_id_of(walk.pseudonyms[row], bundle.offers[k].offer_id, bundle.each_decision[k].digest)


def _draws(walk: Walk, slots: int) -> Floats:
    """Return [N, S] uniforms, pure functions of salt, pseudonym and request_id; slots that a request does not ask for stay 0."""
    batch, live = walk.batch, walk.live
    placement, drawn_by = batch.placement.tolist(), walk.drawn_by()
    columns = [
        [
            live.draw_salts[place][slot].uniform(by, request.request_id) if slot < request.slot_count else 0.0
            for place, by, request in zip(placement, drawn_by, batch.requests, strict=True)
        ]
        for slot in range(slots)
    ]
    return np.array(columns).T


def _holdout_answer(walk: Walk, row: int) -> str:
    """Return what the first layer that holds the person out declares."""
    first = int(walk.batch.layer_held_out[row].argmax())
    return walk.live.bundle.layers[first].answer


def _limit_validity(batch: Batch, bundle: Bundle, decisions: list[Decision]) -> None:
    """Set valid_until_ms: the placement's validity, cut short by the end of an offer shown or of a consent that it needs."""
    now_ms, placement, ends_at_ms = batch.now_ms.tolist(), batch.placement.tolist(), bundle.ends_at_ms.item
    consents_end = False in np.isinf(batch.consent_until_ms).tobytes()
    for decision in decisions:
        row = decision.row
        until: float = now_ms[row] + bundle.placements[placement[row]].valid_for_ms
        for offer in decision.offered:
            until = min(until, ends_at_ms(offer))
            if consents_end:
                needs = (
                    bundle.needs_purpose[offer] if batch.contact_needs is None else bundle.needs_purpose[offer] | batch.contact_needs[row]
                )
                until = min(until, float(batch.consent_until_ms[row, needs].min(initial=np.inf)))
        decision.valid_until_ms = int(until)


def _end_with_approvals(batch: Batch, bundle: Bundle, decisions: list[Decision]) -> None:
    """Cut the validity of what is shown short where an approval, or what a reviewer said of the person, ends before it."""
    approved_until_ms, verdicts = batch.controls.approved_until_ms, batch.verdicts
    for decision in decisions:
        for offer in decision.offered:
            until: float = decision.valid_until_ms
            if approved_until_ms is not None:
                until = min(until, approved_until_ms.item(offer))
            if verdicts is not None and offer in bundle.each_decision:
                until = min(until, verdicts[decision.row][bundle.offers[offer].offer_id].until_ms)
            decision.valid_until_ms = int(until)


def _end_before_quiet_hours(batch: Batch, live: Live, decisions: list[Decision]) -> None:
    """Cut the validity of what is shown short where quiet hours begin before its end."""
    now_ms = batch.now_ms.tolist()
    for decision in decisions:
        if decision.offered:
            begins = live.chain.quiet_hours.next_ms(batch.requests[decision.row], now_ms[decision.row])
            decision.valid_until_ms = int(min(decision.valid_until_ms, begins))
