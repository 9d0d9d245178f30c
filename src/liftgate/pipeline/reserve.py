"""Reserve: the moment at which a decision is made. Caps and request_id in one atomic step; losers select again."""

from __future__ import annotations

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.contact_history import live_counts
from liftgate.domain.errors import FieldViolation, RequestIdReused, StoreUnavailable
from liftgate.domain.reason import Arm, Reason
from liftgate.pipeline.live import MAX_ATTEMPTS
from liftgate.pipeline.ports import Charge, Claim, ClaimOutcome, ClaimStatus
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Pending, Walk

_REDIS_AWAY = (Reason.PROFILE_STORE_UNAVAILABLE, Reason.RESERVATION_UNAVAILABLE)
_HOLDOUT = Arm.HOLDOUT  # a name of this module: looking a member up on its enum costs microseconds before Python 3.12


async def reserve(walk: Walk) -> bool:
    """Claim what the unsettled rows chose. Return True while some lost and should select again."""
    now_ms = walk.batch.now_ms.tolist()
    claims = {row: claim for row in walk.unsettled if (claim := _claim(walk, row, now_ms[row])) is not None}
    walk.unsettled = []
    if not claims:
        return False
    try:
        outcomes = await walk.ports.reservations.reserve(list(claims.values()))
    except StoreUnavailable as error:
        walk.ports.observer.fell_back(Stage.RESERVE, type(error).__name__)
        for row, claim in claims.items():
            # Without caps the answer stands: if the claim did get through, a retry is told the same.
            if claim.charges:
                walk.forced[row] = Reason.RESERVATION_UNAVAILABLE
                walk.unsettled.append(row)
        return bool(walk.unsettled)
    lost = np.zeros(walk.batch.allowed.shape, dtype=np.bool_)
    for (row, claim), outcome in zip(claims.items(), outcomes, strict=True):
        if outcome.status is ClaimStatus.CAP_REACHED:
            _lose(walk, row, claim, outcome, lost)
        else:
            _settle(walk, row, claim, outcome)
    if walk.unsettled:
        walk.lost.append(walk.lost[-1] | lost if walk.lost else lost)
        if len(walk.lost) >= MAX_ATTEMPTS:
            walk.lost.pop()
            for row in walk.unsettled:
                walk.forced[row] = Reason.RESERVATION_LOST
    return bool(walk.unsettled)


def _claim(walk: Walk, row: int, now: int) -> Claim | None:
    """Return the row's claim; None where there is neither a cap to charge nor an answer to remember."""
    bundle = walk.live.bundle
    request = walk.batch.requests[row]
    if request.dry_run or walk.forced[row] in _REDIS_AWAY:
        return None
    charges = tuple([_charge(bundle, cap, now) for cap in walk.caps_charged(row)])
    if not charges and not request.idempotent:
        return None
    return Claim(
        person_id=request.person_id,
        ghost=walk.decisions[row].arm is _HOLDOUT,
        request_id=request.request_id if request.idempotent else "",
        fingerprint=request.fingerprint,
        reservation_id=bytes.fromhex(walk.decisions[row].decision_id[16:]),
        charges=charges,
        now_ms=now,
        response=walk.responses[row],
        record=walk.records[row],
    )


def _charge(bundle: Bundle, index: int, now_ms: int) -> Charge:
    cap = bundle.caps[index]
    until = now_ms + cap.window_ms
    return Charge(cap.cap_id, cap.limit, now_ms + cap.lease_ms if cap.counts == "exposure" else until, until)


def _lose(walk: Walk, row: int, claim: Claim, outcome: ClaimOutcome, lost: np.ndarray) -> None:
    """Take from the row every offer whose cap the reservation has shown to be used up."""
    batch, bundle = walk.batch, walk.live.bundle
    full = live_counts([outcome.history], bundle.cap_ids, batch.now_ms[row : row + 1])[0] >= [cap.limit for cap in bundle.caps]
    # Two offers of one slate may share a cap with room for one: then the charge, not the history, names the loser.
    full |= bundle.cap_ids == int.from_bytes(claim.charges[outcome.charge].cap_id, "little")
    for cap in np.flatnonzero(full):
        lost[row, bundle.caps[cap].offers] = True
    lost[row] &= batch.allowed[row]
    batch.reason[row, lost[row]] = Reason.FREQUENCY_CAP
    batch.allowed[row] &= ~lost[row]
    walk.unsettled.append(row)


def _settle(walk: Walk, row: int, claim: Claim, outcome: ClaimOutcome) -> None:
    if outcome.status is ClaimStatus.MADE:
        if claim.request_id:
            walk.claims[row] = claim
    elif outcome.status is ClaimStatus.DUPLICATE_LOGGED:
        walk.results[row] = outcome.response
        walk.ports.observer.joined(recovered=False)
    elif outcome.status is ClaimStatus.DUPLICATE_PENDING:
        walk.results[row] = Pending(claim, outcome)
    else:
        walk.results[row] = request_id_reused()


def request_id_reused() -> RequestIdReused:
    """Return the error for a request_id that came back with another body."""
    text = "was used with a different request within the retry horizon; use a new id for a new decision"
    return RequestIdReused((FieldViolation("request_id", text),))
