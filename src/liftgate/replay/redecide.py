"""Logged decisions, decided again under a bundle: the server's guardrails, models, policy and the logged draws, over columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.conditions import parse
from liftgate.bundle.conditions_parser import Name, walk
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.decision import Decision
from liftgate.domain.input import Floats
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.guardrails.consent import Consent
from liftgate.guardrails.eligibility import Eligibility
from liftgate.guardrails.suppression import Suppression
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Models
from liftgate.pipeline.score import score
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Ports, Walk
from liftgate.replay.carried import OPERATIONAL, carried, is_carried, is_counter, place_in_chain
from liftgate.replay.known import Known, known
from liftgate.replay.logged import Logged
from liftgate.selection.slate import fill
from liftgate.selection.value import expected_value

CONDITIONS = {
    "eligible_if": (Reason.NOT_ELIGIBLE, Reason.ELIGIBILITY_UNKNOWN),
    "applicable_if": (Reason.NOT_APPLICABLE, Reason.APPLICABILITY_UNKNOWN),
    "suitable_if": (Reason.NOT_SUITABLE, Reason.SUITABILITY_UNKNOWN),
    "suppress_if": (Reason.SUPPRESSED, Reason.SUPPRESSION_UNKNOWN),
}
_GUARDRAIL = {section: "suppression" if section == "suppress_if" else "eligibility" for section in CONDITIONS}
_PLACE = place_in_chain()
_CARRIED = np.array([code in Reason.__members__.values() and is_carried(code) for code in range(256)], dtype=np.bool_)
_OPERATIONAL = np.array([code in OPERATIONAL for code in range(256)], dtype=np.bool_)
_LET = (int(Reason.ALLOWED), int(Reason.CHOSEN))
_NEW_CANDIDATE = "whether a caller's own list holds an offer that is new to the placement"
_ELSEWHERE = "\0"
"""Stands for a channel whose name the record does not hold: no offer can name it."""


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
    expected: Floats
    """[N] what the policy's choice is expected to be worth, in the bundle's currency: probability x propensity x value, over all slots."""


class Redecider:
    """Decides under one bundle what was decided under another, or under the same."""

    def __init__(self, bundle: Bundle, models: Models, own: Bundle) -> None:
        """`own` is the bundle that the log's decisions were made under."""
        self.bundle = bundle
        self._own = own
        self._live = Live(bundle, models)
        chain = self._live.chain.guardrails
        self._guardrails = [one for one, in_shadow in chain if isinstance(one, (Consent, Eligibility, Suppression)) and not in_shadow]
        self._carried, self._carried_own = carried(bundle), carried(own)

    def __call__(self, logged: Logged) -> Redecided:
        """Decide again. What the record does not hold is said in `why_not`, never guessed."""
        bundle, k = self.bundle, len(self.bundle.offers)
        why_not = [""] * logged.n
        nothing = Redecided(
            why_not,
            np.zeros((logged.n, k), dtype=np.uint8),
            np.full((logged.n, k), np.nan),
            np.zeros((logged.slots, logged.n, k)),
            [()] * logged.n,
            [()] * logged.n,
            np.zeros(logged.n),
        )
        placement = bundle.placement_index.get(logged.placement_id)
        if placement is None or bundle.placements[placement].slots < logged.slots:
            gone = "is not in the bundle" if placement is None else "has fewer slots than were asked for"
            nothing.why_not = [f"placement {logged.placement_id} {gone}"] * logged.n
            return nothing
        _operational(logged, why_not)
        about = known(logged, self._own, bundle)
        batch = _batch(logged, about, bundle)
        reason, allowed, unknown = self._guard(logged, about, batch, placement, why_not)
        batch.reason, batch.allowed = reason, allowed
        self._score(logged, about, batch, why_not)
        _note(why_not, unknown, "")
        no_caps = np.zeros((k, 0), dtype=np.int64)
        slates = fill(
            expected_value(batch.propensity, bundle.value),
            allowed,
            self._live.epsilon[batch.placement],
            np.full(logged.n, logged.slots, dtype=np.intp),
            logged.draws,
            np.zeros((logged.n, 0), dtype=np.int64),
            no_caps,
            no_caps,
        )
        if logged.slots > 1:
            _note(why_not, _shared_caps(bundle, allowed), "a slate of several slots under a cap that its offers share")
        worth = np.nansum(slates.probability * expected_value(batch.propensity, bundle.value), axis=(0, 2))
        result = Redecided(why_not, reason, batch.propensity, slates.probability, [], [], worth)
        self._answer(logged, about, placement, reason, slates.choice, result)
        return result

    def _guard(self, logged: Logged, about: Known, batch: Batch, placement: int, why_not: list[str]) -> tuple[Codes, Bools, Bools]:
        """Return [N, K] reasons, who is allowed, and [N] whether that cannot be told of some candidate."""
        computed, doubt = self._computed(about, batch)
        candidates = self.bundle.candidates[placement]
        reason = np.zeros(computed.shape, dtype=np.uint8)
        lost: dict[str, Bools] = {}
        narrowed = (logged.candidate_reason == Reason.NOT_REQUESTED).any(axis=1)
        for k in np.flatnonzero(candidates).tolist():
            name = self.bundle.offers[k].offer_id
            was, deny, passed = self._carry(logged, name)
            objection = computed[:, k]
            sure = objection > 0
            for what, where in doubt.items():
                # An objection of the same kind may be one of those in doubt.
                sure = sure & ~(where[:, k] & _of_kind(what, objection))
            code = np.where(deny & (~sure | (_PLACE[was] < _PLACE[objection])), was, objection)
            if name in logged.candidates:
                out = was == Reason.NOT_REQUESTED
                code = np.where(out, np.uint8(Reason.NOT_REQUESTED), code)
            else:
                out = np.zeros(logged.n, dtype=np.bool_)
                lost[_NEW_CANDIDATE] = lost.get(_NEW_CANDIDATE, out) | narrowed
            denied = out | deny | sure
            open_ = ~denied
            for what, where in doubt.items():
                lost[what] = lost.get(what, np.zeros(logged.n, dtype=np.bool_)) | (open_ & where[:, k])
            what = f"contact history and lists, as far as {name} needs them"
            lost[what] = open_ & ~passed & (objection == 0)
            reason[:, k] = np.where(code == 0, np.uint8(Reason.ALLOWED), code)
        unknown = np.zeros(logged.n, dtype=np.bool_)
        for what, rows in lost.items():
            _note(why_not, rows, f"not in the record: {what.split('|')[-1]}")
            unknown |= rows
        return reason, reason == Reason.ALLOWED, unknown

    def _computed(self, about: Known, batch: Batch) -> tuple[Codes, dict[str, Bools]]:
        """Return [N, K] the first objection that the record's facts give rise to, and for each kind of doubt where it lies."""
        bundle = self.bundle
        code = np.zeros((batch.n, len(bundle.offers)), dtype=np.uint8)
        for guardrail in self._guardrails:
            verdict = guardrail.evaluate(batch)
            if verdict is not None:
                np.copyto(code, verdict.reason, where=(code == 0) & ~verdict.mask)
        doubt: dict[str, Bools] = {}
        for p in np.flatnonzero(about.consent_unknown.any(axis=0)):
            needed = bundle.needs_purpose[:, p]
            if batch.contact_needs is not None:
                needed = needed | batch.contact_needs[:, p, None]
            where = about.consent_unknown[:, p, None] & needed
            if where.any():
                doubt[f"CONSENT|what was said about the purpose {bundle.purposes[p]}"] = where
        unnamed = np.array([name is None for name in about.channel], dtype=np.bool_)
        if unnamed.any():
            unsaid = [c for c, name in enumerate(bundle.channels) if name not in about.channel_not]
            if set(bundle.consent.channels) - about.channel_not:
                doubt["CONSENT|the channel's name"] = np.repeat(unnamed[:, None], code.shape[1], axis=1)
            doubt["CHANNEL|the channel's name"] = unnamed[:, None] & bundle.on_channel[:, unsaid].any(axis=1) & bundle.needs_channel
        for section in CONDITIONS:
            for rule in getattr(bundle, section) if _GUARDRAIL[section] not in bundle.shadow.guardrails else ():
                for name in inputs_of(rule.condition.text):
                    column = bundle.schema.index[name]
                    rows = about.input_unknown[:, column]
                    if rows.any():
                        key = f"{section}|{name} as the bundle would have read it"
                        where = doubt.setdefault(key, np.zeros(code.shape, dtype=np.bool_))
                        where[np.ix_(rows, rule.offers)] = True
        return code, doubt

    def _carry(self, logged: Logged, name: str) -> tuple[Codes, Bools, Bools]:
        """Return what was logged of an offer, where its carried rules deny it again, and where they let it pass again; [N] each."""
        rows = np.zeros(logged.n, dtype=np.bool_)
        new = name not in logged.candidates
        was = np.zeros(logged.n, dtype=np.uint8) if new else logged.candidate_reason[:, logged.candidates.index(name)]
        strict = not new and self._carried.strict(name, self._carried_own)
        deny = rows if new else _CARRIED[was] & (_OPERATIONAL[was] | strict)
        passed = ~rows
        for rule, limit in self._carried.rules.get(name, {}).items():
            # A cap that another offer has passed has room for this one too.
            others = logged.candidates if is_counter(rule) else (name,)
            passed &= np.logical_or.reduce(
                [rows, *(self._let(logged, other) for other in others if self._carried_own.within(other, rule, limit))]
            )
        return was, deny, passed & ~deny

    def _let(self, logged: Logged, name: str) -> Bools:
        """Return [N] where an offer passed every guardrail."""
        if name not in logged.candidates:
            return np.zeros(logged.n, dtype=np.bool_)
        return np.isin(logged.candidate_reason[:, logged.candidates.index(name)], _LET)

    def _score(self, logged: Logged, about: Known, batch: Batch, why_not: list[str]) -> None:
        score(Walk(batch, self._live, _SILENT))
        for plan in self._live.plans:
            concerned = batch.allowed[:, plan.offers].any(axis=1)
            if plan.personal:
                concerned &= about.found & ~about.masked
            rows: Bools = concerned & np.any(about.input_unknown[:, plan.columns], axis=1)
            _note(why_not, rows, f"not in the record: what model {plan.spec.name} would have been fed")
        _note(why_not, batch.model_failed, "a model fails now")
        if self.bundle is self._own:
            _note(why_not, batch.scored & ~logged.scored, "a model did not answer then")

    def _answer(self, logged: Logged, about: Known, placement: int, reason: Codes, choice: Any, result: Redecided) -> None:
        bundle, names = self.bundle, [offer.offer_id for offer in self.bundle.offers]
        held, default_of, group_lost = self._groups(logged)
        _note(result.why_not, group_lost, "not in the record: which group a layer that is new or has moved would have put the person in")
        default = bundle.placements[placement].default_offer
        may, default_lost = self._default(logged, about, reason, default)
        empty = choice[:, 0] < 0
        needed = empty | default_of
        _note(result.why_not, needed & default_lost, "not in the record: whether the default offer would have passed")
        for chosen, allowed, out, shows_default in zip(choice.tolist(), may.tolist(), held.tolist(), default_of.tolist(), strict=True):
            some = tuple(names[k] for k in chosen if k >= 0)
            fallback = (names[default],) if allowed else ()
            answer = some or fallback
            result.offered.append(answer if not out else fallback if shows_default else ())
            result.would_offer.append(answer if out else ())

    def _groups(self, logged: Logged) -> tuple[Bools, Bools, Bools]:
        """Return [N] who is held out, whom the default answers then, and of whom it cannot be told."""
        held, shows_default = np.zeros(logged.n, dtype=np.bool_), np.zeros(logged.n, dtype=np.bool_)
        lost = np.zeros(logged.n, dtype=np.bool_)
        before = {layer.name: layer for layer in self._own.layers}
        if _enrolled_by(self.bundle) != _enrolled_by(self._own):
            lost |= any(layer.boundary for layer in (*self.bundle.layers, *self._own.layers))
        for layer in self.bundle.layers:
            was = before.get(layer.name)
            if was is None or was.salt != layer.salt or layer.name not in logged.held_out:
                lost |= layer.boundary > 0
                continue
            out = logged.held_out[layer.name]
            # Buckets grow from 0: a larger share keeps everyone who was in, a smaller one nobody who was not.
            lost |= ~out & (layer.boundary > was.boundary) | out & (layer.boundary < was.boundary)
            shows_default |= out & ~held & (layer.answer == "default_offer")
            held |= out
        return held, shows_default, lost

    def _default(self, logged: Logged, about: Known, reason: Codes, default: int) -> tuple[Bools, Bools]:
        """Return [N] whether the default offer passes, and where that cannot be told."""
        none = np.zeros(logged.n, dtype=np.bool_)
        if default < 0:
            return none, none
        name = self.bundle.offers[default].offer_id
        computed, doubt = self._computed(about, _batch(logged, about, self.bundle))
        passes = computed[:, default] == 0
        lost = none.copy()
        for where in doubt.values():
            lost |= where[:, default]
        shown = [offers[:1] for offers in (o or w for o, w in zip(logged.offered, logged.would_offer, strict=True))]
        # Where nothing at all was shown, the default was tried and did not pass.
        failed = np.array([not offers for offers in shown], dtype=np.bool_)
        if self.bundle is self._own:
            passes &= ~failed
        else:
            lost |= passes & failed
        if not self._carried.none(name) or default in self.bundle.reviews:
            was = logged.default_shown & np.array([offers == [name] for offers in shown], dtype=np.bool_)
            lost |= passes & ~(was & self._carried.lax(name, self._carried_own))
        return passes, lost


