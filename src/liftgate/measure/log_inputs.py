"""What decisions were made with: the log's inputs (features, context attributes) as columns, by the names that bundles give them.

A name is the whole path (`context.device`) or, where no two inputs end alike, its last part (`device`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import ibis

from liftgate.measure.log import Log
from liftgate.measure.refusal import Misused

COLUMNS = ("inputs", "input_value")
"""Columns of the log that they are read from; large, so a log is opened with them only where an input is asked for."""
MISSING, OTHER, YES, NO = "(missing)", "(other)", "yes", "no"
BANDS = 4
"""Groups that the values of a number are cut into at their quantiles, where there are more than FEW."""
FEW = 6
_LOST, _ANOTHER = -1e300, -1.0  # a null would be passed over where the first of a person's values is taken


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a log."""

    name: str
    """As it was asked for: the column's name."""
    path: str
    kind: str
    """int, float, bool, string or timestamp."""
    places: Mapping[str, int]
    """Where it stands among the inputs, by bundle digest."""
    values: Mapping[str, tuple[str, ...]]
    """What a string may be, by bundle digest."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Values of a string in any bundle."""
        return tuple(dict.fromkeys(value for each in self.values.values() for value in each))


def inputs_of(log: Log) -> dict[str, Input]:
    """Return the inputs of a log that was opened with COLUMNS, by path, in the order of the newest bundle that has them."""
    rows = log.decisions.filter(log.decisions.inputs.length() > 0)
    one_each = rows.group_by("bundle_digest").aggregate(decision_id=rows.decision_id.min(), at=rows.decided_at_ms.max())
    shapes = rows.select("decision_id", "inputs").inner_join(one_each, "decision_id")
    places: dict[str, dict[str, int]] = {}
    values: dict[str, dict[str, tuple[str, ...]]] = {}
    kinds: dict[str, str] = {}
    for shape in sorted(log.fetch(shapes), key=lambda one: (-one["at"], one["bundle_digest"])):
        for place, column in enumerate(shape["inputs"]):
            path = column["name"]
            kinds.setdefault(path, column["type"])
            places.setdefault(path, {})[shape["bundle_digest"]] = place
            values.setdefault(path, {})[shape["bundle_digest"]] = tuple(column["values"] or ())
    return {path: Input(path, path, kinds[path], places[path], values[path]) for path in places}


def named(log: Log, names: Iterable[str], columns: Sequence[str] = ()) -> list[Input]:
    """Return inputs by name; `all` stands for every one but timestamps, and a name among `columns` for no input. Raises Misused."""
    asked = [name for name in dict.fromkeys(names) if name not in columns]
    if not asked:
        return []
    there = inputs_of(log)
    found = []
    for name in asked:
        if name == "all":
            found += [one for one in there.values() if one.kind != "timestamp"]
            continue
        paths = [name] if name in there else [path for path in there if path.rpartition(".")[2] == name]
        if len(paths) != 1:
            of = f"{', '.join(paths)} are all called so" if paths else f"its inputs are {', '.join(there) or 'none'}"
            also = f", and its columns {', '.join(columns)}" if columns and not paths else ""
            raise Misused(f"{log.name} has no one input {name!r}: {of}{also}")
        one = there[paths[0]]
        found.append(Input(name, one.path, one.kind, one.places, one.values))
    return list({one.name: one for one in found}.values())


def code(rows: Any, one: Input) -> Any:
    """Return an input of each decision as float64: a number, 0 or 1, or a string's place among its labels. `words`, `value` read it."""
    shapes: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for digest, place in one.places.items():
        shapes.setdefault((place, one.values[digest]), []).append(digest)
    cases = [(rows.bundle_digest.isin(digests), _coded(rows, one, *shape)) for shape, digests in shapes.items()]
    return ibis.cases(*cases, else_=ibis.literal(_LOST, "float64"))


def _coded(rows: Any, one: Input, place: int, values: tuple[str, ...]) -> Any:
    raw = ibis.ifelse(rows.input_value.length() > place, rows.input_value[place], ibis.null("float64"))
    number = ibis.ifelse((raw - raw == 0).fill_null(False), raw, ibis.literal(_LOST, "float64"))
    moved = [(number == i, float(one.labels.index(value))) for i, value in enumerate(values) if one.labels.index(value) != i]
    return ibis.cases(*moved, else_=number) if moved else number


def value(coded: Any, one: Input) -> Any:
    """Return a coded input as itself: text, or float64; null where it is missing."""
    if one.kind in ("string", "bool"):
        return ibis.cases(*_named(coded, one), else_=ibis.null("string"))
    return ibis.ifelse(coded == _LOST, ibis.null("float64"), coded)


def words(log: Log, rows: Any, coded: str, one: Input) -> Any:
    """Return a coded column of `rows` as a segment: a string or bool as it is, a number as one of few values or in bands of its quantiles.

    Bands are taken over all rows together, so they are the same in every arm.
    """
    column = rows[coded]
    if one.kind in ("string", "bool"):
        return ibis.cases(*_named(column, one), else_=MISSING)
    there = rows.filter(column != _LOST)
    some = sorted(row["x"] for row in log.fetch(there.select(x=there[coded]).distinct().limit(FEW + 1)))
    if len(some) <= FEW:
        cases = [(column == each, f"{each:g}") for each in some]
        return ibis.cases(*cases, else_=MISSING) if cases else ibis.literal(MISSING)
    cuts = [there[coded].quantile(i / BANDS).name(f"q{i}") for i in range(1, BANDS)]
    found = log.fetch(there.aggregate([*cuts, there[coded].min().name("least")]))[0]
    least = found.pop("least")
    edges = sorted({edge for edge in (float(f"{each:.3g}") for each in found.values()) if edge > least})
    if not edges:
        return ibis.ifelse(column == _LOST, MISSING, f"{least:g} or more")
    names = [f"below {edges[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(edges)), f"{edges[-1]:g} or more"]
    cases = [(column == _LOST, MISSING), *((column < edge, name) for edge, name in zip(edges, names, strict=False))]
    return ibis.cases(*cases, else_=names[-1])


def _named(coded: Any, one: Input) -> list[tuple[Any, str]]:
    if one.kind == "bool":
        return [(coded == 1.0, YES), (coded == 0.0, NO)]
    return [*((coded == float(i), label) for i, label in enumerate(one.labels)), (coded == _ANOTHER, OTHER)]


def with_values(rows: Any, inputs: Sequence[Input], prefix: str) -> Any:
    """Return the decisions with each input's value as the column `<prefix><its number>`."""
    return rows.mutate(**{f"{prefix}{i}": value(code(rows, one), one) for i, one in enumerate(inputs)}) if inputs else rows
