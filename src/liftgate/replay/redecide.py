"""Logged decisions, decided again under a bundle: the server's guardrails, models, policy and the logged draws, over columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.decision import Decision
from liftgate.domain.input import Floats
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.cap_watches import UNLIMITED
from liftgate.pipeline.choose import choose
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Models
from liftgate.pipeline.score import score
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Ports, Walk
from liftgate.pipeline.worth import in_full
from liftgate.replay.answers import answer_otherwise
from liftgate.replay.arms import arms_of
from liftgate.replay.defaults import Defaults
from liftgate.replay.judge import Judge, batch_of, inputs_of, note
from liftgate.replay.known import Known, known
from liftgate.replay.logged import Logged
from liftgate.replay.same import as_logged, forced, response_as_logged, room_as_logged, stands


@dataclass(slots=True)
class Redecided:
    """N decisions under one bundle: K offers of it, S slots."""

    why_not: list[str]
    """[N] why it cannot be decided again from the record; empty: it can."""
    reason: Codes
    """[N, K] as `Batch.reason`."""
    propensity: Floats
    """[N, K]"""
    probability: Floats
    """[S, N, K]"""
    offered: list[tuple[str, ...]]
    """[N] what is answered."""
    would_offer: list[tuple[str, ...]]
    """[N] what a held-out person would have been answered; empty for others."""
    explored: Bools
    """[N] the first slot's draw fell in the explore mass."""
    expected: Floats
    """[N] what the choice is expected to be worth by all factors, in the bundle's currency: probability x worth, over all slots."""


