"""Who may be shown what, judged again: by the server's guardrails where the record holds the facts, else by the logged verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.conditions import parse
from liftgate.bundle.conditions_parser import Name, walk
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.guardrails.chain import Chain
from liftgate.guardrails.consent import Consent
from liftgate.guardrails.eligibility import Eligibility
from liftgate.guardrails.suppression import Suppression
from liftgate.replay.carried import OPERATIONAL, PASSED, REVIEWS, carried, is_carried, is_counter, place_in_chain
from liftgate.replay.known import Known
from liftgate.replay.logged import Logged

CONDITIONS = {
    "eligible_if": (Reason.NOT_ELIGIBLE, Reason.ELIGIBILITY_UNKNOWN),
    "applicable_if": (Reason.NOT_APPLICABLE, Reason.APPLICABILITY_UNKNOWN),
    "suitable_if": (Reason.NOT_SUITABLE, Reason.SUITABILITY_UNKNOWN),
    "suppress_if": (Reason.SUPPRESSED, Reason.SUPPRESSION_UNKNOWN),
}
_GUARDRAIL = {section: "suppression" if section == "suppress_if" else "eligibility" for section in CONDITIONS}
_PLACE = place_in_chain()
_CARRIED = np.array([code in Reason.__members__.values() and is_carried(code) for code in range(256)], dtype=np.bool_)
_REVIEWED = np.array([code in REVIEWS for code in range(256)], dtype=np.bool_)
_OPERATIONAL = np.array([code in OPERATIONAL for code in range(256)], dtype=np.bool_)
_LET = tuple(int(reason) for reason in sorted(PASSED))
_NEW_CANDIDATE = "whether a caller's own list holds an offer that is new to the placement"
_ELSEWHERE = "\0"
"""Stands for a channel whose name the record does not hold: no offer can name it."""


class Judge:
    """The guardrails of one bundle over decisions that were made under another, or under the same."""

    def __init__(self, bundle: Bundle, own: Bundle, chain: Chain) -> None:
        """`own` is the bundle that the log's decisions were made under."""
        self._bundle = bundle
        self.bundle, self.same = bundle, bundle is own
        guardrails = chain.guardrails
        self._guardrails = [one for one, in_shadow in guardrails if isinstance(one, (Consent, Eligibility, Suppression)) and not in_shadow]
        self.carried, self.carried_own = carried(bundle), carried(own)
        self._each, self._each_own = _reviewed_each(bundle), _reviewed_each(own)

    def guard(self, logged: Logged, about: Known, batch: Batch, placement: int, why_not: list[str]) -> tuple[Codes, Bools]:
        """Return [N, K] reasons and who is allowed; where that cannot be told of some candidate, `why_not` says so."""
        computed, doubt = self.computed(about, batch)
        candidates = self._bundle.candidates[placement]
        reason = np.zeros(computed.shape, dtype=np.uint8)
        lost: dict[str, Bools] = {}
        narrowed = (logged.candidate_reason == Reason.NOT_REQUESTED).any(axis=1)
        for k in np.flatnonzero(candidates).tolist():
            name = self._bundle.offers[k].offer_id
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
        for what, rows in lost.items():
            note(why_not, rows, f"not in the record: {what.split('|')[-1]}")
        return reason, reason == Reason.ALLOWED

    def computed(self, about: Known, batch: Batch) -> tuple[Codes, dict[str, Bools]]:
        """Return [N, K] the first objection that the record's facts give rise to, and for each kind of doubt where it lies."""
        bundle = self._bundle
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
        strict = not new and self.carried.strict(name, self.carried_own)
        k = self._bundle.offer_index[name]
        sensitive, each = k in self._bundle.reviews, name in self._each
        # What was stopped stays stopped; what waited for an approval waits while one is asked for.
        stands = np.where(_REVIEWED[was], sensitive | each, _OPERATIONAL[was] | strict)
        deny = rows if new else _CARRIED[was] & stands
        passed = ~rows
        for rule, limit in self.carried.rules.get(name, {}).items():
            # A cap that another offer has passed has room for this one too.
            others = logged.candidates if is_counter(rule) else (name,)
            passed &= np.logical_or.reduce(
                [rows, *(self._let(logged, other) for other in others if self.carried_own.within(other, rule, limit))]
            )
        if sensitive:
            # Nobody asked whether an approval stood where an earlier guardrail had denied.
            passed &= np.isin(was, _LET) | ((_PLACE[was] > _PLACE[Reason.NOT_APPROVED]) & (not new))
        if each:
            # A reviewer is asked last.
            passed &= np.isin(was, _LET) & (name in self._each_own)
        return was, deny, passed & ~deny

    def _let(self, logged: Logged, name: str) -> Bools:
        """Return [N] where an offer passed every guardrail."""
        if name not in logged.candidates:
            return np.zeros(logged.n, dtype=np.bool_)
        return np.isin(logged.candidate_reason[:, logged.candidates.index(name)], _LET)


def _reviewed_each(bundle: Bundle) -> frozenset[str]:
    """Return the offers of which every decision is reviewed."""
    return frozenset(bundle.offers[k].offer_id for k in bundle.each_decision)


def note(why_not: list[str], rows: Bools, text: str) -> None:
    """Say of rows [N] why they cannot be decided again; what was said first stands."""
    for row in np.flatnonzero(rows).tolist():
        why_not[row] = why_not[row] or text


def batch_of(logged: Logged, about: Known, bundle: Bundle) -> Batch:
    """Return the decisions as the batch that the server's guardrails and models read."""
    by_channel: dict[str, DecideRequest] = {}
    requests = []
    for name in about.channel:
        channel = _ELSEWHERE if name is None else name
        if channel not in by_channel:
            by_channel[channel] = DecideRequest("", "", logged.placement_id, logged.slots, Context(channel))
        requests.append(by_channel[channel])
    batch = Batch(requests, logged.now_ms)
    batch.placement = np.full(logged.n, bundle.placement_index[logged.placement_id], dtype=np.intp)
    batch.inputs, batch.input_state = about.inputs, about.input_state
    batch.consent = np.where(about.consent_unknown, np.uint8(Reason.ALLOWED), about.consent)
    rules = bundle.consent
    if rules.channels:
        batch.contact_needs = rules.channel_needs[[rules.needs_of(request.context.channel) for request in requests]]
    batch.masked = about.masked
    batch.profile_state = np.where(about.found, np.uint8(ProfileState.FOUND), np.uint8(ProfileState.MISSING))
    return batch


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


@cache
def inputs_of(text: str) -> tuple[str, ...]:
    """Return the inputs that a condition reads."""
    return tuple(sorted({node.text for node in walk(parse(text)) if isinstance(node, Name) and node.root in ("profile", "context")}))
