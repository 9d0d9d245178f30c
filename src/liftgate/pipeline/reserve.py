"""Reserve: the moment at which a decision is made. Caps and request_id in one atomic step; who comes too late selects again."""

from __future__ import annotations

from dataclasses import replace

from liftgate.domain.errors import FieldViolation, RequestIdReused, StoreUnavailable
from liftgate.domain.reason import Arm, Reason
from liftgate.pipeline.ports import NOTHING_WATCHED, Charge, Claim, ClaimOutcome, ClaimStatus, Watch
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Pending, Walk
from liftgate.pipeline.withheld_claim import partly_held_out, withhold

MAX_ATTEMPTS = 3
"""Reservations tried for one decision before the guarded default answers."""

_REDIS_AWAY = (Reason.PROFILE_STORE_UNAVAILABLE, Reason.RESERVATION_UNAVAILABLE)
# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_HOLDOUT = Arm.HOLDOUT
_MADE, _CAP_REACHED, _UNSURE = ClaimStatus.MADE, ClaimStatus.CAP_REACHED, ClaimStatus.UNSURE
_LOGGED, _PENDING = ClaimStatus.DUPLICATE_LOGGED, ClaimStatus.DUPLICATE_PENDING


async def reserve(walk: Walk) -> bool:
    """Claim what the unsettled rows chose. Return True while some came too late and should select again.

    A claim watches every cap that the choice depended on, not only those of what was chosen: so whether a row selects again does not
    depend on its draw, and the vector that it logs is the one that it was drawn from.
    """
    now_ms = walk.batch.now_ms.tolist()
    watches = walk.live.caps.watches(walk.batch)
    partly = partly_held_out(walk.batch)
    charged: Charged = {}
    claims = {}
    for row in walk.unsettled:
        claim = _claim(walk, row, now_ms[row], watches[row], row in partly, charged)
        if claim is not None:
            claims[row] = claim
    walk.unsettled = []
    if not claims:
        return False
    try:
        outcomes = await walk.ports.reservations.reserve(list(claims.values()), walk.budget_s)
    except StoreUnavailable as error:
        _fall_back(walk, claims, type(error).__name__)
        return bool(walk.unsettled)
    unsure: dict[int, Claim] = {}
    for (row, claim), outcome in zip(claims.items(), outcomes, strict=True):
        status = outcome.status
        if status is _MADE:
            walk.claims[row] = claim
        elif status is _UNSURE:
            unsure[row] = claim
        else:
            _settle(walk, row, claim, outcome)
    if unsure:
        _fall_back(walk, unsure, StoreUnavailable.__name__)
        # In the rows' order, as every stage takes them.
        walk.unsettled.sort()
    return bool(walk.unsettled)


def _fall_back(walk: Walk, claims: dict[int, Claim], cause: str) -> None:
    """Send rows to their fallback whose claims may or may not have been made."""
    walk.ports.observer.fell_back(Stage.RESERVE, cause, [walk.batch.requests[row] for row in claims])
    walk.unsure |= claims
    # Without charges, or with soft ones alone, the answer stands.
    rows = [row for row, claim in claims.items() if not walk.live.caps.stands_without_store(claim)]
    for row in rows:
        walk.forced[row] = Reason.RESERVATION_UNAVAILABLE
    walk.unsettled += rows
    walk.live.caps.deny_unreserved_defaults(walk.batch, rows)


Charged = dict[tuple[tuple[int, ...], bool, bool, int, str, str, str], tuple[Charge, ...]]
"""What people's histories are charged for a choice, by all that it depends on: many people of a batch are charged the same."""


def _claim(walk: Walk, row: int, now: int, watch: Watch, partly: bool, charged: Charged) -> Claim | None:
    """Return the row's claim; None where there is neither a cap that matters nor an answer to remember."""
    decision, request, why = walk.decisions[row], walk.batch.requests[row], walk.forced[row]
    if request.dry_run or (why is not None and why in _REDIS_AWAY):
        return None
    ghost, idempotent = decision.arm is _HOLDOUT, request.idempotent
    if why is not None or decision.mode == "logging_only":
        watch = NOTHING_WATCHED
    claim = Claim(
        request.person_id,
        ghost,
        request.request_id if idempotent else "",
        request.fingerprint,
        walk.reservation(row, decision.decision_id),
        (),
        now,
        walk.responses[row],
        walk.records[row],
        watch,
        None,
        (),
        partly,
    )
    chosen = decision.chosen if decision.counted is None else decision.counted
    shown = decision.offered if not ghost else decision.would_offer if decision.mode == "online" else decision.counted
    shows = bool(shown)
    _charge(walk, row, claim, chosen, shows, charged)
    if partly:
        would = replace(claim)
        some = decision.chosen if decision.would_count is None else decision.would_count
        would_show = shows or (decision.mode == "online" and bool(decision.would_offer)) or bool(decision.would_count)
        _charge(walk, row, would, some, would_show, charged)
        withhold(claim, would)
    if idempotent or claim.charges or watch.entries or claim.account is not None or claim.totals or claim.withheld:
        return claim
    return None


def _charge(walk: Walk, row: int, claim: Claim, chosen: tuple[int, ...], shows: bool, charged: Charged) -> None:
    """Fill in what the claim counts for a choice, and what it depends on beyond the person's own caps."""
    caps, request, now = walk.live.caps, walk.batch.requests[row], claim.now_ms
    context = request.context
    alike = (chosen, shows, request.deferred, now, request.placement_id, context.channel, context.time_zone)
    known = charged.get(alike)
    if known is None:
        known = charged[alike] = caps.charges(chosen, request, now, shows)
    claim.charges = known
    if not caps.plain:
        watched = walk.forced[row] is None and walk.decisions[row].mode != "logging_only"
        claim.account = caps.account(walk.batch, row, chosen, now, watched=watched)
        claim.totals = caps.totals(walk.batch, row, chosen, now) if watched else ()


def _settle(walk: Walk, row: int, claim: Claim, outcome: ClaimOutcome) -> None:
    if outcome.status is _CAP_REACHED:
        # Offers whose caps have filled up meanwhile are allowed no more.
        walk.live.caps.look_again(walk.batch, row, claim, outcome)
        if walk.forced[row] is not None:
            # Not even the default can be charged to its contact policy.
            walk.batch.deny_defaults(row)
        elif walk.attempts[row] >= MAX_ATTEMPTS or not walk.attempts[row]:
            # None counted: only caps in shadow are charged, and a full history refuses them however often they are tried.
            walk.forced[row] = Reason.RESERVATION_LOST
        walk.unsettled.append(row)
    elif outcome.status is _LOGGED:
        walk.results[row] = outcome.response
        walk.ports.observer.joined(recovered=False)
    elif outcome.status is _PENDING:
        walk.results[row] = Pending(claim, outcome)
    else:
        walk.results[row] = request_id_reused()


def request_id_reused() -> RequestIdReused:
    """Return the error for a request_id that came back with another body."""
    text = "was used with a different request within the retry horizon; use a new id for a new decision"
    return RequestIdReused((FieldViolation("request_id", text),))
