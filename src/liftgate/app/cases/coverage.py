"""Which rules the cases saw at work: for each rule as written, whether some case saw it let pass, deny, and fail to tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from liftgate.app.cases.rules import Rule, Seen, in_shadow, rules_of
from liftgate.app.cases.run import Ran
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.sections import Draft
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every rule of a bundle, in the order of files and lines."""

    rules: tuple[Rule, ...]

    @property
    def possible(self) -> int:
        """How many things there are to see."""
        return sum(len(rule.possible) for rule in self.rules)

    @property
    def seen(self) -> int:
        """How many of them some case saw."""
        return sum(len(rule.possible) - len(rule.missing) for rule in self.rules)

    @property
    def percent(self) -> float:
        """Share of what can be seen that was, 0..100; 100 where there is no rule."""
        return 100.0 * self.seen / self.possible if self.possible else 100.0


def coverage(draft: Draft, bundle: Bundle, ran: Iterable[Ran]) -> Coverage:
    """Return what the cases saw of every rule of groups and offers."""
    rules = sorted(rules_of(draft, bundle), key=lambda rule: _order(rule.where))
    for rule in rules:
        rule.shadow = in_shadow(draft, bundle, rule.owner, rule.section)
    of_offer: dict[int, list[Rule]] = {}
    for rule in rules:
        for k in rule.offers:
            of_offer.setdefault(k, []).append(rule)
    for one in ran:
        if one.walk is not None:
            _look(one.walk.batch, bundle, one.planned.name, of_offer)
    return Coverage(tuple(rules))


def _look(batch: Batch, bundle: Bundle, case: str, of_offer: dict[int, list[Rule]]) -> None:
    defaults = bundle.placements[int(batch.placement[0])].defaults
    for k, rules in of_offer.items():
        reason = Reason(int(batch.reason[0, k]))
        if reason is Reason.UNSPECIFIED and k not in defaults:
            continue
        # A default offer that is no candidate has no reason of its own: it passed, or its own rules say who denied.
        allowed = reason is Reason.ALLOWED if reason else batch.default_passes(0, defaults.index(k))
        noted = Reason(int(batch.shadow_reason[0, k])) if batch.shadow_reason is not None else Reason.UNSPECIFIED
        for rule in rules:
            if rule.shadow and noted in rule.against:
                if (seen := rule.judge(batch, k)) in rule.possible:
                    rule.seen.setdefault(seen, case)
                continue
            if not allowed and reason and reason not in rule.against:
                continue
            said = rule.judge(batch, k)
            if said in rule.possible and (said is Seen.PASS) is allowed:
                rule.seen.setdefault(said, case)


def _order(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return file, int(line)
