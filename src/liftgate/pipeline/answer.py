"""Answer: where what is answered differs from what was chosen. Withheld offers, and placements that learn."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

import numpy as np

from liftgate.domain.batch import Batch, Bools
from liftgate.domain.decision import Decision
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.pipeline.choose import choose
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Walk

_FALLBACK = Branch.FALLBACK


def answer(walk: Walk, decisions: list[Decision]) -> None:
    """Change what decisions answer where it is not what was chosen; without such rows they stay as they are."""
    batch = walk.batch
    modes = walk.live.modes
    if modes:
        for decision in decisions:
            decision.mode = modes[batch.placement[decision.row]]
            if decision.mode == "apprentice":
                _serve_baseline(walk, decision)
            elif decision.mode == "logging_only":
                _log_only(decision)
            walk.live.kinds.change(decision)
    if batch.withheld is not None:
        some = np.logical_or.reduce(batch.withheld, axis=1).tolist()
        concerned = [one for one in decisions if some[one.row]]
        if concerned:
            _withhold(walk, [one for one in concerned if one.mode == "online" and one.arm is not Arm.HOLDOUT])
            _no_withheld_default(batch, concerned)
            for decision in concerned:
                walk.live.kinds.change(decision)


def _log_only(decision: Decision) -> None:
    """Answer nothing; what would have been answered stays in the record, and counts nowhere."""
    decision.would_offer = decision.would_offer or decision.offered
    decision.would_offer_default = bool(decision.would_offer) and not decision.chosen
    decision.offered, decision.default_served, decision.counted, decision.would_count = (), False, (), ()
    decision.review_id, decision.default_slots = "", ()
    if decision.branch is not _FALLBACK and decision.arm is not Arm.HOLDOUT:
        decision.branch, decision.reason = Branch.BASELINE, Reason.LOGGED_ONLY


def _serve_baseline(walk: Walk, decision: Decision) -> None:
    """Answer the caller's own choice as far as guardrails, holdouts and room under caps allow."""
    row, batch, live = decision.row, walk.batch, walk.live
    held_out = decision.arm is Arm.HOLDOUT
    ours = decision.would_offer if held_out else decision.offered
    decision.would_offer, decision.would_offer_default = ours, bool(ours) and not decision.chosen
    decision.review_id = ""
    if not held_out:
        decision.default_slots = ()
    if decision.branch is _FALLBACK:
        # No stage has checked the caller's choice; the default alone was, and it is answered where the caller chose it.
        if not held_out:
            asked = {live.bundle.offer_index[offer_id] for offer_id in batch.requests[row].baseline_offers}
            decision.offered = tuple([k for k in decision.offered if k in asked])
            decision.default_served = bool(decision.offered)
        decision.counted, decision.would_count = (), ()
        return
    served: list[int] = []
    refused: list[tuple[int, Reason]] = []
    withheld: list[int] = []
    room = batch.cap_room[row].copy()
    for offer_id in batch.requests[row].baseline_offers:
        k = live.bundle.offer_index[offer_id]
        full = np.flatnonzero((live.caps.holds[k] > 0) & (room <= 0))
        if not batch.allowed[row, k]:
            refused.append((k, Reason(int(batch.reason[row, k]))))
        elif full.size:
            # What came before it in the list has used up the cap.
            refused.append((k, live.caps.reason(batch, row, int(full[0]))))
        else:
            room -= live.caps.spends[k]
            served.append(k)
            if not held_out and batch.withheld is not None and batch.withheld[row, k]:
                withheld.append(k)
                refused.append((k, Reason.OFFER_HELD_OUT))
    shown = tuple([k for k in served if k not in withheld])
    decision.refused, decision.withheld = tuple(refused), tuple(withheld)
    decision.would_count = tuple(served)
    if held_out:
        decision.counted = decision.would_count
        return
    decision.counted = decision.offered = shown
    decision.default_served, decision.chances = False, (1.0,) * len(shown)
    decision.branch, decision.reason = Branch.BASELINE, Reason.BASELINE_SERVED
    if withheld:
        decision.holdout_answer = "none"


@dataclass(slots=True)
class _Slate:
    """One answer in the making, slot by slot: an offer, the default, or still to be drawn."""

    decision: Decision
    slots: list[tuple[int, float, str]] = field(default_factory=list)
    """(offer or -1, its probability, `chosen`, `default` or `next_best`)"""

    @property
    def kept(self) -> list[int]:
        return [offer for offer, _, how in self.slots if how == "chosen"]

    @property
    def wanting(self) -> int:
        return sum(how == "next_best" for _, _, how in self.slots)


def _withhold(walk: Walk, decisions: list[Decision]) -> None:
    """Take out what the person is held out of, and answer in its place what the holdout declares."""
    batch, live = walk.batch, walk.live
    assert batch.withheld is not None
    slates = []
    for decision in decisions:
        out = batch.withheld[decision.row]
        if walk.batch.requested is not None and walk.batch.requested[decision.row] >= 0 and out[walk.batch.requested[decision.row]]:
            # Nobody is asked to review what would not be shown.
            decision.review_id = ""
        if decision.chosen and any(out[k] for k in decision.offered):
            slates.append(_slate(batch, live, decision))
    rows = [slate for slate in slates if slate.wanting]
    if rows:
        _draw_next_best(batch, live, rows)
    for slate in slates:
        _defaults_behind(batch, live, slate)
        _finish(slate)