class Redecider:
    """Decides under one bundle what was decided under another, or under the same."""

    def __init__(self, bundle: Bundle, models: Models, own: Bundle) -> None:
        """`own` is the bundle that the log's decisions were made under."""
        self.bundle = bundle
        self._own = own
        self._live = Live(bundle, models)
        self._judge = Judge(bundle, own, self._live.chain)

    def __call__(self, logged: Logged, taken: NDArray[np.intp] | None = None) -> Redecided:
        """Decide again. What the record does not hold is said in `why_not`, never guessed. `taken`: see `choose`."""
        bundle, k = self.bundle, len(self.bundle.offers)
        why_not = [""] * logged.n
        nothing = Redecided(
            why_not,
            np.zeros((logged.n, k), dtype=np.uint8),
            np.full((logged.n, k), np.nan),
            np.zeros((logged.slots, logged.n, k)),
            [()] * logged.n,
            [()] * logged.n,
            np.zeros(logged.n, dtype=np.bool_),
            np.zeros(logged.n),
        )
        placement = bundle.placement_index.get(logged.placement_id)
        if placement is None or bundle.placements[placement].slots < logged.slots:
            gone = "is not in the bundle" if placement is None else "has fewer slots than were asked for"
            nothing.why_not = [f"placement {logged.placement_id} {gone}"] * logged.n
            return nothing
        same = self.bundle is self._own
        if not same:
            _operational(logged, why_not)
        about = known(logged, self._own, bundle)
        batch = batch_of(logged, about, bundle)
        batch.layer_arm, arms_lost = arms_of(logged, self._own, bundle)
        note(why_not, arms_lost, "not in the record: which arm a layer that is new or has moved would have put the person in")
        self._live.variants.place(batch)
        reason, allowed = self._judge.guard(logged, about, batch, placement, why_not)
        if same:
            stands(logged, self.bundle, reason, allowed, why_not)
        batch.reason, batch.allowed = reason, allowed
        self._live.variants.narrow(batch)
        self._score(logged, about, batch, why_not)
        batch.draws = logged.draws
        propensity = batch.propensity
        if same:
            # What is exact is so from the scores as logged: models may differ in the last bits between machines.
            batch.propensity = as_logged(logged, bundle, propensity)
            response_as_logged(logged, bundle, batch)
            batch.cap_room = room_as_logged(logged, bundle)
            may_choose = batch.allowed & ~forced(logged)[:, None]
        else:
            may_choose = batch.allowed
        slates = choose(batch, self._live, may_choose, np.full(logged.n, logged.slots, dtype=np.intp), capped=same, taken=taken)
        if batch.not_shown is not None:
            np.copyto(reason, batch.not_shown, where=batch.not_shown > 0)
        if logged.slots > 1:
            unsaid = _shared_caps(self._live, batch.allowed) & ((logged.profile_state == 0) if same else True)
            note(why_not, unsaid, "a slate of several slots under a cap that its offers share")
        worth = np.nansum(slates.probability * in_full(batch, self._live, batch.propensity), axis=(0, 2))
        result = Redecided(why_not, reason, propensity, slates.probability, [], [], slates.explored, worth)
        worthless: Bools | None = None if batch.not_shown is None else np.any(batch.not_shown, axis=1)
        batch.default_allowed, batch.held_out = self._answer(logged, about, batch, placement, slates.choice, result, worthless)
        batch.choice, batch.probability = slates.choice, slates.probability
        if not same:
            batch.cap_room = np.full((logged.n, len(bundle.caps)), UNLIMITED, dtype=np.int64)
        answer_otherwise(Walk(batch, self._live, _SILENT), logged, result.offered, result.would_offer)
        return result

    def _score(self, logged: Logged, about: Known, batch: Batch, why_not: list[str]) -> None:
        if self.bundle is self._own:
            batch.mute = logged.silent
        score(Walk(batch, self._live, _SILENT))
        for plan in self._live.plans:
            concerned = batch.allowed[:, plan.offers].any(axis=1) | batch.allowed[:, plan.untreated].any(axis=1)
            if plan.contested:
                concerned &= self._live.variants.model[batch.variant, plan.index] == plan.by
            if plan.personal:
                concerned &= about.found & ~about.masked
            rows: Bools = concerned & np.any(about.input_unknown[:, plan.columns], axis=1)
            note(why_not, rows, f"not in the record: what model {plan.spec.name} would have been fed")
        self._conditions(about, batch, why_not)
        for name, failing in batch.silent.items():
            note(why_not, failing, f"model {name} does not answer now")
        if self.bundle is self._own:
            legacy = logged.profile_state == 0
            note(why_not, batch.scored & ~logged.scored & legacy, "a model did not answer then, and the record does not say which")

    def _answer(
        self, logged: Logged, about: Known, batch: Batch, placement: int, choice: Any, result: Redecided, worthless: Bools | None
    ) -> tuple[Bools, Bools]:
        """Fill in what is answered where that is what was chosen. Return [N] whether the default passes, and who is held out."""
        bundle, names = self.bundle, [offer.offer_id for offer in self.bundle.offers]
        held, default_of, group_lost = self._groups(logged)
        note(result.why_not, group_lost, "not in the record: which group a layer that is new or has moved would have put the person in")
        defaults = Defaults(self._judge, logged, about, bundle.placements[placement].defaults)
        may, default_lost = defaults.first()
        if self._live.slot_defaults.any:
            drawn = np.count_nonzero(choice >= 0, axis=1)
            batch.later_default_allowed, later_lost = defaults.later(drawn)
            note(result.why_not, later_lost, "not in the record: whether the default of a later slot would have passed")
        empty = choice[:, 0] < 0
        if worthless is not None:
            # Where something was allowed and nothing was worth showing, the default is not shown either.
            nothing = empty & worthless
            empty, default_of, may = empty & ~nothing, default_of & ~nothing, may & ~nothing
        needed = empty | default_of
        note(result.why_not, needed & default_lost, "not in the record: whether the default offer would have passed")
        batch.default_allowed = may
        by_slot, first = self._live.slot_defaults, bundle.placements[placement].defaults[:1]
        rows = zip(choice.tolist(), may.tolist(), held.tolist(), default_of.tolist(), strict=True)
        for row, (chosen, allowed, out, shows_default) in enumerate(rows):
            some = tuple([k for k in chosen if k >= 0])
            alone: tuple[int, ...] = first if allowed else ()
            behind: tuple[int, ...] = ()
            if by_slot.any:
                alone = by_slot.behind(batch, row, (), logged.slots)
                behind = by_slot.behind(batch, row, some, logged.slots) if some else ()
            fallback = tuple([names[k] for k in alone])
            answer = tuple([names[k] for k in some + behind]) if some else fallback
            result.offered.append(answer if not out else fallback if shows_default else ())
            result.would_offer.append(answer if out else ())
        return may, held

    def _conditions(self, about: Known, batch: Batch, why_not: list[str]) -> None:
        """Note of whom the record does not hold what a lever or context weight of an allowed offer reads."""
        worth = self.bundle.worth
        for multiplier in (worth.context_weight, worth.lever):
            for switch in multiplier.switches if multiplier is not None and about.input_unknown.any() else ():
                names = inputs_of(worth.conditions[switch.condition].text) if switch.condition >= 0 else ()
                for name in names:
                    unknown = about.input_unknown[:, self.bundle.schema.index[name]] & batch.allowed[:, switch.offers].any(axis=1)
                    note(why_not, unknown, f"not in the record: {name} as a lever or context weight would have read it")

    def _groups(self, logged: Logged) -> tuple[Bools, Bools, Bools]:
        """Return [N] who is held out, whom the default answers then, and of whom it cannot be told."""
        held, shows_default = np.zeros(logged.n, dtype=np.bool_), np.zeros(logged.n, dtype=np.bool_)
        lost = np.zeros(logged.n, dtype=np.bool_)
        before = {layer.name: layer for layer in self._own.layers}
        if _enrolled_by(self.bundle) != _enrolled_by(self._own):
            lost |= any(layer.boundary for layer in (*self.bundle.layers, *self._own.layers))
        nobody = np.zeros(logged.n, dtype=np.bool_)
        for layer in self.bundle.layers:
            if not layer.universal:
                continue
            was = before.get(layer.name)
            if was is None or was.draw != layer.draw:
                lost |= layer.boundary > 0
                continue
            # A layer that does not concern a decision, by its dates or for want of consent, is not in its record.
            out = logged.held_out.get(layer.name, nobody)
            # Buckets grow from 0: a larger share keeps everyone who was in, a smaller one nobody who was not.
            lost |= ~out & (layer.boundary > was.boundary) | out & (layer.boundary < was.boundary)
            shows_default |= out & ~held & (layer.answer == "default_offer")
            held |= out
        return held, shows_default, lost


