"""A log under two bundles: what the first one decided, whether it decides so again, and what the second would have decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Bools, Codes
from liftgate.domain.reason import Reason
from liftgate.pipeline.ports import Models
from liftgate.replay.logged import Logged
from liftgate.replay.people import People
from liftgate.replay.redecide import Redecided, Redecider

ROUNDING = 1e-6
"""Largest deviation of a probability or propensity that counts as reproduced: models may differ in the last bits between machines."""
NOT_THERE = "not a candidate"


@dataclass(frozen=True, slots=True)
class Example:
    """One decision that would have come out otherwise."""

    decision_id: str
    before: tuple[str, ...]
    """What was answered."""
    after: tuple[str, ...]


@dataclass(slots=True)
class Share:
    """How often an offer was answered, over the compared decisions."""

    before: int = 0
    after: int = 0


@dataclass(slots=True)
class Comparison:
    """What a log says about two bundles."""

    read: int = 0
    """Decisions in the log."""
    other_bundle: Counter[str] = field(default_factory=Counter)
    """Decisions made under neither: digest to count."""
    not_again: Counter[str] = field(default_factory=Counter)
    """Decisions that the old bundle cannot decide again from the record: why, to count."""
    reproduced: int = 0
    not_reproduced: int = 0
    mismatches: list[str] = field(default_factory=list)
    """The first few, in words."""
    unknowable: Counter[str] = field(default_factory=Counter)
    """Decisions of which it cannot be told what the new bundle would do: why, to count."""
    compared: int = 0
    changed: int = 0
    """Compared decisions that would have answered something else."""
    changed_would_offer: int = 0
    """Of held-out people: would have been offered something else; the answer stays what it is."""
    people: People = field(default_factory=People)
    changed_people: People = field(default_factory=People)
    offers: dict[str, Share] = field(default_factory=dict)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(offer, reason before, reason after) where the two differ, to decisions."""
    value_before: float = 0.0
    """Sum over the compared decisions that are not held out of what their choice is expected to be worth, in the bundle's currency."""
    value_after: float = 0.0
    treated: int = 0
    """Compared decisions that are not held out."""
    examples: list[Example] = field(default_factory=list)

    @property
    def decided_again(self) -> int:
        """Decisions that the old bundle has decided again."""
        return self.reproduced + self.not_reproduced

    @property
    def reproduction(self) -> float:
        """Share of them that came out as the log says, 0..1; 0 where there is none."""
        return self.reproduced / self.decided_again if self.decided_again else 0.0


def compare(
    log: Iterable[Logged],
    old: tuple[Bundle, Models],
    new: tuple[Bundle, Models],
    examples: int = 5,
    advance: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Decide a log again under both bundles. Memory does not grow with the log. `advance` is told how many decisions are done."""
    found = Comparison()
    before, after = Redecider(*old, old[0]), Redecider(*new, old[0])
    for logged in log:
        found.read += logged.n
        if logged.bundle_digest != old[0].digest:
            found.other_bundle[logged.bundle_digest] += logged.n
        else:
            _add(found, logged, before, after, examples)
        advance(logged.n)
    return found


def _add(found: Comparison, logged: Logged, old: Redecider, new: Redecider, examples: int) -> None:
    again = old(logged)
    able = np.array([not why for why in again.why_not], dtype=np.bool_)
    found.not_again.update(why for why in again.why_not if why)
    same = _reproduced(found, logged, old.bundle, again, able)
    found.reproduced += int(same.sum())
    found.not_reproduced += int((able & ~same).sum())
    other = new(logged)
    found.unknowable.update(why for why, fine in zip(other.why_not, same.tolist(), strict=True) if why and fine)
    compared = same & np.array([not why for why in other.why_not], dtype=np.bool_)
    rows = np.flatnonzero(compared).tolist()
    found.compared += len(rows)
    found.people.add(logged.person[compared])
    changed = np.zeros(logged.n, dtype=np.bool_)
    for row in rows:
        was, now = again.offered[row], other.offered[row]
        for offer in was:
            found.offers.setdefault(offer, Share()).before += 1
        for offer in now:
            found.offers.setdefault(offer, Share()).after += 1
        if was != now:
            changed[row] = True
            if len(found.examples) < examples:
                found.examples.append(Example(logged.decision_id[row], was, now))
        found.changed_would_offer += again.would_offer[row] != other.would_offer[row]
    found.changed += int(changed.sum())
    found.changed_people.add(logged.person[changed])
    _reasons(found, logged, old, new, (again, other), compared)
    held = np.zeros(logged.n, dtype=np.bool_)
    for out in logged.held_out.values():
        held |= out
    treated = compared & ~held
    found.treated += int(treated.sum())
    found.value_before += float(again.expected[treated].sum())
    found.value_after += float(other.expected[treated].sum())


def _reproduced(found: Comparison, logged: Logged, bundle: Bundle, again: Redecided, able: Bools) -> Bools:
    """Say which decisions came out as the log has them: answers, every candidate's reason, propensities and probabilities."""
    columns = [bundle.offer_index[name] for name in logged.candidates]
    reason = again.reason[:, columns]
    chosen = logged.candidate_reason == Reason.CHOSEN
    checks = {
        "a candidate's reason": (reason == np.where(chosen, np.uint8(Reason.ALLOWED), logged.candidate_reason)).all(axis=1),
        "a propensity": _close(again.propensity[:, columns], logged.propensity).all(axis=1),
        "a probability": _close(again.probability[:, :, columns], logged.probability).all(axis=(0, 2)),
        "the answer": np.array([tuple(was) == now for was, now in zip(logged.offered, again.offered or [()] * logged.n, strict=True)]),
        "what would have been offered": np.array(
            [tuple(was) == now for was, now in zip(logged.would_offer, again.would_offer or [()] * logged.n, strict=True)]
        ),
    }
    same = able.copy()
    for what, fine in checks.items():
        for row in np.flatnonzero(able & ~fine)[: 3 - len(found.mismatches)].tolist():
            found.mismatches.append(f"{logged.decision_id[row]}: {what} comes out otherwise")
        same &= fine
    return same


def _close(one: np.ndarray, other: np.ndarray) -> Bools:
    close: Bools = np.isclose(one, other, rtol=0, atol=ROUNDING, equal_nan=True)
    return close


def _reasons(
    found: Comparison, logged: Logged, old: Redecider, new: Redecider, results: tuple[Redecided, Redecided], compared: Bools
) -> None:
    if logged.placement_id not in new.bundle.placement_index:
        return
    names: dict[str, None] = {}
    for redecider in (old, new):
        bundle = redecider.bundle
        members = np.flatnonzero(bundle.candidates[bundle.placement_index[logged.placement_id]]).tolist()
        names |= dict.fromkeys(bundle.offers[k].offer_id for k in members)
    for name in names:
        was, now = (_column(redecider.bundle, result, name)[compared] for redecider, result in zip((old, new), results, strict=True))
        for pair, count in Counter(zip(was[was != now].tolist(), now[was != now].tolist(), strict=True)).items():
            found.reasons[name, _said(pair[0]), _said(pair[1])] += count


def _column(bundle: Bundle, result: Redecided, name: str) -> Codes:
    k = bundle.offer_index.get(name)
    return np.zeros(len(result.why_not), dtype=np.uint8) if k is None else result.reason[:, k]


def _said(code: int) -> str:
    return Reason(code).name if code else NOT_THERE