def _operational(logged: Logged, why_not: list[str]) -> None:
    """Note what a failure or a person at the switch decided, and no bundle."""
    for code in np.unique(logged.fallback[logged.fallback > 0]).tolist():
        _note(why_not, logged.fallback == code, f"something was away then ({Reason(code).name})")
    for reason in (Reason.PERSONALIZATION_STOPPED, Reason.MODEL_STOPPED):
        _note(why_not, logged.reason == reason, f"stopped by hand then ({reason.name})")


def _enrolled_by(bundle: Bundle) -> str:
    """Return the purpose without which nobody is enrolled in a layer, empty: none is needed."""
    purpose = bundle.consent.experiment_purpose
    return bundle.purposes[purpose] if purpose >= 0 else ""


def _note(why_not: list[str], rows: Bools, text: str) -> None:
    if text:
        for row in np.flatnonzero(rows).tolist():
            why_not[row] = why_not[row] or text


def _of_kind(about_what: str, objection: Codes) -> Bools:
    """Say where an objection is of the kind that is in doubt."""
    kind = about_what.split("|")[0]
    codes: Sequence[int] = [int(code) for code in CONDITIONS.get(kind, ())]
    if kind == "CONSENT":
        codes = [int(reason) for reason in Reason if reason.name.startswith("CONSENT_")]
    elif kind == "CHANNEL":
        codes = [int(Reason.CHANNEL_NOT_ALLOWED)]
    found: Bools = np.isin(objection, codes)
    return found