def _operational(logged: Logged, why_not: list[str]) -> None:
    """Note what a failure or a person at the switch decided, and no bundle."""
    for code in np.unique(logged.fallback[logged.fallback > 0]).tolist():
        note(why_not, logged.fallback == code, f"something was away then ({Reason(code).name})")
    for reason in (Reason.PERSONALIZATION_STOPPED, Reason.MODEL_STOPPED):
        note(why_not, logged.reason == reason, f"stopped by hand then ({reason.name})")


def _enrolled_by(bundle: Bundle) -> str:
    """Return the purpose without which nobody is enrolled in a layer, empty: none is needed."""
    purpose = bundle.consent.experiment_purpose
    return bundle.purposes[purpose] if purpose >= 0 else ""


def _shared_caps(live: Live, allowed: Bools) -> Bools:
    """Say of whom one allowed offer, once chosen, could use up a cap that holds another back."""
    shared = np.zeros(len(allowed), dtype=np.bool_)
    for c in range(live.caps.spends.shape[1]):
        charged, held = live.caps.spends[:, c] > 0, live.caps.holds[:, c] > 0
        both = allowed[:, charged].any(axis=1) & allowed[:, held].any(axis=1)
        shared |= both & (allowed[:, charged | held].sum(axis=1) > 1)
    return shared


class _Silent:
    """Reports nothing: a replay is no traffic."""

    def decided(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None: ...

    def fell_back(self, stage: Stage, cause: str, requests: Sequence[DecideRequest] = ()) -> None: ...

    def joined(self, recovered: bool) -> None: ...


_NONE = cast(Any, None)
_SILENT = Ports(
    profiles=_NONE,
    reservations=_NONE,
    log=_NONE,
    answers=_NONE,
    observer=_Silent(),
    ids=_NONE,
    clock=_NONE,
    pseudonym=_NONE,
    pseudonym_key_id="",
)
"""Scoring reaches the observer and nothing else outside."""
