"""Which decision an outcome belongs to: the one that it names, else one of the person's within the window before it.

    named       the event carries a decision_id that is in the log: that decision, if its window was still open
    unnamed     among the person's decisions with decided_at <= occurred_at < decided_at + window: by `credit`
                last   the latest of them (last touch, the default)
                first  the earliest of them
                each   every one of them, in full (sums then count an outcome more than once)

An interval join and a row number, since engines do not agree on ASOF joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import ibis

from liftgate.measure.log import Log, valid
from liftgate.measure.refusal import Misused

DECISION_COLUMNS = ("decision_id", "decided_at_ms", "person_pseudonym")
EVENT_COLUMNS = ("event_id", "kind", "person_pseudonym", "decision_id", "occurred_at_ms", "value", "reason")
_EVENT = ("person_pseudonym", "event_id")
Credit = Literal["last", "first", "each"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How outcomes are credited."""

    kind: str
    """The event's kind, such as purchase."""
    window_ms: int
    """An outcome at exactly this time after a decision is none of its."""
    credit: Credit = "last"
    worth: bool = False
    """Sum the events' values; else count 1 where there was any."""
    in_time: bool = False
    """Events that came late (by the bundle's `events.late_after`) count for nothing; the log is opened with their column `late`."""

    def __post_init__(self) -> None:
        if self.credit not in ("last", "first", "each"):
            raise Misused(f"--credit {self.credit!r}: an outcome belongs to the last, the first, or each of the decisions before it")
        if self.window_ms <= 0:
            raise Misused("--window is a length above 0, such as 7d")


def rewards(log: Log, decisions: Any, rule: Rule) -> Any:
    """Return decision_id and reward (float64) of `decisions`, rows of the log once each; 0 where nothing came of one.

    Every decision of the log may be the one that an outcome belongs to, whether it is among `decisions` or not.
    """
    events = valid(log.events_once())
    events = events.filter(events.kind == rule.kind.upper())
    if rule.in_time:
        events = events.filter(~events.late.fill_null(False))
    made = log.once(log.decisions, "decision_id").select("decision_id", "decided_at_ms", "person_pseudonym")
    named = _within(
        events.inner_join(made, [events.decision_id == made.decision_id, events.person_pseudonym == made.person_pseudonym]), rule
    ).select(*_EVENT, "decision_id", "value")
    unnamed = events.anti_join(named, _EVENT)
    mine = _within(unnamed.drop("decision_id").inner_join(made, "person_pseudonym"), rule)
    if rule.credit != "each":
        order = [mine.decided_at_ms, mine.decision_id]
        place = ibis.row_number().over(
            ibis.window(group_by=_EVENT, order_by=[one.desc() for one in order] if rule.credit == "last" else order)
        )
        mine = mine.mutate(place=place).filter(lambda t: t.place == 0)
    credited = named.union(mine.select(*_EVENT, "decision_id", "value"))
    worth = credited.value.fill_null(0.0) if rule.worth else ibis.literal(1.0)
    grouped = credited.mutate(worth=worth).group_by("decision_id")
    summed = grouped.aggregate(reward=(lambda t: t.worth.sum()) if rule.worth else (lambda t: t.worth.max()))
    joined = decisions.select("decision_id").left_join(summed, "decision_id")
    return joined.select("decision_id", reward=joined.reward.fill_null(0.0))


def closed(decisions: Any, rule: Rule, read_at_ms: int) -> Any:
    """Return the decisions whose window has closed: of the others nobody knows yet what came."""
    return decisions.filter(decisions.decided_at_ms + rule.window_ms <= read_at_ms)


def _within(rows: Any, rule: Rule) -> Any:
    late = rows.occurred_at_ms - rows.decided_at_ms
    return rows.filter((late >= 0) & (late < rule.window_ms))
