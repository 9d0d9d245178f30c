"""Outcome: what a row's columns amount to. Most rows are told the same as others were, so each outcome is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from struct import Struct, iter_unpack

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
_SLOT_COUNT = attrgetter("slot_count")
_told = Struct("=12i").unpack_from
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


def outcomes(walk: Walk, rows: Sequence[int]) -> list[Decision]:
    """Return what rows come to, each kind's once: `Decision.again` makes a row's own of it."""
    kinds, alike = walk.live.kinds, _alike(walk)
    if len(rows) < len(alike):
        alike = [alike[row] for row in rows]
    found = list(map(kinds.known.get, alike))
    if not all(found):
        for place, outcome in enumerate(found):
            if outcome is None:
                key = alike[place]
                # An earlier row of the batch may have been the first of its kind.
                found[place] = kinds.known.get(key) or kinds.learn(key, _outcome(walk, rows[place], *key))
    return found  # type: ignore[return-value]  # none is None by now


def _alike(walk: Walk) -> list[tuple[bytes]]:
    """Return [N] everything that a row's outcome and the head of its record depend on, packed."""
    batch, live, forced = walk.batch, walk.live, walk.forced
    slots, layers = batch.choice.shape[1], batch.layer_arm.shape[1]
    # What does not matter to a row is left out, or there would be more kinds than there need be.
    nothing = batch.choice.max(axis=1) < 0
    single = (
        # These first, as `_outcome` takes them.
        batch.explored,
        batch.held_out,
        batch.default_allowed & (nothing | batch.held_out),
        batch.placement,
        batch.profile_state,
        batch.model_failed,
        batch.model_stopped,
        batch.masked,
        batch.controls.personalization_stopped,
        True if batch.enrolled is None else batch.enrolled,
        False if live.variants.plain else live.variants.ablated[batch.variant],
        # Something was allowed, and if nothing is chosen none of it was worth showing.
        False if batch.not_shown is None else nothing & np.logical_or.reduce(batch.not_shown, axis=1),
        [-1 if why is None else why for why in forced] if any(forced) else -1,
        batch.scored,
        live.kinds.numbers(batch.consent_version),
        list(map(_SLOT_COUNT, batch.requests)),
        walk.attempts,
        [row in walk.one_off for row in range(batch.n)] if walk.one_off else False,
    )
    table = np.empty((len(single) + slots + 2 * layers, batch.n), dtype=np.int32)
    for line, column in enumerate(single):
        table[line] = column
    own = table[len(single) :]
    own[:slots], own[slots : slots + layers], own[slots + layers :] = batch.choice.T, batch.layer_arm.T, batch.layer_held_out.T
    alike: list[tuple[bytes]] = list(iter_unpack(f"{4 * len(table)}s", table.T.tobytes()))
    if live.slot_defaults.any:
        standing = [repr(_standing(walk, row, tuple(picked))).encode() for row, picked in enumerate(batch.choice.tolist())]
        alike = [(one + more,) for (one,), more in zip(alike, standing, strict=True)]
    return alike


def _outcome(walk: Walk, row: int, alike: bytes) -> Decision:
    """Return what a row comes to."""
    batch, live = walk.batch, walk.live
    picked: tuple[int, ...] = tuple(batch.choice[row].tolist())
    explored, held_out, default_allowed, placement, state, failed, stopped, masked, impersonal, enrolled, ablated, worthless = _told(alike)
    return _outcome_of(
        live.bundle.placements,
        picked,
        explored,
        _holdout_answer(walk, row) if held_out else None,
        default_allowed,
        placement,
        state,
        failed,
        stopped,
        masked,
        walk.forced[row],
        impersonal,
        enrolled,
        ablated,
        worthless,
        _standing(walk, row, picked) if live.slot_defaults.any else None,
    )


def _standing(walk: Walk, row: int, picked: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the defaults of the slots that a row asks for, and those behind what was chosen."""
    batch, by_slot, chosen = walk.batch, walk.live.slot_defaults, _chosen(picked)
    slots = batch.requests[row].slot_count
    return by_slot.behind(batch, row, (), slots), by_slot.behind(batch, row, chosen, slots) if chosen else ()


def _chosen(picked: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([offer for offer in picked if offer >= 0]) if -1 in picked else picked


def _outcome_of(
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
