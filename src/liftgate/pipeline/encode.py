"""Encode: the answer and its record as bytes, before the reservation that makes them true.

The reservation remembers both, so that a crash between it and the log loses no decision that a retry could be told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.pipeline.heads import Heads
from liftgate.pipeline.live import Live
from liftgate.pipeline.stages import ENCODE
from liftgate.pipeline.walk import Walk
from liftgate.record.codec import SHADOW, BatchColumns, constant_part, controls_part, encode_columns

_CHOSEN = np.uint8(Reason.CHOSEN)


def encode(walk: Walk) -> None:
    """Encode every unsettled row's answer and, but for dry runs, its record."""
    batch, live, rows = walk.batch, walk.live, walk.unsettled
    responses, records = walk.responses, walk.records
    decisions = walk.decisions if len(rows) == batch.n else [walk.decisions[row] for row in rows]
    answers = walk.ports.answers.encode_all(batch, live.bundle, decisions)
    _put(responses, rows, answers)
    heads = Heads(walk, walk.stage_us(ENCODE))
    for (p, slots), members in _alike(batch, rows).items():
        template = _template(live.record_parts[p], walk.ports.pseudonym_key_id, batch.controls.version)
        parts = encode_columns(template, _columns(batch, live, p, slots, members))
        _put(records, members, heads.put(parts, decisions if members is rows else [walk.decisions[row] for row in members]))


def _put(values: list[bytes], rows: list[int], own: Sequence[bytes]) -> None:
    """Put rows' own values in their places."""
    if len(own) == len(values):
        values[:] = own
        return
    for row, value in zip(rows, own, strict=True):
        values[row] = value


def _alike(batch: Batch, rows: list[int]) -> dict[tuple[int, int], list[int]]:
    """Return the rows that leave a record, by placement and slots asked for: such records have columns of the same widths."""
    keys = list(zip(batch.placement.tolist(), map(_SLOT_COUNT, batch.requests), map(_DRY_RUN, batch.requests), strict=True))
    if keys.count(keys[0]) == len(keys):
        p, slots, dry_run = keys[0]
        return {} if dry_run else {(p, slots): rows}
    alike: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        p, slots, dry_run = keys[row]
        if not dry_run:
            alike.setdefault((p, slots), []).append(row)
    return alike


_SLOT_COUNT, _DRY_RUN = attrgetter("slot_count"), attrgetter("dry_run")


@lru_cache(maxsize=256)
def _template(record_part: bytes, pseudonym_key_id: str, controls_version: int) -> bytes:
    """Return what is constant in the records of a placement."""
    return record_part + constant_part(pseudonym_key_id=pseudonym_key_id) + controls_part(controls_version)


def _columns(batch: Batch, live: Live, placement: int, slots: int, members: list[int]) -> BatchColumns:
    """Return the columns of some rows, cut to their placement's offers."""
    some, n, k = live.bundle.placements[placement].offers, len(members), len(live.bundle.offers)
    # A slice is a view.
    offers: Indices | slice = slice(k) if len(some) == k else some
    rows: Indices | slice = slice(n) if n == batch.n else np.array(members, dtype=np.intp)
    at: tuple[Any, ...] = (rows, offers) if isinstance(rows, slice) or isinstance(offers, slice) else np.ix_(rows, offers)
    allowed = batch.allowed[at]
    # No offer chosen is -1, and so marks a column behind the last offer's.
    reason = np.empty((n, k + 1), dtype=np.uint8)
    reason[:, :k] = batch.reason[rows]
    if batch.not_shown is not None:
        np.copyto(reason[:, :k], batch.not_shown[rows], where=batch.not_shown[rows] > 0)
    reason[np.arange(n)[:, None], batch.choice[rows, :slots]] = _CHOSEN
    more = {} if batch.shadow_reason is None else {SHADOW: batch.shadow_reason[at]}
    if live.factored:
        for name, factor in zip(_FACTORS, _factors(batch), strict=True):
            if factor is not None:
                more[name] = np.where(allowed, factor[at], np.nan)
    return BatchColumns(
        reason[:, offers],
        batch.propensity[at],
        np.where(allowed, live.bundle.value[offers] if batch.value is None else batch.value[at], np.nan),
        batch.inputs[rows],
        batch.input_age_s[rows],
        batch.input_state[rows],
        batch.consent[rows],
        batch.draws[rows, :slots],
        batch.probability[(slice(slots), *at)],
        more,
    )


_FACTORS = ("candidate_context_weight", "candidate_lever", "candidate_untreated_propensity", "candidate_smoothed_propensity")
"""Columns that only bundles with such a factor have, NaN where an offer is not allowed."""
_factors = attrgetter("context_weight", "lever", "untreated", "smoothed")
