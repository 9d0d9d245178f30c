"""Reserve: the moment at which a decision is made. Caps and request_id in one atomic step; who comes too late selects again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.contact_history import live_counts
from liftgate.domain.errors import FieldViolation, RequestIdReused, StoreUnavailable
from liftgate.domain.reason import Arm, Reason
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import NOTHING_WATCHED, Charge, Claim, ClaimOutcome, ClaimStatus, Watch
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Pending, Walk

MAX_ATTEMPTS = 3
"""Reservations tried for one decision before the guarded default answers."""

_REDIS_AWAY = (Reason.PROFILE_STORE_UNAVAILABLE, Reason.RESERVATION_UNAVAILABLE)
# Names of this module: looking a member up on its enum costs microseconds before Python 3.12.
_HOLDOUT = Arm.HOLDOUT
_MADE, _CAP_REACHED = ClaimStatus.MADE, ClaimStatus.CAP_REACHED
_LOGGED, _PENDING = ClaimStatus.DUPLICATE_LOGGED, ClaimStatus.DUPLICATE_PENDING


async def reserve(walk: Walk) -> bool:
    """Claim what the unsettled rows chose. Return True while some came too late and should select again.

    A claim watches every cap that the choice depended on, not only those of what was chosen: so whether a row selects again does not
    depend on its draw, and the vector that it logs is the one that it was drawn from.
    """
    now_ms = walk.batch.now_ms.tolist()
    watches = _watches(walk)
    claims = {row: claim for row in walk.unsettled if (claim := _claim(walk, row, now_ms[row], watches[row])) is not None}
    walk.unsettled = []
    if not claims:
        return False
    try:
        outcomes = await walk.ports.reservations.reserve(list(claims.values()), walk.budget_s)
    except StoreUnavailable as error:
        walk.ports.observer.fell_back(Stage.RESERVE, type(error).__name__, [walk.batch.requests[row] for row in claims])
        walk.unsure |= claims
        for row, claim in claims.items():
            # Without charges the answer stands.
            if claim.charges:
                walk.forced[row] = Reason.RESERVATION_UNAVAILABLE
                walk.unsettled.append(row)
        return bool(walk.unsettled)
    for (row, claim), outcome in zip(claims.items(), outcomes, strict=True):
        _settle(walk, row, claim, outcome)
    return bool(walk.unsettled)


def _claim(walk: Walk, row: int, now: int, watch: Watch) -> Claim | None:
    """Return the row's claim; None where there is neither a cap that matters nor an answer to remember."""
    bundle, decision, request = walk.live.bundle, walk.decisions[row], walk.batch.requests[row]
    if request.dry_run or walk.forced[row] in _REDIS_AWAY:
        return None
    charges = tuple([_charge(bundle, cap, now) for offer in decision.chosen for cap in bundle.offer_caps[offer]])
    if walk.forced[row] is not None:
        watch = NOTHING_WATCHED
    if not charges and not watch.entries and not request.idempotent:
        return None
    return Claim(
        person_id=request.person_id,
        ghost=decision.arm is _HOLDOUT,
        request_id=request.request_id if request.idempotent else "",
        fingerprint=request.fingerprint,
        reservation_id=bytes.fromhex(decision.decision_id[16:]),
        charges=charges,
        now_ms=now,
        response=walk.responses[row],
        record=walk.records[row],
        watch=watch,
    )


def _charge(bundle: Bundle, index: int, now_ms: int) -> Charge:
    cap = bundle.caps[index]
    until = now_ms + cap.window_ms
    return Charge(cap.cap_id, cap.limit, now_ms + cap.lease_ms if cap.counts == "exposure" else until, until)


def _watches(walk: Walk) -> list[Watch]:
    """Return for each row the caps that are not used up, with the count up to which the choice would have been the same.

    While a cap has room for every slot, more use changes nothing; below that, any use may change a later slot.
    """
    batch, live = walk.batch, walk.live
    if not live.bundle.caps:
        return [NOTHING_WATCHED] * batch.n
    room, placement = batch.cap_room, batch.placement.tolist()
    # Over all caps: a tight one elsewhere only costs the row a list of its own.
    tightest = room.min(axis=1).tolist()
    return [
        live.watches[place][request.slot_count]
        if tightest[row] >= request.slot_count
        else _watch(live, place, room[row], request.slot_count)
        for row, (place, request) in enumerate(zip(placement, batch.requests, strict=True))
    ]


def _watch(live: Live, place: int, room: NDArray[np.int64], slots: int) -> Watch:
    caps = live.placement_caps[place]
    room, limits = room[caps], live.cap_limits[caps]
    most = np.maximum(limits - room, limits - slots).tolist()
    return Watch(tuple((live.bundle.caps[c].cap_id, most[i]) for i, c in enumerate(caps) if room[i] > 0))


def _settle(walk: Walk, row: int, claim: Claim, outcome: ClaimOutcome) -> None:
    if outcome.status is _MADE:
        walk.claims[row] = claim
    elif outcome.status is _CAP_REACHED:
        _look_again(walk, row, outcome)
        walk.unsettled.append(row)
    elif outcome.status is _LOGGED:
        walk.results[row] = outcome.response
        walk.ports.observer.joined(recovered=False)
    elif outcome.status is _PENDING:
        walk.results[row] = Pending(claim, outcome)
    else:
        walk.results[row] = request_id_reused()


def _look_again(walk: Walk, row: int, outcome: ClaimOutcome) -> None:
    """Take up the contact history that the reservation saw: offers whose caps have filled up meanwhile are allowed no more."""
    batch, live = walk.batch, walk.live
    counts = live_counts([outcome.history], live.bundle.cap_ids, batch.now_ms[row : row + 1])[0]
    batch.cap_room[row] = live.cap_limits - counts
    full = live.capped_by @ (batch.cap_room[row] <= 0).astype(np.int64) > 0
    batch.reason[row, full & batch.allowed[row]] = Reason.FREQUENCY_CAP
    batch.allowed[row] &= ~full
    batch.propensity[row, full] = np.nan
    if walk.attempts[row] >= MAX_ATTEMPTS:
        walk.forced[row] = Reason.RESERVATION_LOST


def request_id_reused() -> RequestIdReused:
    """Return the error for a request_id that came back with another body."""
    text = "was used with a different request within the retry horizon; use a new id for a new decision"
    return RequestIdReused((FieldViolation("request_id", text),))
