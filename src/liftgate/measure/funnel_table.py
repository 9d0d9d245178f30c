"""A table, or a log of events, to the counts of a funnel: one unit once, in one arm, with its window closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from liftgate.measure.funnel import Counts
from liftgate.measure.moments import Moments, moments
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.statistic import Statistic
from liftgate.measure.table import Table
from liftgate.measure.unit import ROW, one_row_a_unit, require_complete, require_constant

EVERYONE = "everyone"
"""The arm of a funnel without arms."""
_TWO = "a unit has the arm and the segment that it had when it was assigned: give those on every row, or find out why it moved"


@dataclass(frozen=True, slots=True)
class Window:
    """How long a unit has for its steps, and when the table was read: a unit whose time is not up yet is not counted."""

    assigned_at: str
    """Column."""
    length: str
    read_at: str
    refuse_open: bool = False
    """Refuse where a window is open, instead of leaving the unit out."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """What was read."""

    steps: tuple[str, ...]
    counts: tuple[Counts, ...]
    """By arm, or by arm and segment, in order."""
    units: int
    open_windows: int
    """Units left out because their window is still open."""
    empty_cells: int
    """Empty cells of step columns, each counted as not done."""


def read_funnel(
    table: Table, unit: str, steps: Sequence[str], arm: str | None = None, segment: str | None = None, window: Window | None = None
) -> Funnel:
    """Return the funnel of a table with a column a step: above 0 or true is done, empty is not done.

    Several rows of a unit are one unit that did what any of them says. Raises Misused, Refused.
    """
    _check_steps(steps)
    keys = [name for name in (arm, segment) if name]
    table.has(*steps)
    require_complete(table, [unit, *keys])
    table.check(steps)
    when = moments(table, window.assigned_at) if window else None
    empty = sum((table.number(step).isnull().cast("int64") for step in steps[1:]), table.number(steps[0]).isnull().cast("int64"))
    columns = {**_keys(table, unit, arm, segment), **_done(table, steps), "empty": empty, **({"at": when.expression} if when else {})}
    shaped = replace(table, rows=table.rows.select(**columns))
    if not one_row_a_unit(table, unit):
        require_constant(table, unit, keys, "unit_in_two_groups", _TWO)
        shaped = _one_row_a_unit(shaped, "at" if when else None)
    return _counted(shaped, tuple(steps), window, when)


def read_events(
    table: Table,
    unit: str,
    event: str,
    time: str,
    assigned: str,
    steps: Sequence[str],
    arm: str | None = None,
    segment: str | None = None,
    window: Window | None = None,
) -> Funnel:
    """Return the funnel of a log with a row an event. A unit is assigned at its first event `assigned`, whose arm and segment it has.

    A step is done where its event comes at that moment or later, within the window. Raises Misused, Refused.
    """
    _check_steps(steps)
    if unit == ROW:
        raise Misused("--event wants --unit with the column that says whose event it is")
    require_complete(table, [unit, event, time])
    when = moments(table, time)
    keys = [name for name in ("arm", "segment") if (arm if name == "arm" else segment)]
    rows = table.rows.select(**_keys(table, unit, arm, segment), what=table.text(event), at=when.expression)
    marks = rows.filter(rows.what == assigned)
    first = marks.group_by("unit").aggregate(begin=marks["at"].min())
    if not table.fetch(first.aggregate(n=first.count()))[0]["n"]:
        raise Misused(f"{event!r} of {table.name} never says {assigned!r}, so nobody is assigned")
    joined = marks.inner_join(first, "unit")
    assigning = replace(table, rows=joined.filter(joined["at"] == joined.begin))
    require_complete(assigning, ["unit", *keys])
    require_constant(assigning, "unit", keys, "unit_in_two_groups", _TWO)
    people = assigning.rows.group_by("unit").aggregate(
        begin=assigning.rows.begin.min(), **{name: assigning.rows[name].min() for name in keys}
    )
    mine = people.inner_join(rows.select("unit", "what", "at"), "unit")
    late = mine["at"] - mine.begin
    in_time = (late >= 0) if window is None else (late >= 0) & (late <= window_length(window, when))
    done = {f"done{i}": ((mine.what == step) & in_time).cast("float64") for i, step in enumerate(steps)}
    shaped = mine.select("unit", *keys, **done, empty=mine.begin.isnull().cast("int64"), at=mine.begin)
    return _counted(_one_row_a_unit(replace(table, rows=shaped), "at"), tuple(steps), window, when)


STEPS = ("email_sent", "email_delivered", "email_opened", "exposure", "email_clicked", "click", "cart_action", "purchase")
"""Kinds of events in the order in which people come to them."""


def steps_of_log(people: Table, kinds: Sequence[str]) -> list[str]:
    """Return the steps of a log's table of people: an offer was chosen, every kind of event that somebody did, and bought again."""
    there = [kind for kind in STEPS if kind in kinds] + ["purchase_again"]
    seen = people.one({kind: people.number(kind).sum() for kind in there})
    return ["triggered", *(kind for kind in there if seen[kind])]


