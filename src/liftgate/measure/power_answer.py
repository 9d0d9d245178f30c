"""The plan of an experiment, as `liftgate measure power` answers it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from liftgate.measure.power import (
    CONVENTIONS,
    Convention,
    Metric,
    control_units,
    days_needed,
    plan,
    power_of,
    smallest_change_of_rate,
    smallest_effect,
    whole_units,
    z_sum,
)
from liftgate.measure.refusal import Misused
from liftgate.measure.table import open_table

_LONG_DAYS, _WEEK_DAYS = 56, 7
_RATE_CONVENTIONS: tuple[Convention, ...] = ("unpooled", "pooled_null", "arcsine", "equal_variance")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. One of effect, lift, units or days is given, the others are None."""

    shares: Mapping[str, float]
    """By arm, summing to 1."""
    control: str
    alpha: float = 0.05
    power: float = 0.8
    convention: Convention = "unpooled"
    effect: float | None = None
    """Absolute."""
    lift: float | None = None
    """Relative to the baseline: 0.05 is 5 per cent."""
    units: float | None = None
    """Of the whole experiment, all arms."""
    units_a_day: float | None = None
    days: float | None = None


def metric_of_table(path: str, column: str, where: str) -> Metric:
    """Return the baseline of `COL`, `COL:binary` or `COL:mean` from rows of the past, one row a unit. Raises Misused, Refused."""
    name, _, kind = column.partition(":")
    if kind not in ("", "binary", "mean"):
        raise Misused(f"--metric {column!r} is not COL, COL:binary or COL:mean")
    table = open_table(path, where=where)
    table.check([name])
    (one,) = table.statistics({"y": table.number(name)}, by=()).values()
    if one.n < 2:
        raise Misused(f"{path} has {one.n} rows that meet the conditions; a baseline wants more")
    mean, variance = one.mean("y"), one.variance("y")
    # The values of a column are all 0 or 1 exactly where the mean of squares equals the mean.
    zero_one = math.isclose(variance * (one.n - 1) / one.n, mean * (1 - mean), rel_tol=1e-9)
    if kind == "binary" and not zero_one:
        raise Misused(f"{name!r} of {path} holds other values than 0 and 1; say {name}:mean")
    try:
        return Metric.proportion(mean) if zero_one and kind != "mean" else Metric.mean(mean, math.sqrt(variance))
    except ValueError as err:
        raise Misused(f"{name!r} of {path} does not vary: {err}") from err


def answer_power(metric: Metric, asked: Question) -> dict[str, Any]:
    """Return the plan as plain data. Raises Misused."""
    try:
        return _answer(metric, asked)
    except ValueError as err:
        raise Misused(str(err)) from err


def _answer(metric: Metric, asked: Question) -> dict[str, Any]:
    effect = _effect(metric, asked)
    units = asked.units
    if units is None and asked.days is not None:
        if asked.units_a_day is None:
            raise Misused("--days wants --per-day with it: the units that enter the experiment in a day")
        units = asked.days * asked.units_a_day
    if effect is None and units is None:
        raise Misused("say what is looked for (--lift 5% or --effect 0.01), or what there is (--units N, or --days D with --per-day N)")
    if not metric.binary and asked.convention in ("pooled_null", "arcsine"):
        raise Misused(f"the convention {asked.convention} is for rates; a mean has unpooled and equal_variance, which are the same")
    found: dict[str, Any] = {
        "what": "power",
        "definition": CONVENTIONS[asked.convention],
        "convention": asked.convention,
        "mde_definition": CONVENTIONS["equal_variance"],
        "metric": {"kind": "binary" if metric.binary else "mean", "baseline": metric.baseline, "sd": metric.sd},
        "alpha": asked.alpha,
        "power": asked.power,
        "z_sum": z_sum(asked.alpha, asked.power),
        "control": asked.control,
        "shares": dict(asked.shares),
        "effect": None if effect is None else {"absolute": effect, "relative": effect / metric.baseline if metric.baseline else None},
        "needs": None,
        "total_units": None,
        "days": None,
        "other_conventions": None,
        "with_units": None,
        "warnings": [],
    }
    if effect is not None:
        found |= _needs(metric, effect, asked)
    if units is not None:
        found["with_units"] = _with_units(metric, effect, units, asked)
        found = {"n": _dealt(math.floor(units), asked.shares)} | found
    found["warnings"] = _warnings(found, asked)
    return found


