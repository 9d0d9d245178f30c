"""Encode: the answer and its record as bytes, before the reservation that makes them true.

The reservation remembers both, so that a crash between it and the log loses no decision that a retry could be told of.
"""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.reason import Reason
from liftgate.pipeline.live import Live
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Walk
from liftgate.record.codec import DecisionColumns, DecisionHead, assignment_part, constant_part, encode_decision

_TIMED = tuple(stage for stage in Stage if stage < Stage.ENCODE)


def encode(walk: Walk) -> None:
    """Encode every unsettled row's answer and, but for dry runs, its record."""
    batch, live = walk.batch, walk.live
    for row in walk.unsettled:
        walk.responses[row] = walk.ports.answers.encode(batch, live.bundle, walk.decisions[row])
    written = [row for row in walk.unsettled if not batch.requests[row].dry_run]
    stage_us = [batch.stage_us.get(stage, 0) for stage in _TIMED]
    rows = _RowColumns(walk)
    key_part = constant_part(pseudonym_key_id=walk.ports.pseudonym_key_id)
    for p in sorted({int(batch.placement[row]) for row in written}):
        template = live.record_parts[p] + key_part
        columns = _PlacementColumns(batch, live, p)
        for row in written:
            if batch.placement[row] == p:
                walk.records[row] = encode_decision(template, rows.head(walk.decisions[row]), columns.row(row, stage_us))


class _PlacementColumns:
    """The batch's candidate columns cut to one placement's offers, once for all its rows."""

    def __init__(self, batch: Batch, live: Live, placement: int) -> None:
        offers = live.bundle.placements[placement].offers
        self._batch = batch
        chosen = np.zeros(batch.allowed.shape, dtype=np.bool_)
        for slot in range(batch.choice.shape[1]):
            rows = np.flatnonzero(batch.choice[:, slot] >= 0)
            chosen[rows, batch.choice[rows, slot]] = True
        self._reason = np.where(chosen, np.uint8(Reason.CHOSEN), batch.reason)[:, offers]
        self._propensity = batch.propensity[:, offers]
        self._value = np.where(batch.allowed, live.bundle.value, np.nan)[:, offers]
        self._probability = batch.probability[:, :, offers]

    def row(self, row: int, stage_us: list[int]) -> DecisionColumns:
        batch = self._batch
        slots = batch.requests[row].slot_count
        return DecisionColumns(
            candidate_reason=self._reason[row],
            candidate_propensity=self._propensity[row],
            candidate_value=self._value[row],
            slots=self._probability[:slots, row],
            draws=batch.draws[row, :slots],
            input_value=batch.inputs[row],
            input_age_s=batch.input_age_s[row],
            input_state=batch.input_state[row],
            consent_reason=batch.consent[row],
            stage_us=stage_us,
        )


class _RowColumns:
    """The batch's row columns as plain lists, once for all records."""

    def __init__(self, walk: Walk) -> None:
        batch, layers = walk.batch, walk.live.bundle.layers
        self._walk = walk
        self._requests, self._n = batch.requests, batch.n
        self._offers = walk.live.bundle.offers
        self._now_ms, self._scored, self._masked = batch.now_ms.tolist(), batch.scored.tolist(), batch.masked.tolist()
        self._held, self._consent_version = batch.layer_held_out.tolist(), batch.consent_version
        self._layers = [{out: assignment_part(layer.name, _ARM[out]) for out in (False, True)} for layer in layers]
        self._answers = [layer.answer for layer in layers]

    def head(self, decision: Decision) -> DecisionHead:
        row = decision.row
        request, held = self._requests[row], self._held[row]
        return DecisionHead(
            decision_id=decision.decision_id,
            request_id=request.request_id,
            decided_at_ms=self._now_ms[row],
            trace_id=request.trace_id,
            span_id=request.span_id,
            person_pseudonym=self._walk.ports.pseudonym(request.person_id),
            arm=decision.arm,
            assignments=b"".join([part[out] for part, out in zip(self._layers, held, strict=True)]),
            branch=decision.branch,
            reason=decision.reason,
            degraded=decision.degraded,
            fallback_reason=decision.fallback_reason,
            offered=[self._offers[offer].offer_id for offer in decision.offered],
            default_served=decision.default_served,
            would_offer=[self._offers[offer].offer_id for offer in decision.would_offer],
            holdout_answer=self._answers[held.index(True)] if True in held else "",
            slot_count=request.slot_count,
            scored=self._scored[row],
            reservation_attempts=self._walk.attempts[row],
            masked_paths=_MASKED if self._masked[row] else (),
            valid_until_ms=decision.valid_until_ms,
            batch_size=self._n,
            would_offer_default=decision.would_offer_default,
            consent_version=self._consent_version[row],
        )


_ARM = {True: "holdout", False: "treatment"}
_MASKED = ("profile.*",)
