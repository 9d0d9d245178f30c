"""Reserve: the moment at which a decision is made. Caps and request_id in one atomic step; who comes too late selects again."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from liftgate.domain.contact_history import reservation_of
from liftgate.domain.errors import FieldViolation, RequestIdReused, StoreUnavailable
from liftgate.domain.reason import Arm, Reason
from liftgate.pipeline.cap_charges import Charged, Used
from liftgate.pipeline.ports import NOTHING_WATCHED, Charge, Claim, ClaimOutcome, ClaimStatus, TotalUse
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Pending, Walk
from liftgate.pipeline.withheld_claim import partly_held_out, withhold

MAX_ATTEMPTS = 3
"""Reservations tried for one decision before the guarded default answers."""

_REDIS_AWAY = (Reason.PROFILE_STORE_UNAVAILABLE, Reason.RESERVATION_UNAVAILABLE)
# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_HOLDOUT = Arm.HOLDOUT
_MADE, _CAP_REACHED, _UNSURE = ClaimStatus.MADE, ClaimStatus.CAP_REACHED, ClaimStatus.UNSURE
_status_of, _STATUSES_MADE = attrgetter("status"), frozenset({_MADE})
_LOGGED, _PENDING = ClaimStatus.DUPLICATE_LOGGED, ClaimStatus.DUPLICATE_PENDING


async def reserve(walk: Walk) -> bool:
    """Claim what the unsettled rows chose. Return True while some came too late and should select again.

    A claim watches every cap that the choice depended on, not only those of what was chosen: so whether a row selects again does not
    depend on its draw, and the vector that it logs is the one that it was drawn from.
    """
    claims = _claims(walk)
    walk.unsettled = []
    if not claims:
        return False
    try:
        outcomes = await walk.ports.reservations.reserve(list(claims.values()), walk.budget_s)
    except StoreUnavailable as error:
        _fall_back(walk, claims, type(error).__name__)
        return bool(walk.unsettled)
    if _STATUSES_MADE.issuperset(map(_status_of, outcomes)):
        # As mostly.
        walk.claims |= claims
        return False
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


def _claims(walk: Walk) -> dict[int, Claim]:
    """Return by row the claims of the unsettled; none where there is neither a cap that matters nor an answer to remember."""
    batch, caps, keys = walk.batch, walk.live.caps, walk.keys
    decisions, requests, forced, responses, records = walk.decisions, batch.requests, walk.forced, walk.responses, walk.records
    now_ms, watches, partly = batch.now_ms.tolist(), caps.watches(batch), partly_held_out(batch)
    own = bool(keys) and not walk.one_off
    charged: Charged = {}
    used: Used = {}
    known: dict[tuple[Any, ...], tuple[tuple[Charge, ...], tuple[TotalUse, ...]]] = {}
    rooms, by_account, charging = caps.total_rooms(batch), caps.by_account, caps.charging
    asked = list(map(charging.asked, requests))
    claims = {}
    for row in walk.unsettled:
        decision, request, why, watch = decisions[row], requests[row], forced[row], watches[row]
        if request.dry_run:
            continue
        online = decision.mode != "logging_only"
        if why is not None or not online:
            if why is not None and why in _REDIS_AWAY:
                continue
            watch, watched = NOTHING_WATCHED, False
        else:
            watched = True
        ghost, idempotent, name, now = decision.arm is _HOLDOUT, request.idempotent, decision.decision_id, now_ms[row]
        chosen = decision.chosen if decision.counted is None else decision.counted
        shown = bool(decision.offered if not ghost else decision.would_offer if decision.mode == "online" else decision.counted)
        room = rooms[row] if watched else b""
        # All that charges depend on, looked up once.
        alike = chosen, shown, asked[row], now, room, watched
        counts = known.get(alike)
        if counts is None:
            charges = charging.charged(chosen, request, now, shown, charged)
            counts = known[alike] = charges, charging.totals(batch, row, chosen, now, room, used) if watched else ()
        claims[row] = claim = Claim(
            request.person_id,
            ghost,
            request.request_id if idempotent else "",
            request.fingerprint,
            reservation_of(name, keys[row]) if own else walk.reservation(row, name),
            counts[0],
            now,
            responses[row],
            records[row],
            watch,
            caps.account(batch, row, chosen, now, watched=watched) if by_account else None,
            counts[1],
        )
        if row in partly:
            _withhold(walk, row, claim, shown, charged, used, room)
        if not (idempotent or claim.charges or watch.entries or claim.account is not None or claim.totals or claim.withheld):
            del claims[row]
    return claims


def _withhold(walk: Walk, row: int, claim: Claim, shows: bool, charged: Charged, used: Used, room: bytes) -> None:
    """Add to the claim of somebody partly held out what it withholds."""
    decision, caps, request = walk.decisions[row], walk.live.caps, walk.batch.requests[row]
    claim.partly = True
    some = decision.chosen if decision.would_count is None else decision.would_count
    would_show = shows or (decision.mode == "online" and bool(decision.would_offer)) or bool(decision.would_count)
    charges = caps.charging.charged(some, request, claim.now_ms, would_show, charged)
    watched = walk.forced[row] is None and decision.mode != "logging_only"
    account = caps.account(walk.batch, row, some, claim.now_ms, watched=watched) if caps.by_account else None
    withhold(claim, charges, account, caps.charging.totals(walk.batch, row, some, claim.now_ms, room, used) if watched else ())


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