def _slate(batch: Batch, live: Live, decision: Decision) -> _Slate:
    row, slate = decision.row, _Slate(decision)
    assert batch.withheld is not None
    default = live.bundle.placements[batch.placement[row]].default_offer if batch.default_allowed[row] else -1
    may_default = default >= 0 and not batch.withheld[row, default] and default not in decision.chosen
    withheld = []
    for slot, k in enumerate(decision.chosen):
        if not batch.withheld[row, k]:
            slate.slots.append((k, batch.probability.item(slot, row, k), "chosen"))
            continue
        withheld.append(k)
        how = _answer_of(batch, live, row, k)
        decision.holdout_answer = decision.holdout_answer or how
        if how == "next_best":
            slate.slots.append((-1, 0.0, "next_best"))
        elif how == "default_offer" and may_default:
            slate.slots.append((default, 1.0, "default"))
            may_default = False
    decision.withheld = tuple(withheld)
    return slate


def _answer_of(batch: Batch, live: Live, row: int, offer: int) -> str:
    """Return what the first layer that holds the person out of the offer declares."""
    for layer, some in live.layers.withholding:
        if batch.layer_arm[row, layer] == 0 and offer in some:
            return live.bundle.layers[layer].answer
    return "none"


def _draw_next_best(batch: Batch, live: Live, slates: list[_Slate]) -> None:
    """Fill the wanting slots with the same draws over the vectors without what is withheld or shown already."""
    allowed: Bools = np.zeros_like(batch.allowed)
    shown: Bools = np.zeros_like(batch.allowed)
    count = np.zeros(batch.n, dtype=np.intp)
    room = batch.cap_room.copy()
    assert batch.withheld is not None
    for slate in slates:
        row, kept = slate.decision.row, slate.kept
        room[row] -= live.caps.spends[kept].sum(axis=0)
        allowed[row] = batch.allowed[row] & ~batch.withheld[row] & ~(live.caps.holds @ (room[row] <= 0).astype(np.int64) > 0)
        shown[row, [offer for offer, _, how in slate.slots if how != "next_best"]] = True
        count[row] = slate.wanting
    others = copy(batch)
    others.cap_room, others.shown_already = room, shown
    allowed &= ~shown & ~live.slate_limits.too_alike(others)
    drawn = choose(others, live, allowed, count, with_marginals=False)
    for slate in slates:
        row = slate.decision.row
        found = [(k, drawn.probability.item(s, row, k)) for s, k in enumerate(drawn.choice[row].tolist()[: slate.wanting]) if k >= 0]
        filled = iter(found)
        slots = []
        for offer, chance, how in slate.slots:
            if how == "next_best":
                offer, chance = next(filled, (-1, 0.0))
            slots.append((offer, chance, how))
        slate.slots = [one for one in slots if one[0] >= 0]


def _defaults_behind(batch: Batch, live: Live, slate: _Slate) -> None:
    """Let the defaults of slots for which nothing was left follow, but those that are withheld or that the slate shows by now."""
    row, decision = slate.decision.row, slate.decision
    assert batch.withheld is not None
    for k in decision.offered[len(decision.chosen) :]:
        shown = tuple([offer for offer, _, _ in slate.slots])
        if batch.withheld[row, k]:
            decision.withheld = (*decision.withheld, k)
            decision.holdout_answer = decision.holdout_answer or "none"
        elif k not in shown and live.slot_defaults.fits(batch, row, k, shown):
            slate.slots.append((k, 1.0, "default"))


def _finish(slate: _Slate) -> None:
    decision = slate.decision
    decision.would_offer = decision.offered
    decision.offered = tuple([offer for offer, _, _ in slate.slots])
    decision.chances = tuple([chance for _, chance, _ in slate.slots])
    places = [i for i, (_, _, how) in enumerate(slate.slots) if how == "default"]
    decision.default_served = bool(places) and len(slate.slots) == len(places)
    decision.default_slots = () if decision.default_served else tuple(places)
    decision.counted = tuple([offer for offer, _, how in slate.slots if how != "default"])
    decision.would_count = decision.chosen
    if decision.chosen[0] in decision.withheld:
        decision.branch, decision.reason = Branch.HOLDOUT, Reason.OFFER_HELD_OUT


def _no_withheld_default(batch: Batch, decisions: list[Decision]) -> None:
    """Show nobody a default that they are held out of, whatever it stands for."""
    assert batch.withheld is not None
    for decision in decisions:
        out = tuple([k for k in decision.offered if batch.withheld[decision.row, k]]) if decision.default_served else ()
        if not out:
            continue
        rest = tuple([k for k in decision.offered if k not in out])
        if decision.arm is not Arm.HOLDOUT:
            first = decision.offered[0] in out
            decision.withheld, decision.would_offer = out, decision.offered
            decision.would_offer_default = True
            decision.holdout_answer = "none"
            if first and decision.branch is not _FALLBACK:
                decision.branch, decision.reason = Branch.HOLDOUT, Reason.OFFER_HELD_OUT
        decision.offered, decision.default_served = rest, bool(rest)