def window_length(window: Window, when: Moments) -> float:
    """Return the length in the unit of the time column. Raises Misused."""
    return when.span(window.length, "--window")


def _keys(table: Table, unit: str, arm: str | None, segment: str | None) -> dict[str, Any]:
    named = {"unit": None if unit == ROW else unit, "arm": arm, "segment": segment}
    return {key: table.text(name) for key, name in named.items() if name}


def _done(table: Table, steps: Sequence[str]) -> dict[str, Any]:
    return {f"done{i}": (table.number(step).fill_null(0.0) > 0).cast("float64") for i, step in enumerate(steps)}


def _one_row_a_unit(shaped: Table, at: str | None) -> Table:
    rows = shaped.rows
    merged = {name: rows[name].min() if name in ("arm", "segment", at) else rows[name].max() for name in rows.columns if name != "unit"}
    merged["empty"] = rows.empty.sum()
    return replace(shaped, rows=rows.group_by("unit").aggregate(**merged))


def _counted(units: Table, steps: tuple[str, ...], window: Window | None, when: Moments | None) -> Funnel:
    total, still_open = int(units.one({"n": units.rows.count()})["n"]), 0
    if window is not None and when is not None:
        closes_by = when.point(window.read_at, "--read-at") - window_length(window, when)
        closed = (units.rows["at"] <= closes_by).fill_null(False)
        still_open = int(units.one({"n": (~closed).cast("int64").sum()})["n"] or 0)
        _refuse_open(window, total, still_open)
        units = replace(units, rows=units.rows.filter(closed))
    by = tuple(name for name in ("arm", "segment") if name in units.columns)
    cells = units.statistics({step: units.rows[f"done{i}"] for i, step in enumerate(steps)}, by=by)
    counts = tuple(_counts(dict(zip(by, key, strict=True)), statistic) for key, statistic in cells.items())
    return Funnel(steps, counts, total - still_open, still_open, int(units.one({"n": units.rows.empty.sum()})["n"] or 0))


def _counts(key: Mapping[str, str], statistic: Statistic) -> Counts:
    n, means = statistic.n, statistic.means
    did = tuple(round(float(mean) * n) for mean in means)
    both = (
        round(float(statistic.products[i - 1, i]) + n * float(means[i - 1]) * float(means[i])) if i else did[0] for i in range(len(did))
    )
    return Counts(key.get("arm", EVERYONE), key.get("segment"), n, did, tuple(both))


def _refuse_open(window: Window, total: int, still_open: int) -> None:
    if still_open and (window.refuse_open or still_open == total):
        raise Refused(
            "open_windows",
            f"{still_open:,} of {total:,} units had less than {window.length} until {window.read_at}: what they will do is not known yet",
            "read again when the windows have closed" + ("" if still_open == total else ", or leave those units out (--open-windows drop)"),
        )


def _check_steps(steps: Sequence[str]) -> None:
    if not steps:
        raise Misused("a funnel wants --step once a step, in order")
    if len(set(steps)) != len(steps):
        raise Misused("a step is named twice; each --step is another one")
