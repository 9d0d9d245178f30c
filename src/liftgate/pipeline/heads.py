"""Heads: what a record says of its decision beside columns. Most of it comes out the same for many people and is encoded once.

The reservation remembers records, so they are whole before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from operator import add, attrgetter

import numpy as np

from liftgate.domain.decision import Decision
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.walk import Walk
from liftgate.record.answer_part import ONLINE, answer_part
from liftgate.record.codec import (
    PERSONAL_UNITS,
    Outcome,
    account_part,
    default_part,
    encode_heads,
    outcome_part,
    review_part,
    times_part,
    trace_part,
    visit_part,
    walk_part,
)
from liftgate.record.replay_part import cap_room_part, silent_part
from liftgate.record.slate_part import slate_part

_ASKS = attrgetter("account_id", "slot_count", "deferred", "baseline_offers")
_NOTHING_MORE = "", 1, False, ()
_ACCOUNT_ID, _DEFERRED, _BASELINE = attrgetter("account_id"), attrgetter("deferred"), attrgetter("baseline_offers")
_ROW, _KIND = attrgetter("row"), attrgetter("kind")
_DECISION_ID, _VALID_UNTIL = attrgetter("decision_id"), attrgetter("valid_until_ms")
_REQUEST_ID, _TRACED, _SPAN_ID = attrgetter("request_id"), attrgetter("trace_id"), attrgetter("span_id")
_NOTHING = repeat(b"")
KNOWN = 16_384
"""Outcomes remembered for a bundle; one more, and all are forgotten."""


class Heads:
    """A batch's rows as records say them."""

    def __init__(self, walk: Walk, stage_us: Sequence[int]) -> None:
        """`stage_us`: time in each stage from ASSIGN so far."""
        batch, live = walk.batch, walk.live
        self._walk, self._walk_part = walk, walk_part(stage_us, batch.n)
        self._known, self._now_ms = live.outcome_parts, batch.now_ms.tolist()
        requests = batch.requests
        self._own: list[bytes | None] = [None] * batch.n
        """[N] the fields that most records have not, where those are of the row's arms alone; None: there may be others."""
        if live.bare and batch.by_default is None and batch.verdicts is None and not batch.silent:
            arms: Iterable[bytes] = _NOTHING
            if not live.variants.plain:
                arms = map(live.variants.record_parts.__getitem__, batch.variant.tolist())
            if (
                any(map(_ACCOUNT_ID, requests))
                or any(map(_DEFERRED, requests))
                or any(map(_BASELINE, requests))
                or batch.choice.shape[1] > 1
            ):
                self._own = [own if asks == _NOTHING_MORE else None for asks, own in zip(map(_ASKS, requests), arms, strict=False)]
            else:
                self._own = list(islice(arms, batch.n))
            if batch.withheld is not None:
                for row in np.flatnonzero(np.logical_or.reduce(batch.withheld, axis=1)).tolist():
                    self._own[row] = None

    def _more(self, row: int, request: DecideRequest, decision: Decision) -> bytes:
        """Return the fields that most records have not."""
        batch, more = self._walk.batch, self._of_person(row)
        if batch.silent or request.slot_count > 1:
            more += self._for_replay(row) + self._slate(row)
        if batch.verdicts is not None and batch.requested is not None:
            more += self._reviewed(decision)
        if request.deferred or request.baseline_offers or decision.withheld or decision.default_slots or decision.mode != ONLINE:
            more += self._answered(decision)
        return more

    def _of_person(self, row: int) -> bytes:
        """Return what the record says of the account, the visit, the arms and defaults that stood in for consent records."""
        batch, live = self._walk.batch, self._walk.live
        account = account_part(self._walk.unit("account", row)) if batch.requests[row].account_id else b""
        if live.layers.by_visit and (batch.enrolled is None or batch.enrolled[row]):
            account += self._visit(row)
        if account and self._walk.ports.personal_unit is not None:
            account += PERSONAL_UNITS
        if not live.variants.plain:
            account += live.variants.record_parts[batch.variant[row]]
        if batch.by_default is None:
            return account
        names = tuple([name for name, used in zip(live.bundle.purposes, batch.by_default[row].tolist(), strict=True) if used])
        return account + default_part(batch.jurisdiction[row], names)

    def _for_replay(self, row: int) -> bytes:
        """Return which models did not answer, and which caps had less room than the slots of a slate."""
        batch, caps = self._walk.batch, self._walk.live.bundle.caps
        silent = silent_part(tuple([model for model, rows in batch.silent.items() if rows[row]])) if batch.silent else b""
        slots = batch.requests[row].slot_count
        if slots == 1 or not caps:
            return silent
        room = batch.cap_room[row]
        return silent + cap_room_part((caps[c].cap_id, int(room[c])) for c in np.flatnonzero((room > 0) & (room < slots)))

    def _slate(self, row: int) -> bytes:
        """Return the marginals and the joint of a slate of several slots."""
        batch = self._walk.batch
        slots = batch.requests[row].slot_count
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
        asked = (self._walk.live.bundle.offers[requested[decision.row]].offer_id, decision.review_id) if decision.review_id else None
        return review_part(said, asked) if said or asked else b""

    def _answered(self, decision: Decision) -> bytes:
        """Return what the record says of an answer that is not what was chosen."""
        request, offers = self._walk.batch.requests[decision.row], self._walk.live.bundle.offers
        withheld = tuple([offers[offer].offer_id for offer in decision.withheld])
        return answer_part(withheld, request.deferred, decision.mode, request.baseline_offers, decision.default_slots)

    def put(self, columns: Sequence[memoryview], decisions: Sequence[Decision]) -> list[bytes]:
        """Return decisions' records, from the encoded columns of each."""
        walk, known, rows = self._walk, self._known, list(map(_ROW, decisions))
        requests, pseudonyms = walk.batch.requests, walk.pseudonyms
        if len(rows) < walk.batch.n:
            requests, pseudonyms = [requests[row] for row in rows], [pseudonyms[row] for row in rows]
        outcomes = list(map(known.get, map(_KIND, decisions)))
        if None in outcomes:
            for place, outcome in enumerate(outcomes):
                if outcome is None:
                    outcomes[place] = known.get(decisions[place].kind) or self._learn(decisions[place])
        owns = list(map(self._own.__getitem__, rows))
        more: Iterable[bytes] = owns  # type: ignore[assignment]  # None are in the list that follows
        if None in owns:
            ours = zip(owns, rows, requests, decisions, strict=True)
            more = [self._more(*one) if own is None else own for own, *one in ours]
        if any(map(_TRACED, requests)):
            more = map(add, more, map(trace_part, map(_TRACED, requests), map(_SPAN_ID, requests)))
        return encode_heads(
            columns,
            list(map(_DECISION_ID, decisions)),
            list(map(_REQUEST_ID, requests)),
            map(times_part, map(self._now_ms.__getitem__, rows), map(_VALID_UNTIL, decisions)),
            pseudonyms,
            outcomes,  # type: ignore[arg-type]  # none is None by now
            self._walk_part,
            more,
        )

    def _learn(self, decision: Decision) -> bytes:
        """Return what a decision's record says that others' of its kind say, too, and remember it."""
        row, batch, live = decision.row, self._walk.batch, self._walk.live
        arms, held, offers = batch.layer_arm[row].tolist(), batch.layer_held_out[row].tolist(), live.bundle.offers
        masked, enrolled = bool(batch.masked[row]), batch.enrolled is None or bool(batch.enrolled[row])
        if len(self._known) >= KNOWN:
            self._known.clear()
        part = self._known[decision.kind] = outcome_part(
            Outcome(
                arm=decision.arm,
                assignments=b"".join([parts[arm] for parts, arm in zip(live.assignment_parts, arms, strict=True)]),
                branch=decision.branch,
                reason=decision.reason,
                degraded=decision.degraded,
                fallback_reason=decision.fallback_reason,
                offered=[offers[offer].offer_id for offer in decision.offered],
                default_served=decision.default_served,
                would_offer=[offers[offer].offer_id for offer in decision.would_offer],
                holdout_answer=live.bundle.layers[held.index(True)].answer if True in held else decision.holdout_answer,
                slot_count=batch.requests[row].slot_count,
                scored=bool(batch.scored[row]),
                reservation_attempts=self._walk.attempts[row],
                masked_paths=_MASKED[masked, enrolled] + _UNLINKED * (row in self._walk.one_off),
                would_offer_default=decision.would_offer_default,
                consent_version=batch.consent_version[row],
                profile_state=int(batch.profile_state[row]) + 1,
            )
        )
        return part


_MASKED = {
    (masked, enrolled): ("profile.*",) * masked + ("layers.*",) * (not enrolled) for masked in (False, True) for enrolled in (False, True)
}
"""Paths withheld, by (profile masked, enrolled in layers)."""
_UNLINKED = ("person_pseudonym",)
"""Also, where it stands for this decision alone."""
