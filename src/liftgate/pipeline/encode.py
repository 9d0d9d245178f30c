"""Encode: the answer and its record as bytes, before the reservation that makes them true.

The reservation remembers both, so that a crash between it and the log loses no decision that a retry could be told of.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from liftgate.domain.batch import Batch, Bools
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.pipeline.heads import Heads
from liftgate.pipeline.live import Live
from liftgate.pipeline.stages import ASSIGN, ENCODE
from liftgate.pipeline.walk import Walk
from liftgate.record.codec import BatchColumns, constant_part, controls_part, encode_columns

_CHOSEN = np.uint8(Reason.CHOSEN)


def encode(walk: Walk) -> None:
    """Encode every unsettled row's answer and, but for dry runs, its record."""
    batch, live = walk.batch, walk.live
    for row in walk.unsettled:
        walk.responses[row] = walk.ports.answers.encode(batch, live.bundle, walk.decisions[row])
    alike: dict[tuple[int, int], list[int]] = {}
    placement = batch.placement.tolist()
    for row in walk.unsettled:
        request = batch.requests[row]
        if not request.dry_run:
            alike.setdefault((placement[row], request.slot_count), []).append(row)
    rows = Heads(walk, batch.stage_us[ASSIGN:ENCODE])
    key_part = _key_part(walk.ports.pseudonym_key_id) + controls_part(batch.controls.version)
    for (p, slots), members in alike.items():
        columns = _columns(batch, live, p, slots, members)
        for row, encoded in zip(members, encode_columns(live.record_parts[p] + key_part, columns), strict=True):
            walk.records[row] = rows.put(encoded, walk.decisions[row])


@cache
def _key_part(pseudonym_key_id: str) -> bytes:
    return constant_part(pseudonym_key_id=pseudonym_key_id)


def _columns(batch: Batch, live: Live, placement: int, slots: int, members: list[int]) -> BatchColumns:
    """Return the columns of some rows, cut to their placement's offers."""
    some = live.bundle.placements[placement].offers
    # A slice is a view.
    offers: Indices | slice = slice(None) if len(some) == len(live.bundle.offers) else some
    rows: Indices | slice = slice(None) if len(members) == batch.n else np.array(members, dtype=np.intp)
    allowed, reason, choice = batch.allowed[rows][:, offers], batch.reason[rows].copy(), batch.choice[rows]
    if batch.not_shown is not None:
        np.copyto(reason, batch.not_shown[rows], where=batch.not_shown[rows] > 0)
    for slot in range(slots):
        chosen = choice[:, slot]
        filled = np.flatnonzero(chosen >= 0)
        reason[filled, chosen[filled]] = _CHOSEN
    return BatchColumns(
        candidate_reason=reason[:, offers],
        candidate_propensity=batch.propensity[rows][:, offers],
        candidate_value=np.where(allowed, live.bundle.value[offers] if batch.value is None else batch.value[rows][:, offers], np.nan),
        slots=batch.probability[:slots, rows][:, :, offers],
        draws=batch.draws[rows, :slots],
        input_value=batch.inputs[rows],
        input_age_s=batch.input_age_s[rows],
        input_state=batch.input_state[rows],
        consent_reason=batch.consent[rows],
        candidate_shadow_reason=None if batch.shadow_reason is None else batch.shadow_reason[rows][:, offers],
        candidate_context_weight=_factor(batch.context_weight, rows, offers, allowed),
        candidate_lever=_factor(batch.lever, rows, offers, allowed),
        candidate_untreated_propensity=_factor(batch.untreated, rows, offers, allowed),
        candidate_smoothed_propensity=_factor(batch.smoothed, rows, offers, allowed),
    )


def _factor(column: Floats | None, rows: Indices | slice, offers: Indices | slice, allowed: Bools) -> Floats | None:
    """Return a factor of some rows and offers, NaN where not `allowed`; None: the bundle does not use it."""
    return None if column is None else np.where(allowed, column[rows][:, offers], np.nan)
