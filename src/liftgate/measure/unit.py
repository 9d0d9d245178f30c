"""From rows to units of randomisation: one row a unit, with its arm and its strata, or a refusal where that cannot be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ibis

from liftgate.measure.refusal import Refused, several
from liftgate.measure.table import Table

ROW = "row"
"""Said instead of a column: every row is a unit. Rows that are equal stay two units."""


def require_complete(table: Table, columns: Sequence[str]) -> None:
    """Raise Refused `missing_key` where a unit, arm or stratum is empty. Raises Misused where a column is not there."""
    names = [name for name in dict.fromkeys(columns) if name != ROW]
    table.has(*names)
    lost = table.one({f"k{i}": table.rows[name].isnull().cast("int64").sum() for i, name in enumerate(names)} | {"n": table.rows.count()})
    if not lost["n"]:
        raise Refused("no_rows", f"no row of {table.name} is left", "look at --where and at the file")
    for i, name in enumerate(names):
        if lost[f"k{i}"]:
            raise Refused(
                "missing_key",
                f"{several(lost[f'k{i}'], 'row has', 'rows have')} nothing in {name!r}, "
                f"of {lost['n']:,} of {table.name}: nobody can say where they belong",
                "fill the column at its source; leave such rows out with --where only if they are lost alike in every arm",
            )


def one_row_a_unit(table: Table, unit: str) -> bool:
    """Return whether every row is a unit of its own."""
    if unit == ROW:
        return True
    counted = table.one({"n": table.rows.count(), "units": table.text(unit).nunique()})
    return bool(counted["n"] == counted["units"])


def require_constant(table: Table, unit: str, columns: Sequence[str], code: str, what_to_do: str) -> None:
    """Raise Refused with this code where a unit has two values of one of these columns."""
    if unit == ROW or not columns:
        return
    for name in columns:
        n, one = varying(table, unit, name)
        if n:
            raise Refused(code, f"{several(n, 'unit has', 'units have')} two values in {name!r}, unit {one!r} among them", what_to_do)


def varying(table: Table, unit: str, column: str) -> tuple[int, str]:
    """Return how many units have two values of a column, and one of them."""
    text = table.text(column)
    by_unit = table.rows.group_by(unit_key=table.text(unit)).aggregate(low=text.min(), high=text.max())
    both = by_unit.filter(by_unit.low != by_unit.high)
    found = table.fetch(both.aggregate(n=both.count(), one=both.unit_key.min()))[0]
    return int(found["n"]), str(found["one"])


def by_unit(table: Table, unit: str, keys: Sequence[str]) -> Table:
    """Return one row a unit with its keys, for counting. Raises Refused where a unit is in two arms or strata."""
    require_complete(table, [unit, *keys])
    if one_row_a_unit(table, unit):
        return table
    require_constant(
        table,
        unit,
        keys,
        "unit_in_two_groups",
        "a unit belongs where it was first assigned: give its first arm and stratum on every row, or find out why it moved",
    )
    grouped = table.rows.group_by(ibis.literal(1).name("unit_one") if unit == ROW else table.text(unit).name("unit_key"))
    return replace(table, rows=grouped.aggregate(**{name: table.text(name).min() for name in dict.fromkeys(keys)}))
