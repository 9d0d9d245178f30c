"""What units did in their window: sums of events a unit, by one rule for every arm.

A person or an account is whose events they are. No event names a session or a visitor: it belongs to the last decision of the layer that
its person had before it, within the window, and so to that decision's session or visitor, whatever was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis

OF_EVENTS = ("person_pseudonym", "account_pseudonym")
"""Units that events name."""


def touched(events: Any, decisions: Any, unit: str, window_ms: int) -> Any:
    """Return the events with the unit of their person's last decision before them; those without one within the window are left out."""
    touch = decisions.select("person_pseudonym", "decided_at_ms", "decision_id", mine=decisions[unit])
    both = events.inner_join(touch, "person_pseudonym")
    late = both.occurred_at_ms - both.decided_at_ms
    both = both.filter((late >= 0) & (late < window_ms))
    order = [both.decided_at_ms.desc(), both.decision_id.desc()]
    last = both.mutate(place=ibis.row_number().over(ibis.window(group_by=("person_pseudonym", "event_id"), order_by=order))).filter(
        lambda t: t.place == 0
    )
    return last.drop("place", "decided_at_ms", "decision_id").rename({unit: "mine"})


def sums(events: Any, people: Any, unit: str, kinds: Sequence[str], *, window_ms: int) -> Any:
    """Return a row a unit that did something: <kind>_count and <kind>_value of each kind, in [assigned, assigned + window)."""
    return _sums(events, people, unit, unit, kinds, 0, window_ms, "")


def sums_before(events: Any, people: Any, unit: str, whose: str, kinds: Sequence[str], *, before_ms: int) -> Any:
    """Return the same in [assigned - before, assigned), names ending in `_before`. `whose`: the column that leads events to units."""
    return _sums(events, people, unit, whose, kinds, -before_ms, 0, "_before")


def _sums(events: Any, people: Any, unit: str, whose: str, kinds: Sequence[str], first_ms: int, last_ms: int, end: str) -> Any:
    told = events.select(*dict.fromkeys((whose, "kind", "occurred_at_ms", "value")))
    mine = told.inner_join(people.select(*dict.fromkeys((unit, whose)), "assigned_at_ms"), whose)
    since = mine.occurred_at_ms - mine.assigned_at_ms
    mine = mine.filter((since >= first_ms) & (since < last_ms))
    found: dict[str, Any] = {}
    for kind in kinds:
        of_kind = mine.kind == kind
        found[f"{kind.lower()}_count{end}"] = of_kind.cast("int64").sum()
        found[f"{kind.lower()}_value{end}"] = ibis.ifelse(of_kind, mine.value.fill_null(0.0), 0.0).sum()
    return mine.group_by(unit).aggregate(**found)
