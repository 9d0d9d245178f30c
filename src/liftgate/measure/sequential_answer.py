"""May it stop? As `liftgate measure sequential` answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liftgate.measure.envelope import only
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.relative import fieller
from liftgate.measure.sequential import LEAST_EVENTS, LEAST_UNITS, Bound, Look, confidence_sequence, first_exclusion, mixture
from liftgate.measure.sequential_table import Streams
from liftgate.measure.split_gate import gate_split
from liftgate.measure.table import Table

DEFINITION = (
    "asymptotic confidence sequence (Robbins normal mixture): estimate -+ se*sqrt(N)*sqrt(2(N r^2+1)/(N^2 r^2) * ln(sqrt(N r^2+1)/alpha)), "
    "r = sqrt((-2 ln alpha + ln(-2 ln alpha + 1))/N*), N units of both arms, se^2 = var_t/n_t + var_c/n_c (ddof 1)"
)
_LOOK_COLUMNS = ("look", "arm", "n", "mean", "variance")


def read_cumulative(table: Table, control: str) -> Streams:
    """Return the looks of a table of cumulative statistics: look, arm, n, mean, variance (ddof 1). Looks are in the order of their numbers.

    Raises Misused, Refused.
    """
    table.has(*_LOOK_COLUMNS)
    table.check(["look", "n", "mean", "variance"])
    rows = table.fetch(table.rows.select(**{name: table.number(name) for name in _LOOK_COLUMNS if name != "arm"}, arm=table.text("arm")))
    cells: dict[float, dict[str, dict[str, Any]]] = {}
    for row in rows:
        if any(row[name] is None for name in _LOOK_COLUMNS):
            raise Misused(f"{table.name} has an empty field; every row holds {', '.join(_LOOK_COLUMNS)}")
        if row["arm"] in cells.setdefault(row["look"], {}):
            raise Misused(f"{table.name} has two rows of look {row['look']:g} and arm {row['arm']!r}")
        if row["n"] < 0 or row["variance"] < 0:
            raise Misused(f"{table.name}: n and variance of look {row['look']:g} are 0 or more")
        cells[row["look"]][row["arm"]] = row
    arms = sorted({arm for cell in cells.values() for arm in cell})
    if control not in arms or len(arms) < 2:
        raise Misused(f"{table.name} holds the arms {', '.join(arms) or 'none'}; wanted are {control!r} and another")
    return Streams(control, {arm: tuple(_looks(cells, arm, control, table.name)) for arm in arms if arm != control}, False)


def _looks(cells: Mapping[float, Mapping[str, Mapping[str, Any]]], arm: str, control: str, name: str) -> list[Look]:
    looks = []
    for at in sorted(cells):
        if arm not in cells[at] or control not in cells[at]:
            raise Misused(f"{name}: look {at:g} has no row of {arm if arm not in cells[at] else control!r}")
        t, c = cells[at][arm], cells[at][control]
        looks.append(Look(f"{at:g}", int(t["n"]), int(c["n"]), t["mean"], c["mean"], t["variance"], c["variance"]))
    return looks


def answer_sequence(streams: Streams, n_star: int | None, fixed_horizon: int | None, alpha: float, share: Sequence[str]) -> dict[str, Any]:
    """Return every look of every arm against the control, and whether each may stop. Raises Misused, Refused.

    With several treatment arms, each is held at alpha divided by their number.
    """
    if (n_star is None) == (fixed_horizon is None):
        raise Misused(
            "give --n-star N, the units of both arms at which the answer is wanted, as the experiment's record had it before it started; "
            "or, for an experiment planned to be read once, --fixed-horizon N. Choosing N now, from what the data show, voids the answer"
        )
    last = {arm: looks[-1] for arm, looks in streams.looks.items()}
    n = {arm: look.n_treatment for arm, look in last.items()} | {streams.control: next(iter(last.values())).n_control}
    split = gate_split(n, share, streams.control)
    if fixed_horizon is not None:
        _refuse_peeking(last, fixed_horizon)
    wanted = n_star if n_star is not None else fixed_horizon or 0
    each = alpha / len(streams.looks)
    try:
        r = mixture(each, wanted)
        sequences = {arm: confidence_sequence(looks, wanted, each, streams.binary) for arm, looks in streams.looks.items()}
    except ValueError as err:
        raise Misused(str(err)) from err
    if all(bounds[-1].says_nothing for bounds in sequences.values()):
        raise Refused(
            "too_few_events",
            f"after {sum(n.values()):,} units an arm has fewer than {LEAST_UNITS} units"
            + (f", fewer than {LEAST_EVENTS} events" if streams.binary else "")
            + " or no variance: an interval would not hold",
            "keep it running and look again",
        )
    compared = {arm: _compared(arm, streams.control, bounds, wanted) for arm, bounds in sequences.items()}
    return (only(next(iter(compared.values()))) if len(compared) == 1 else {}) | {
        "what": "sequential",
        "definition": DEFINITION,
        "control": streams.control,
        "alpha": alpha,
        "alpha_each": each,
        "n_star": wanted,
        "planned_as": "sequential" if n_star is not None else "fixed horizon, read after its end",
        "r": r,
        "n": n,
        "split": split.document,
        "warnings": [split.warning] if split.warning else [],
        "comparisons": compared,
        "may_stop": all(one["may_stop"] for one in compared.values()),
    }


def _refuse_peeking(last: Mapping[str, Look], planned: int) -> None:
    short = {arm: look.n for arm, look in last.items() if look.n < planned}
    if short:
        arm, so_far = min(short.items(), key=lambda item: item[1])
        raise Refused(
            "peeking",
            f"the experiment was planned to be read once, at {planned:,} units, and {arm} and the control have {so_far:,}: looking earlier "
            "and stopping at what pleases finds effects that are not there, far more often than alpha says",
            "read it when the planned units are in; plan the next one with N* to look as often as you like",
        )


def _compared(arm: str, control: str, bounds: Sequence[Bound], n_star: int) -> dict[str, Any]:
    last, first = bounds[-1], first_exclusion(bounds)
    look = last.look
    means, noise = (look.mean_treatment, look.mean_control), (look.var_treatment / look.n_treatment, look.var_control / look.n_control)
    lift = None if last.says_nothing else fieller(*means, *noise, z=(last.ci_high - look.estimate) / look.se)
    fooled = next((bound for bound in bounds if bound.fixed_low > 0 or bound.fixed_high < 0), None)
    return {
        "arm": arm,
        "control": control,
        "n": {arm: look.n_treatment, control: look.n_control},
        "estimate": look.estimate,
        "se": look.se,
        "ci_low": last.ci_low,
        "ci_high": last.ci_high,
        "p_value": last.p_value,
        "lift": look.estimate / look.mean_control if look.mean_control else None,
        "lift_ci_low": lift and lift.ci_low,
        "lift_ci_high": lift and lift.ci_high,
        "may_stop": first is not None,
        "may_stop_since": None if first is None else first.look.at,
        "direction": None if first is None else "up" if first.ci_low > 0 else "down",
        "still_excludes_zero": last.excludes_zero,
        "fixed_interval_would_have_stopped_at": None if fooled is None else fooled.look.at,
        "past_n_star": look.n >= n_star,
        "looks": [_row(bound) for bound in bounds],
    }


def _row(bound: Bound) -> dict[str, Any]:
    look = bound.look
    return {
        "at": look.at,
        "n_treatment": look.n_treatment,
        "n_control": look.n_control,
        "estimate": look.estimate,
        "se": look.se,
        "ci_low": bound.ci_low,
        "ci_high": bound.ci_high,
        "fixed_low": bound.fixed_low,
        "fixed_high": bound.fixed_high,
        "p_value": bound.p_value,
        "excludes_zero": bound.excludes_zero,
        "says_nothing_yet": bound.says_nothing,
    }