def _batch(logged: Logged, about: Known, bundle: Bundle) -> Batch:
    by_channel: dict[str, DecideRequest] = {}
    requests = []
    for name in about.channel:
        channel = _ELSEWHERE if name is None else name
        if channel not in by_channel:
            by_channel[channel] = DecideRequest("", "", logged.placement_id, logged.slots, Context(channel))
        requests.append(by_channel[channel])
    batch = Batch(requests, logged.now_ms)
    batch.placement = np.full(logged.n, bundle.placement_index[logged.placement_id], dtype=np.intp)
    batch.inputs = about.inputs
    batch.consent = np.where(about.consent_unknown, np.uint8(Reason.ALLOWED), about.consent)
    rules = bundle.consent
    if rules.channels:
        batch.contact_needs = rules.channel_needs[[rules.needs_of(request.context.channel) for request in requests]]
    batch.masked = about.masked
    batch.profile_state = np.where(about.found, np.uint8(ProfileState.FOUND), np.uint8(ProfileState.MISSING))
    return batch


def _shared_caps(bundle: Bundle, allowed: Bools) -> Bools:
    """Say of whom more than one allowed offer is counted by one cap."""
    shared = np.zeros(len(allowed), dtype=np.bool_)
    for cap in bundle.caps:
        shared |= allowed[:, cap.offers].sum(axis=1) > 1
    return shared


@cache
def inputs_of(text: str) -> tuple[str, ...]:
    """Return the inputs that a condition reads."""
    return tuple(sorted({node.text for node in walk(parse(text)) if isinstance(node, Name) and node.root in ("profile", "context")}))


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
