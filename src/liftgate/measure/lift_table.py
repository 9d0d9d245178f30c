"""A user's table into sufficient statistics per arm, stratum and segment: one row a unit, nothing missing that decides where it belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ibis

from liftgate.measure.lift_question import Metric, Question
from liftgate.measure.refusal import Misused, Refused, several
from liftgate.measure.statistic import Statistic
from liftgate.measure.table import Table, open_table
from liftgate.measure.unit import one_row_a_unit, require_complete, require_constant, varying

PERIODS = ("period", "allocation_period", "allocation_version", "epsilon_version", "phase")
"""Columns of these names are taken for the allocation's period, where --period says nothing."""


@dataclass(frozen=True)
class Cells:
    """What is left of the table."""

    question: Question
    """With every metric's kind decided, and the period found."""
    keys: tuple[str, ...]
    """What the cells' keys are values of; the arm first."""
    cells: Mapping[tuple[str, ...], Statistic]
    """Columns: every number by its name, `!= 0` and `missing` of outcomes, `missing` of covariates that are missing somewhere."""
    caps: Mapping[str, float]
    """Winsorised columns and their caps."""
    missing_covariates: tuple[str, ...]

    _picked: dict[tuple[str, ...], dict[tuple[str, ...], dict[tuple[str, ...], Statistic]]] = field(default_factory=dict, repr=False)
    """By the names of what is chosen: by arm and chosen values, statistics by stratum. Many segments are then no more work than few."""
    _values: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def pick(self, arm: str, chosen: Mapping[str, str]) -> dict[tuple[str, ...], Statistic]:
        """Return an arm's statistic by stratum, of the cells whose keys have the chosen values."""
        names = tuple(chosen)
        if names not in self._picked:
            self._picked[names] = self._by(names)
        return dict(self._picked[names].get((arm, *chosen.values()), {}))

    def _by(self, names: Sequence[str]) -> dict[tuple[str, ...], dict[tuple[str, ...], Statistic]]:
        strata, rest = [self.keys.index(name) for name in self.question.strata], [self.keys.index(name) for name in names]
        found: dict[tuple[str, ...], dict[tuple[str, ...], Statistic]] = {}
        for key, cell in self.cells.items():
            part = found.setdefault((key[0], *(key[i] for i in rest)), {})
            stratum = tuple(key[i] for i in strata)
            part[stratum] = part[stratum] + cell if stratum in part else cell
        return found

    def values(self, name: str) -> list[str]:
        """Return the values of a key, in order."""
        if name not in self._values:
            at = self.keys.index(name)
            self._values[name] = sorted({key[at] for key in self.cells})
        return list(self._values[name])

    def against(self, control: str) -> Cells:
        """Return the same units with another arm in the control's place."""
        return replace(self, question=replace(self.question, control=control))

    def counts(self, chosen: Mapping[str, str]) -> dict[str, int]:
        """Return units by arm among the cells whose keys have the chosen values."""
        return {arm: sum(s.n for s in self.pick(arm, chosen).values()) for arm in self.values(self.keys[0])}


def nonzero(column: str) -> str:
    """Return the name of the column that is 1 where this one is not 0."""
    return f"{column} != 0"


def missing(column: str) -> str:
    """Return the name of the column that is 1 where this one has no value."""
    return f"{column} missing"


def read_cells(question: Question) -> Cells:
    """Read the table. Raises Misused, Refused."""
    table = open_table(question.table, text=question.as_written(), where=question.where)
    numbers = list(dict.fromkeys(question.numbers()))
    table = table.kept([*question.as_written(), *(name for name in PERIODS if name in table.columns)])
    require_complete(table, [question.unit, *question.keys])
    table.check(numbers)
    table, question = _with_kinds(table, question)
    single = one_row_a_unit(table, question.unit)
    question = _with_period(table, question, single)
    if not single:
        table = _one_row_each(table, question)
    caps = _caps(table, question)
    lost = table.one({f"m{i}": table.rows[one.column].isnull().cast("int64").sum() for i, one in enumerate(question.covariates)})
    lacking = tuple(one.column for i, one in enumerate(question.covariates) if lost[f"m{i}"])
    columns: dict[str, Any] = {name: ibis.least(table.number(name), ibis.literal(caps[name])) if name in caps else name for name in numbers}
    for name in dict.fromkeys(one.column for one in question.outcomes):
        value = table.number(name)
        columns[nonzero(name)] = (value != 0).fill_null(False).cast("float64")
        columns[missing(name)] = value.isnull().cast("float64")
    columns |= {missing(name): table.number(name).isnull().cast("float64") for name in lacking}
    cells = table.statistics(columns, by=question.keys)
    found = Cells(question, question.keys, cells, caps, lacking)
    arms = found.values(question.arm)
    if question.control not in arms:
        raise Refused(
            "missing_control",
            f"no unit is in the control arm {question.control!r}; column {question.arm!r} has {', '.join(arms[:20])}",
            "give the control's value as it is written in the table; without a control there is no effect to speak of",
        )
    if len(arms) < 2:
        raise Refused("missing_treatment", f"every unit is in the control arm {question.control!r}", "look at --where and at the table")
    return found


