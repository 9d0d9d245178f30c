"""Outcome: what a row's columns amount to. Most rows are told the same as others were, so each outcome is worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from liftgate.domain.decision import Decision
from liftgate.domain.offer import Placement
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.pipeline.walk import Walk

# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_TREATMENT, _HELD_OUT, _NOT_ENROLLED = Arm.TREATMENT, Arm.HOLDOUT, Arm.NOT_ENROLLED
_EXPLOIT, _EXPLORE, _HOLDOUT, _DEFAULT, _FALLBACK = Branch.EXPLOIT, Branch.EXPLORE, Branch.HOLDOUT, Branch.DEFAULT, Branch.FALLBACK
_ABLATION = Branch.ABLATION
_UNSPECIFIED, _OFFERED, _IN_HOLDOUT, _NONE_ALLOWED = Reason.UNSPECIFIED, Reason.OFFERED, Reason.HELD_OUT, Reason.NO_OFFER_ALLOWED
_NONE_WORTH = Reason.NOTHING_WORTH_SHOWING
_MODEL_UNAVAILABLE, _NOT_CONSENTED = Reason.MODEL_UNAVAILABLE, Reason.PROFILE_NOT_CONSENTED
_MODEL_STOPPED, _IMPERSONAL = Reason.MODEL_STOPPED, Reason.PERSONALIZATION_STOPPED
KNOWN = 4096
"""Outcomes remembered for a bundle; one more, and all are forgotten."""
_NONE, _NO, _YES = repeat(None), repeat(False), repeat(True)
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


def told(walk: Walk) -> list[tuple[Any, ...]]:
    """Return [N] everything that a row's outcome depends on, as `outcome_of` takes it."""
    batch, live = walk.batch, walk.live
    variants, by_slot = live.variants, live.slot_defaults
    choice, held_out = list(map(tuple, batch.choice.tolist())), batch.held_out.tolist()
    held: Iterable[str | None] = _NONE
    if True in held_out:
        held = [_holdout_answer(walk, row) if out else None for row, out in enumerate(held_out)]
    return list(
        zip(
            choice,
            batch.explored.tolist(),
            held,
            batch.default_allowed.tolist(),
            batch.placement.tolist(),
            batch.profile_state.tolist(),
            batch.model_failed.tolist(),
            batch.model_stopped.tolist(),
            batch.masked.tolist(),
            walk.forced,
            repeat(batch.controls.personalization_stopped),
            _YES if batch.enrolled is None else batch.enrolled.tolist(),
            _NO if variants.plain else variants.ablated[batch.variant].tolist(),
            # Something was allowed, and if nothing is chosen none of it was worth showing.
            _NO if batch.not_shown is None else np.any(batch.not_shown, axis=1).tolist(),
            [_standing(walk, row, picked) for row, picked in enumerate(choice)] if by_slot.any else _NONE,
            strict=False,
        )
    )


def _standing(walk: Walk, row: int, picked: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the defaults of the slots that a row asks for, and those behind what was chosen."""
    batch, by_slot, chosen = walk.batch, walk.live.slot_defaults, _chosen(picked)
    slots = batch.requests[row].slot_count
    return by_slot.behind(batch, row, (), slots), by_slot.behind(batch, row, chosen, slots) if chosen else ()


def _chosen(picked: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([offer for offer in picked if offer >= 0]) if -1 in picked else picked


def outcome_of(
    placements: Sequence[Placement],
    picked: tuple[int, ...],
    explored: bool,
    held: str | None,
    default_allowed: bool,
    placement: int,
    state: int,
    failed: bool,
    stopped: bool,
    masked: bool,
    forced: Reason | None,
    impersonal: bool,
    enrolled: bool,
    ablated: bool,
    worthless: bool,
    standing: tuple[tuple[int, ...], tuple[int, ...]] | None,
) -> Decision:
    """Return the decision of every row that is told the same. `held`: what the first layer that holds the person out answers."""
    chosen = _chosen(picked)
    default: tuple[int, ...] = ()
    if default_allowed and (held is not None or not chosen):
        default = (placements[placement].default_offer,)
    behind: tuple[int, ...] = ()
    if standing is not None:
        default, behind = standing
    branch: Branch
    reason: Reason
    if forced is not None:
        branch, reason = _FALLBACK, forced
    elif not chosen:
        branch, reason = _DEFAULT, _NONE_ALLOWED
        if worthless:
            # Nor the default, whatever the arm: nobody is shown anything here.
            default, reason = (), _NONE_WORTH
    else:
        branch = _ABLATION if ablated else _EXPLORE if explored else _EXPLOIT
        if failed or stopped:
            reason = _MODEL_UNAVAILABLE if failed else _MODEL_STOPPED
        elif masked or impersonal:
            reason = _IMPERSONAL if impersonal else _NOT_CONSENTED
        else:
            reason = _STATE[state]
    offered: tuple[int, ...] = chosen + behind if chosen else default
    would_offer: tuple[int, ...] = ()
    arm: Arm = _TREATMENT if enrolled else _NOT_ENROLLED
    if held is not None:
        arm, would_offer = _HELD_OUT, offered
        offered = default if held == "default_offer" else ()
        if branch is not _FALLBACK:
            branch, reason = _HOLDOUT, _IN_HOLDOUT
    fallback_reason = forced if forced is not None else _MODEL_UNAVAILABLE if failed else _UNSPECIFIED
    outcome = Decision(
        -1,
        "",
        arm,
        branch,
        reason,
        fallback_reason is not _UNSPECIFIED and fallback_reason in _DEGRADED,
        fallback_reason,
        chosen,
        offered,
        (held is not None or not chosen) and offered != (),
        would_offer,
        not chosen and would_offer != (),
        0,
    )
    if behind and arm is not _HELD_OUT:
        outcome.default_slots = tuple(range(len(chosen), len(offered)))
    return outcome


def _holdout_answer(walk: Walk, row: int) -> str:
    """Return what the first layer that holds the person out declares."""
    first = int(walk.batch.layer_held_out[row].argmax())
    return walk.live.bundle.layers[first].answer
