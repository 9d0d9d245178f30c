"""Encode: the answer and its record as bytes, before the reservation that makes them true.

The reservation remembers both, so that a crash between it and the log loses no decision that a retry could be told of.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from liftgate.domain.batch import Batch, Bools
from liftgate.domain.decision import Decision
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.live import Live
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Walk
from liftgate.record.answer_part import ONLINE, answer_part
from liftgate.record.codec import (
    PERSONAL_UNITS,
    BatchColumns,
    DecisionHead,
    account_part,
    constant_part,
    controls_part,
    default_part,
    encode_columns,
    encode_head,
    review_part,
    visit_part,
)
from liftgate.record.replay_part import cap_room_part, silent_part
from liftgate.record.slate_part import slate_part

_CHOSEN = np.uint8(Reason.CHOSEN)
_TIMED = tuple(stage for stage in Stage if stage < Stage.ENCODE)


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
    stage_us = [batch.stage_us.get(stage, 0) for stage in _TIMED]
    rows = _RowColumns(walk)
    key_part = _key_part(walk.ports.pseudonym_key_id) + controls_part(batch.controls.version)
    for (p, slots), members in alike.items():
        columns = _columns(batch, live, p, slots, members, stage_us)
        for row, encoded in zip(members, encode_columns(live.record_parts[p] + key_part, columns), strict=True):
            walk.records[row] = encode_head(encoded, rows.head(walk.decisions[row]))


@cache
def _key_part(pseudonym_key_id: str) -> bytes:
    return constant_part(pseudonym_key_id=pseudonym_key_id)


def _columns(batch: Batch, live: Live, placement: int, slots: int, members: list[int], stage_us: list[int]) -> BatchColumns:
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
        stage_us=stage_us,
        candidate_shadow_reason=None if batch.shadow_reason is None else batch.shadow_reason[rows][:, offers],
        candidate_context_weight=_factor(batch.context_weight, rows, offers, allowed),
        candidate_lever=_factor(batch.lever, rows, offers, allowed),
        candidate_untreated_propensity=_factor(batch.untreated, rows, offers, allowed),
        candidate_smoothed_propensity=_factor(batch.smoothed, rows, offers, allowed),
    )


def _factor(column: Floats | None, rows: Indices | slice, offers: Indices | slice, allowed: Bools) -> Floats | None:
    """Return a factor of some rows and offers, NaN where not `allowed`; None: the bundle does not use it."""
    return None if column is None else np.where(allowed, column[rows][:, offers], np.nan)


class _RowColumns:
    """The batch's row columns as plain lists, once for all records."""

    def __init__(self, walk: Walk) -> None:
        batch, layers = walk.batch, walk.live.bundle.layers
        self._walk = walk
        self._requests, self._n = batch.requests, batch.n
        self._offers = walk.live.bundle.offers
        self._now_ms, self._scored, self._masked = batch.now_ms.tolist(), batch.scored.tolist(), batch.masked.tolist()
        self._held, self._consent_version = batch.layer_held_out.tolist(), batch.consent_version
        self._arms = batch.layer_arm.tolist()
        self._answers = [layer.answer for layer in layers]
        self._enrolled: list[bool] = [True] * batch.n if batch.enrolled is None else batch.enrolled.tolist()
        self._profile_state = (batch.profile_state + 1).tolist()
        self._silent = {model: rows.tolist() for model, rows in batch.silent.items()}
        self._slates = any(request.slot_count > 1 for request in batch.requests) and walk.live.bundle.caps
        self._by_default = None if batch.by_default is None else batch.by_default.tolist()
        variants = walk.live.variants
        self._variant_parts = None if variants.plain else [variants.record_parts[variant] for variant in batch.variant.tolist()]
        self._bare = not walk.live.layers.by_visit and variants.plain and batch.by_default is None
        """Records say of people no more than their accounts."""
        self._judged = batch.verdicts is not None and batch.requested is not None

    def _more(self, row: int, request: DecideRequest, decision: Decision) -> bytes:
        """Return the fields that most records have not."""
        more = b"" if self._bare and not request.account_id else self._of_person(row)
        if self._silent or request.slot_count > 1:
            more += self._for_replay(row) + self._slate(row)
        if self._judged:
            more += self._reviewed(decision)
        if request.deferred or request.baseline_offers or decision.withheld or decision.default_slots or decision.mode != ONLINE:
            more += self._answered(decision)
        return more

    def _of_person(self, row: int) -> bytes:
        """Return what the record says of the account, the visit, the arms and defaults that stood in for consent records."""
        account = account_part(self._walk.unit("account", row)) if self._requests[row].account_id else b""
        if self._walk.live.layers.by_visit and self._enrolled[row]:
            account += self._visit(row)
        if account and self._walk.ports.personal_unit is not None:
            account += PERSONAL_UNITS
        if self._variant_parts is not None:
            account += self._variant_parts[row]
        if self._by_default is None:
            return account
        purposes = self._walk.live.bundle.purposes
        names = tuple([name for name, used in zip(purposes, self._by_default[row], strict=True) if used])
        return account + default_part(self._walk.batch.jurisdiction[row], names)

    def _for_replay(self, row: int) -> bytes:
        """Return which models did not answer, and which caps had less room than the slots of a slate."""
        silent = silent_part(tuple([model for model, rows in self._silent.items() if rows[row]])) if self._silent else b""
        slots = self._requests[row].slot_count
        if not self._slates or slots == 1:
            return silent
        room = self._walk.batch.cap_room[row]
        caps = self._walk.live.bundle.caps
        return silent + cap_room_part((caps[c].cap_id, int(room[c])) for c in np.flatnonzero((room > 0) & (room < slots)))

    def _slate(self, row: int) -> bytes:
        """Return the marginals and the joint of a slate of several slots."""
        batch, slots = self._walk.batch, self._requests[row].slot_count
        if slots == 1 or batch.slate_joint is None or batch.slate_marginal is None:
            return b""
        own = batch.slate_marginal[:slots, row, self._walk.live.bundle.placements[batch.placement[row]].offers]
        return slate_part(batch.slate_joint.item(row), None if np.isnan(own[-1, 0]) else own)

    def _visit(self, row: int) -> bytes:
        """Return what stands for the session and the visitor, as far as layers are drawn by them."""
        drawn_by = self._walk.live.layers.by_visit
        session = self._walk.unit("session", row) if "session" in drawn_by else b""
        visitor = self._walk.unit("visitor", row) if "visitor" in drawn_by else b""
        return visit_part(session, visitor) if session or visitor else b""

    def _reviewed(self, decision: Decision) -> bytes:
        """Return what the record says of verdicts on single decisions."""
        verdicts, requested = self._walk.batch.verdicts, self._walk.batch.requested
        assert verdicts is not None
        assert requested is not None
        said = [
            (offer_id, one.approved, one.by, one.at_ms, max(one.at_ms - one.asked_at_ms, 0), one.review_id)
            for offer_id, one in verdicts[decision.row].items()
        ]
        asked = (self._offers[requested[decision.row]].offer_id, decision.review_id) if decision.review_id else None
        return review_part(said, asked) if said or asked else b""

    def _answered(self, decision: Decision) -> bytes:
        """Return what the record says of an answer that is not what was chosen."""
        request = self._requests[decision.row]
        withheld = tuple([self._offers[offer].offer_id for offer in decision.withheld])
        return answer_part(withheld, request.deferred, decision.mode, request.baseline_offers, decision.default_slots)

    def head(self, decision: Decision) -> DecisionHead:
        row = decision.row
        request, held = self._requests[row], self._held[row]
        return DecisionHead(
            decision_id=decision.decision_id,
            request_id=request.request_id,
            decided_at_ms=self._now_ms[row],
            trace_id=request.trace_id,
            span_id=request.span_id,
            person_pseudonym=self._walk.pseudonyms[row],
            arm=decision.arm,
            assignments=b"".join([parts[arm] for parts, arm in zip(self._walk.live.assignment_parts, self._arms[row], strict=True)]),
            branch=decision.branch,
            reason=decision.reason,
            degraded=decision.degraded,
            fallback_reason=decision.fallback_reason,
            offered=[self._offers[offer].offer_id for offer in decision.offered],
            default_served=decision.default_served,
            would_offer=[self._offers[offer].offer_id for offer in decision.would_offer],
            holdout_answer=self._answers[held.index(True)] if True in held else decision.holdout_answer,
            slot_count=request.slot_count,
            scored=self._scored[row],
            reservation_attempts=self._walk.attempts[row],
            masked_paths=_MASKED[self._masked[row], self._enrolled[row]] + _UNLINKED * (row in self._walk.one_off),
            valid_until_ms=decision.valid_until_ms,
            batch_size=self._n,
            would_offer_default=decision.would_offer_default,
            consent_version=self._consent_version[row],
            profile_state=self._profile_state[row],
            more=self._more(row, request, decision),
        )


_MASKED = {
    (masked, enrolled): ("profile.*",) * masked + ("layers.*",) * (not enrolled) for masked in (False, True) for enrolled in (False, True)
}
"""Paths withheld, by (profile masked, enrolled in layers)."""
_UNLINKED = ("person_pseudonym",)
"""Also, where it stands for this decision alone."""