def _with_kinds(table: Table, question: Question) -> tuple[Table, Question]:
    undecided = [one for one in question.outcomes if one.kind in ("", "binary")]
    odd = table.one({f"o{i}": (~table.number(one.column).isin([0.0, 1.0])).cast("int64").sum() for i, one in enumerate(undecided)})
    decided: dict[Metric, Metric] = {}
    for i, one in enumerate(undecided):
        if one.kind == "binary" and odd[f"o{i}"]:
            raise Misused(f"--metric {one.column}:binary, but {odd[f'o{i}']} rows have neither 0 nor 1 there; ask for {one.column}:mean")
        decided[one] = replace(one, kind="mean" if odd[f"o{i}"] else "binary")
    if question.exposed and table.one({"o": (~table.number(question.exposed).isin([0.0, 1.0])).cast("int64").sum()})["o"]:
        raise Misused(f"--exposed {question.exposed}: the column holds 1 for exposed and 0 for not")
    metrics = tuple(decided.get(one, one) for one in question.metrics)
    guardrails = tuple(replace(one, metric=decided.get(one.metric, one.metric)) for one in question.guardrails)
    return table, replace(question, metrics=metrics, guardrails=guardrails)


def _with_period(table: Table, question: Question, single: bool) -> Question:
    """Find the allocation's period: the first column of such a name that is filled and, of several rows a unit, the same on all of them."""
    if question.period:
        return question
    there = [name for name in PERIODS if name in table.columns and name not in question.keys]
    filled = [name for name in there if not table.one({"lost": table.rows[name].isnull().cast("int64").sum()})["lost"]]
    if single or not filled:
        return replace(question, period=next(iter(filled), ""))
    if found := next((name for name in filled if not varying(table, question.unit, name)[0]), ""):
        return replace(question, period=found)
    if set(question.strata) & set(PERIODS):
        return question  # they are compared within periods already
    n, one = varying(table, question.unit, filled[0])
    raise Refused(
        "changed_allocation",
        f"{several(n, 'unit has', 'units have')} two values in {filled[0]!r}, unit {one!r} among them: "
        f"nobody can say in which period one was assigned, nor "
        "whether the arms' shares moved; pooled over periods, a change of season would be read as an effect",
        f"give the period of a unit's first assignment on every row, and compare within periods: --stratum {filled[0]}; if it stands in "
        "another column, name that with --period; if this is no period of the allocation, give the column another name",
    )


def _one_row_each(table: Table, question: Question) -> Table:
    """Sum a unit's outcomes over its rows; a binary one is whether it ever happened."""
    require_constant(
        table,
        question.unit,
        question.keys,
        "unit_in_two_groups",
        "a unit belongs where it was first assigned: give its first arm and stratum on every row, or find out why it moved",
    )
    before = [name for one in question.covariates for name in (one.column, one.denominator) if name]
    require_constant(
        table,
        question.unit,
        before,
        "covariate_varies",
        "a covariate is one value a unit, from before its first exposure: sum it up over that window first",
    )
    once = {question.exposed, *before, *(one.column for one in question.outcomes if one.kind == "binary")}
    values = {name: table.number(name) for name in question.numbers()}
    return replace(
        table,
        rows=table.rows.group_by(unit_key=table.text(question.unit)).aggregate(
            **{name: table.text(name).min() for name in question.keys},
            **{name: value.max() if name in once else value.sum() for name, value in values.items()},
        ),
    )


def _caps(table: Table, question: Question) -> dict[str, float]:
    if question.winsorise is None:
        return {}
    capped = dict.fromkeys(one.column for one in question.outcomes if one.kind == "mean")
    caps: dict[str, float] = {}
    for name in capped:
        value = table.number(name)
        cap = table.one({"cap": ibis.ifelse(value != 0, value, ibis.null("float64")).quantile(question.winsorise)})["cap"]
        if cap is None or cap <= 0:
            raise Refused(
                "zero_cap",
                f"the {question.winsorise:g} quantile of {name} over values other than 0 is {cap or 0:g}: such a cap erases the metric",
                "choose a higher --winsorise, or none",
            )
        caps[name] = float(cap)
    return caps
