"""Accounts, sessions and visitors over several people: the table that says which pseudonyms of a log are one unit's. ADR 0024.

Where the person's own key makes those pseudonyms, an account has another one with each of its people. `liftgate log units` writes the table
beside the log, at TABLE: kind, pseudonym, unit. An erasure removes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis

from liftgate.measure.engine import Engine
from liftgate.measure.refusal import Refused
from liftgate.record.units import TABLE

PERSONAL = "units_are_personal"
KINDS = ("account", "session", "visitor")
FEW = 0.05
"""Of decisions that no table names: erased people's, or those of people whom the table forgot. They count as units of their own."""


def joined(backend: Engine, directory: Path, rows: Any) -> Any:
    """Return rows of a log with one value a unit where the table knows it, which is then not personal any more."""
    wanted = [f"{kind}_pseudonym" for kind in KINDS if f"{kind}_pseudonym" in rows.columns]
    if not wanted or not (directory / TABLE).exists():
        return rows
    units = backend.read_parquet(str(directory / TABLE))
    for column in wanted:
        mine = units.filter(units.kind == column.removesuffix("_pseudonym")).select(own=units.pseudonym, unit_of=units.unit)
        both = rows.left_join(mine, rows[column] == mine.own)
        known = {column: ibis.coalesce(both.unit_of, both[column])}
        if PERSONAL in rows.columns:
            known[PERSONAL] = both[PERSONAL].fill_null(False) & both.unit_of.isnull()
        rows = both.mutate(**known).drop("own", "unit_of")
    return rows


def require_whole_units(layer: str, kind: str, decisions: int, personal: int) -> None:
    """Raise Refused where many decisions name their unit by a pseudonym that is of one person alone: one account would be several units."""
    if kind not in ("account", "visitor") or personal <= FEW * decisions:
        return
    raise Refused(
        "unit_within_people",
        f"layer {layer!r} randomises {kind}s, and {personal:,} of its {decisions:,} decisions name theirs by a pseudonym that is of one "
        f"person alone: {kind}s of several people would be counted several times",
        f"say which people share {kind}s: `liftgate log units`; or serve with --unit-pseudonyms shared from the beginning, which no "
        "erasure unlinks",
    )


def counted(rows: Any) -> Sequence[Any]:
    """Return how many decisions there are, and how many name units by pseudonyms of one person, as aggregates."""
    return rows.count().name("decisions"), rows[PERSONAL].fill_null(False).cast("int64").sum().name("personal")
