"""A log under its own bundles: every decision again, and the name of what changed where it does not come out as it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.domain.reason import Branch, Reason
from liftgate.pipeline.ports import Models
from liftgate.record.replay_part import input_check
from liftgate.replay.judge import inputs_of
from liftgate.replay.logged import Logged
from liftgate.replay.redecide import Redecided, Redecider
from liftgate.replay.same import SCORE_ROUNDING

PROBABILITY_ROUNDING = 1e-12
"""Largest deviation of a probability that counts as exact: the order of a sum may differ between a batch of one and of thousands."""
EXAMPLES = 5


@dataclass(slots=True)
class Changed:
    """An input that is not what it was, or a result that is not, with nothing found that explains it."""

    kind: str
    """`model`, `rule`, `feature`, `pin`, `log` or `result`."""
    name: str
    """Which one: `model purchase_7d version 3`, `profile.age`, `offers.welcome.eligible_if`, `probability of welcome`."""
    said: str
    """In words: what it is now, and what it was."""
    decisions: int = 0
    """Decisions concerned; 0: not counted by decision."""
    example: str = ""
    """The first of their ids."""


@dataclass(slots=True)
class UnderBundle:
    """What came of the decisions of one bundle."""

    digest: str
    name: str = ""
    """Empty: the bundle could not be had."""
    decisions: int = 0
    reproduced: int = 0
    differing: int = 0
    not_again: Counter[str] = field(default_factory=Counter)
    """Decisions that could not be decided again: why, to count."""


@dataclass(slots=True)
class Replayed:
    """What came of a log."""

    bundles: dict[str, UnderBundle] = field(default_factory=dict)
    changed: dict[tuple[str, str], Changed] = field(default_factory=dict)
    """By kind and name."""
    score_deviation: float = 0.0
    """Largest difference between a propensity as logged and as given now, among those within `SCORE_ROUNDING`."""
    probability_deviation: float = 0.0
    """Of a probability, among those within `PROBABILITY_ROUNDING`."""

    @property
    def decisions(self) -> int:
        """Decisions in the log."""
        return sum(one.decisions for one in self.bundles.values())

    @property
    def reproduced(self) -> int:
        """Decisions that came out as logged, all their inputs being as they were."""
        return sum(one.reproduced for one in self.bundles.values())

    @property
    def differing(self) -> int:
        """Decisions that came out otherwise, or whose inputs are not what they were."""
        return sum(one.differing for one in self.bundles.values())

    @property
    def not_again(self) -> int:
        """Decisions that could not be decided again."""
        return sum(one.not_again.total() for one in self.bundles.values())

    def note(self, kind: str, name: str, said: str, decisions: int = 0, example: str = "") -> None:
        """Name something that changed, and count its decisions."""
        one = self.changed.setdefault((kind, name), Changed(kind, name, said, 0, example))
        one.decisions += decisions


class Again:
    """Decides logged decisions again under the bundles that they were made under."""

    def __init__(self, having: Callable[[str], tuple[Bundle, Models] | str]) -> None:
        """`having` gives the bundle of a digest and its models, or says why it is not to be had."""
        self.found = Replayed()
        self._having = having
        self._redeciders: dict[str, Redecider | str] = {}

    def redecider(self, digest: str) -> Redecider | str:
        """Return what decides under a digest, or why nothing does."""
        if digest not in self._redeciders:
            had = self._having(digest)
            self._redeciders[digest] = had if isinstance(had, str) else Redecider(had[0], had[1], had[0])
        return self._redeciders[digest]

    def add(self, logged: Logged) -> tuple[Redecided | None, Bools]:
        """Decide again. Return what came out, None: nothing, and [N] which are reproduced."""
        found, none = self.found, np.zeros(logged.n, dtype=np.bool_)
        under = found.bundles.setdefault(logged.bundle_digest, UnderBundle(logged.bundle_digest))
        under.decisions += logged.n
        redecider = self.redecider(logged.bundle_digest)
        if isinstance(redecider, str):
            under.not_again[redecider] += logged.n
            return None, none
        bundle = redecider.bundle
        under.name = bundle.name
        if why := _strange(logged, bundle):
            found.note("pin", *why, logged.n, logged.decision_id[0])
            under.differing += logged.n
            return None, none
        again = redecider(logged)
        able = np.array([not why for why in again.why_not], dtype=np.bool_)
        under.not_again.update(filter(None, again.why_not))
        altered = self._inputs(logged, bundle)
        same = able & ~altered
        for kind, name, said, fine in self._checks(logged, bundle, again):
            wrong = able & ~fine
            count = int(np.count_nonzero(wrong))
            if count:
                # Where an input is known to have changed, what follows from it is no news.
                news = wrong & ~altered
                if news.any():
                    found.note(kind, name, said, int(np.count_nonzero(news)), logged.decision_id[int(news.argmax())])
                same &= fine
        under.reproduced += int(np.count_nonzero(same))
        under.differing += int(np.count_nonzero((able & ~same) | (~able & altered)))
        for row in np.flatnonzero(~able & altered).tolist():
            under.not_again[again.why_not[row]] -= 1
        under.not_again += Counter()
        return again, same

    def _inputs(self, logged: Logged, bundle: Bundle) -> Bools:
        """Return [N] where an input is not the one that was written; each is named."""
        if logged.check is None:
            return np.zeros(logged.n, dtype=np.bool_)
        wrong = np.not_equal(input_check(logged.value), logged.check)
        for i in np.flatnonzero(wrong.any(axis=0)).tolist():
            rows = np.flatnonzero(wrong[:, i])
            name = logged.inputs[i].name
            said = f"the value of {name} in the record is not the one that was written: its check does not agree"
            self.found.note("feature", name, said, len(rows), logged.decision_id[int(rows[0])])
        altered: Bools = np.any(wrong, axis=1)
        return altered

    def _checks(self, logged: Logged, bundle: Bundle, again: Redecided) -> Iterator[tuple[str, str, str, Bools]]:
        """Yield (kind, name, words, [N] agrees) for everything that a replay gives anew."""
        columns = [bundle.offer_index[name] for name in logged.candidates]
        was = np.where(logged.candidate_reason == Reason.CHOSEN, np.uint8(Reason.ALLOWED), logged.candidate_reason)
        agrees = again.reason[:, columns] == was
        for c in _where(agrees):
            row, offer = int((~agrees[:, c]).argmax()), logged.candidates[c]
            then, now = _said(was[row, c]), _said(again.reason[row, columns[c]])
            yield "result", f"reason of {offer}", f"{offer} was {then}, now {now}{_read_by(bundle, offer)}", agrees[:, c]
        off = _off(again.propensity[:, columns], logged.propensity)
        fits = off <= SCORE_ROUNDING
        self.found.score_deviation = max(self.found.score_deviation, float(off[fits].max(initial=0.0)))
        for c in _where(fits):
            row, offer = int((~fits[:, c]).argmax()), logged.candidates[c]
            model = int(bundle.offer_model[columns[c]])
            of = f", by model {bundle.models[model].name}" if model >= 0 else ""
            numbers = f"{logged.propensity[row, c]:.9g} then, {again.propensity[row, columns[c]]:.9g} now"
            yield "result", f"score of {offer}{of}", f"the score of {offer}: {numbers}", fits[:, c]
        off = _off(again.probability[:, :, columns], logged.probability)
        fits = off <= PROBABILITY_ROUNDING
        self.found.probability_deviation = max(self.found.probability_deviation, float(off[fits].max(initial=0.0)))
        for s, c in np.argwhere(~fits.all(axis=1)).tolist():
            row, offer = int(fits[s, :, c].argmin()), logged.candidates[c]
            numbers = f"{logged.probability[s, row, c]:.12g} then, {again.probability[s, row, columns[c]]:.12g} now"
            yield "result", f"probability of {offer} in slot {s + 1}", f"{offer} in slot {s + 1}: {numbers}", fits[s, :, c]
        drawn = np.isin(logged.branch, (Branch.EXPLORE, Branch.EXPLOIT))
        branch: Bools = np.logical_or(~drawn, np.equal(logged.branch == Branch.EXPLORE, again.explored))
        if not branch.all():
            yield "result", "branch", "what was exploration is exploitation now, or the other way round", branch
        answers = ("answer", logged.offered, again.offered), ("would_offer", logged.would_offer, again.would_offer)
        for what, before, after in answers:
            equal = _equal(before, after)
            if not equal.all():
                row = int(equal.argmin())
                yield "result", what, f"{what}: {_names(before[row])} then, {_names(after[row])} now", equal


def replay(log: Iterable[Logged], again: Again, advance: Callable[[int], None] = lambda _: None) -> Replayed:
    """Decide a whole log again. Memory does not grow with it. `advance` is told how many decisions are done."""
    for logged in log:
        again.add(logged)
        advance(logged.n)
    return again.found


def _strange(logged: Logged, bundle: Bundle) -> tuple[str, str] | None:
    """Return (name, words) of what the record says of its bundle that cannot be; None: nothing."""
    for spec in bundle.models:
        if (spec.name, spec.version, spec.sha256) not in logged.pins:
            pins = [f"version {version} with sha256 {sha256}" for name, version, sha256 in logged.pins if name == spec.name]
            wanted = f"version {spec.version} with sha256 {spec.sha256}"
            return f"model {spec.name}", f"the record pins {_names(pins)}, the bundle of its digest {wanted}"
    for what, then, now in (
        ("candidates", set(logged.candidates), set(bundle.offer_index)),
        ("purposes", set(logged.purposes), set(bundle.purposes)),
        ("inputs", {one.name for one in logged.inputs}, {one.name for one in bundle.schema.inputs}),
    ):
        if not then <= now:
            return what, f"the record names {_names(sorted(then - now))}, which the bundle of its digest has not"
    if logged.placement_id not in bundle.placement_index:
        return "placement_id", f"the record names placement {logged.placement_id}, which the bundle of its digest has not"
    return None


def _where(agrees: Bools) -> list[int]:
    return [int(c) for c in np.flatnonzero(~agrees.all(axis=0))]


def _off(one: Floats, other: Floats) -> Floats:
    """Return how far two numbers are apart; 0 where both are missing, infinity where one is."""
    off: NDArray[np.float64] = np.abs(one - other)
    lone = np.isnan(off)
    off[lone] = np.where(np.isnan(one[lone]) & np.isnan(other[lone]), 0.0, np.inf)
    return off


def _equal(then: Sequence[Sequence[str]], now: Sequence[tuple[str, ...]]) -> Bools:
    return np.array([tuple(one) == other for one, other in zip(then, now, strict=True)], dtype=np.bool_)


def _said(code: int) -> str:
    return Reason(code).name if code in Reason.__members__.values() else str(code)


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _read_by(bundle: Bundle, offer: str) -> str:
    """Return which inputs the offer's conditions read."""
    k = bundle.offer_index[offer]
    rules = (*bundle.eligible_if, *bundle.applicable_if, *bundle.suitable_if, *bundle.suppress_if)
    read = sorted({name for rule in rules if k in rule.offers for name in inputs_of(rule.condition.text)})
    return f"; its conditions read {', '.join(read)}" if read else ""