def _effect(metric: Metric, asked: Question) -> float | None:
    if asked.effect is not None and asked.lift is not None:
        raise Misused("give --effect (absolute) or --lift (relative), not both")
    if asked.lift is None:
        return asked.effect
    if metric.baseline == 0:
        raise Misused("a relative lift of a baseline of 0 says nothing; give --effect")
    return asked.lift * metric.baseline


def _needs(metric: Metric, effect: float, asked: Question) -> dict[str, Any]:
    needs = plan(metric, effect, asked.shares, asked.control, asked.alpha, asked.power, asked.convention)
    largest = max(needs, key=lambda need: need.total)
    total = largest.total
    found: dict[str, Any] = {"needs": [asdict(need) | {"days": _days(need.total, asked)} for need in needs]}
    found |= {"n": dict(largest.n), "total_units": total, "days": _days(total, asked)}
    if metric.binary:
        smallest = min((arm for arm in asked.shares if arm != asked.control), key=asked.shares.__getitem__)
        ratio = asked.shares[smallest] / asked.shares[asked.control]
        found["other_conventions"] = {
            "arm": smallest,
            "n_control": {c: whole_units(control_units(metric, effect, ratio, asked.alpha, asked.power, c)) for c in _RATE_CONVENTIONS},
        }
    if len(needs) > 1:
        split = asked.alpha / len(needs)
        wider = max(need.total for need in plan(metric, effect, asked.shares, asked.control, split, asked.power, asked.convention))
        found["alpha_split"] = {"comparisons": len(needs), "alpha": split, "total_units": wider, "days": _days(wider, asked)}
    return found


def _with_units(metric: Metric, effect: float | None, units: float, asked: Question) -> dict[str, Any]:
    rows = []
    units = math.floor(units)
    n = _dealt(units, asked.shares)
    n_control = n[asked.control]
    for arm in asked.shares:
        if arm == asked.control:
            continue
        n_treatment = n[arm]
        mde = smallest_effect(metric.sd, n_treatment, n_control, asked.alpha, asked.power)
        rise, fall = (
            smallest_change_of_rate(metric.baseline, n_treatment, n_control, asked.alpha, asked.power) if metric.binary else (mde, -mde)
        )
        rows.append(
            {
                "arm": arm,
                "n_treatment": n_treatment,
                "n_control": n_control,
                "mde": mde,
                "mde_relative": mde / abs(metric.baseline) if metric.baseline else None,
                "smallest_rise": rise,
                "smallest_fall": fall,
                "power": None if effect is None else power_of(metric, effect, n_treatment, n_control, asked.alpha, asked.convention),
            }
        )
    return {"units": units, "days": _days(units, asked), "arms": rows}


def _dealt(units: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return whole units by arm that add up to the arms' part of all units; the arms' parts are rounded at their running sum."""
    dealt, until, before = {}, 0.0, 0
    for arm, share in shares.items():
        until += share
        dealt[arm] = round(units * until) - before
        before += dealt[arm]
    return dealt


def _days(units: float, asked: Question) -> int | None:
    return None if asked.units_a_day is None else days_needed(units, asked.units_a_day)


def _warnings(found: Mapping[str, Any], asked: Question) -> list[str]:
    said = []
    days = found["days"]
    if days is not None and days > _LONG_DAYS:
        said.append(
            f"{days} days are long: people change, and so do devices. Look for a larger effect, a metric nearer to the change, or use CUPED"
        )
    if days is not None and days < _WEEK_DAYS:
        said.append("run whole weeks all the same: weekdays and weekends differ")
    if found.get("alpha_split"):
        split = found["alpha_split"]
        said.append(
            f"each of {split['comparisons']} comparisons is planned at alpha {asked.alpha:g} by itself; for all of them together at that "
            f"alpha (Bonferroni, {split['alpha']:.4g} each) the experiment needs {split['total_units']:,} units"
        )
    for row in (found["with_units"] or {}).get("arms", ()):
        if row["power"] is not None and row["power"] < asked.power:
            said.append(f"{row['arm']}: with these units the effect would be missed {1 - row['power']:.0%} of the time")
    return said
