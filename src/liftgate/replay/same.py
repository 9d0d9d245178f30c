"""What a replay under a log's own bundle takes from the record as it stands: facts that no rule gives back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.input import Floats
from liftgate.domain.reason import Reason
from liftgate.pipeline.cap_watches import UNLIMITED
from liftgate.replay.logged import Logged
from liftgate.selection.value import smoothed

SCORE_ROUNDING = 1e-6
"""Largest deviation of a propensity that counts as reproduced: models may differ in the last bits between machines."""
_FORCED = (
    Reason.PROFILE_STORE_UNAVAILABLE,
    Reason.RESERVATION_UNAVAILABLE,
    Reason.RESERVATION_LOST,
    Reason.LOG_UNAVAILABLE,
    Reason.STAGE_FAILED,
)
_CHOSEN = np.uint8(Reason.CHOSEN)


def forced(logged: Logged) -> Bools:
    """Return [N] where the guarded default had to answer, whatever was allowed: something was away, or reservations were lost."""
    found: Bools = np.isin(logged.fallback, _FORCED)
    return found


def stands(logged: Logged, bundle: Bundle, reason: Codes, allowed: Bools, why_not: list[str]) -> None:
    """Take the reasons of decisions whose walk broke off as they are: no guardrail gave them."""
    broke = logged.fallback == Reason.STAGE_FAILED
    if not broke.any():
        return
    columns = np.array([bundle.offer_index[name] for name in logged.candidates], dtype=np.intp)
    rows = np.flatnonzero(broke)
    reason[rows[:, None], columns] = logged.candidate_reason[rows]
    allowed[rows] = False
    for row in rows.tolist():
        why_not[row] = ""


def as_logged(logged: Logged, bundle: Bundle, propensity: Floats) -> Floats:
    """Return [N, K] propensities as logged where they agree with the ones worked out anew, else those."""
    columns = [bundle.offer_index[name] for name in logged.candidates]
    found = propensity.copy()
    anew = propensity[:, columns]
    found[:, columns] = np.where(np.abs(anew - logged.propensity) <= SCORE_ROUNDING, logged.propensity, anew)
    return found


def response_as_logged(logged: Logged, bundle: Bundle, batch: Batch) -> None:
    """Put what ranks as propensity on the propensities as logged: smoothed anew; what happens without the offer as logged."""
    worth = bundle.worth
    if worth.prior is not None and worth.credibility is not None:
        batch.smoothed = smoothed(batch.propensity, worth.prior, worth.credibility)
    if batch.untreated is not None and logged.untreated.shape[1]:
        columns = [bundle.offer_index[name] for name in logged.candidates]
        found, anew = batch.untreated.copy(), batch.untreated[:, columns]
        found[:, columns] = np.where(np.abs(anew - logged.untreated) <= SCORE_ROUNDING, logged.untreated, anew)
        batch.untreated = found


def room_as_logged(logged: Logged, bundle: Bundle) -> NDArray[np.int64]:
    """Return [N, caps] how many more each cap allowed, as far as it mattered to a slate."""
    room = np.full((logged.n, len(bundle.caps)), UNLIMITED, dtype=np.int64)
    for row, cap_id, left in logged.cap_room:
        for c, cap in enumerate(bundle.caps):
            if cap.cap_id == cap_id:
                room[row, c] = left
    return room
