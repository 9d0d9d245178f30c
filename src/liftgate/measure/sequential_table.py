"""A table with a time column to cumulative looks, one stream an arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from liftgate.measure.moments import moments
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.sequential import Look
from liftgate.measure.statistic import Statistic
from liftgate.measure.table import Table
from liftgate.measure.unit import one_row_a_unit, require_complete

MOST_LOOKS = 2_000
"""A finer grid is asked for with a longer `--every`."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Cumulative looks of each treatment arm against the control."""

    control: str
    looks: Mapping[str, tuple[Look, ...]]
    """By treatment arm, in order of time."""
    binary: bool


def read_looks(table: Table, unit: str, arm: str, control: str, metric: str, time: str, every: str = "") -> Streams:
    """Return the looks: one at the end of each stretch `every` (default: a day; of a numeric column, each value).

    The table has one row a unit, with the time at which the unit was assigned. Raises Misused, Refused.
    """
    require_complete(table, [unit, arm, time])
    table.check([metric])
    when = moments(table, time)
    if not one_row_a_unit(table, unit):
        raise Refused(
            "several_rows_a_unit",
            f"{table.name} has several rows of one {unit}: a look counts a unit once, with what it is worth by now",
            "add the metric up to one row a unit, with the time at which the unit was assigned",
        )
    step = when.span(every, "--every") if every else 86_400.0 if when.calendar else 0.0
    at = (when.expression / step).floor() * step if step else when.expression
    rows = table.rows.mutate(liftgate_look=at, liftgate_value=table.number(metric), liftgate_arm=table.text(arm))
    shaped = replace(table, rows=rows)
    facts = shaped.one(
        {
            "looks": rows.liftgate_look.nunique(),
            "other": (~rows.liftgate_value.isin([0.0, 1.0])).fill_null(False).cast("int64").sum(),
        }
    )
    if facts["looks"] > MOST_LOOKS:
        raise Misused(f"that is {facts['looks']:,} looks; give a longer --every, such as {'1d' if when.calendar else '100'}")
    cells = shaped.statistics({"y": rows.liftgate_value}, by=("liftgate_look", "liftgate_arm"))
    by_time: dict[float, dict[str, Statistic]] = {}
    for (text, name), statistic in cells.items():
        by_time.setdefault(float(text), {})[name] = statistic
    arms = sorted({name for _, name in cells})
    if control not in arms:
        raise Misused(f"no row of {arm!r} is {control!r}; it holds {', '.join(arms)}")
    looks = {name: _cumulated(by_time, name, control, when.shown) for name in arms if name != control}
    if not looks:
        raise Misused(f"every row of {arm!r} is {control!r}; a comparison needs two arms")
    return Streams(control, looks, facts["other"] == 0)


def _cumulated(
    by_time: Mapping[float, Mapping[str, Statistic]], treatment: str, control: str, shown: Callable[[float], str]
) -> tuple[Look, ...]:
    nothing = Statistic(("y",), 0, np.zeros(1), np.zeros((1, 1)))
    t = c = nothing
    looks = []
    for at in sorted(by_time):
        t, c = t + by_time[at].get(treatment, nothing), c + by_time[at].get(control, nothing)
        spread = [0.0 if each.n < 2 else each.variance("y") for each in (t, c)]
        looks.append(Look(shown(at), t.n, c.n, t.mean("y"), c.mean("y"), *spread))
    return tuple(looks)
