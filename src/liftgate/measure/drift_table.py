"""From two tables, a reference and what came since, to whether a model should be trained again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liftgate.measure import calibration, drift
from liftgate.measure.refusal import Misused, Refusal
from liftgate.measure.table import Table, open_table

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = (
    f"steady: PSI at most {drift.WATCH}, or PSI or the chi-square of its bins no more than chance reaches once in 1,000; "
    f"watch: above that, up to {drift.ALARM}; "
    f"alarm: above {drift.ALARM} and above chance"
)


def compare_tables(
    reference: str,
    current: str,
    columns: Sequence[str],
    *,
    score: str | None = None,
    outcome: str | None = None,
    reference_where: str = "",
    current_where: str = "",
    explored: Sequence[str] = (),
) -> dict[str, Any]:
    """Return every column's drift and whether to train again, as plain data. Raises Misused, and Refused where a cell is no number.

    `explored`: conditions on the current table, the first with enough events of which says which rows calibration is judged on: rows
    that were picked for a high score were picked for its errors, too. Where none has enough: all.
    """
    if outcome and not score:
        raise Misused("--outcome needs --score: calibration is about both")
    named = list(dict.fromkeys([*columns, *([score] if score else [])]))
    if not named:
        raise Misused("name what to compare: --column COL (may be repeated), or --score COL")
    then, now = open_table(reference, where=reference_where), open_table(current, where=current_where)
    for table in (then, now):
        table.has(*named)
    if outcome:
        now.has(outcome)
    found, refusals = [], {}
    for name in named:
        one = _compare(then, now, name)
        if isinstance(one, Refusal):
            refusals[name] = one
        else:
            found.append(one)
    judged = _judged(current, now, score, outcome, explored) if score and outcome else None
    retrain, why = advise(found, judged)
    alarm = retrain or any(one.level is drift.Level.ALARM for one in found)
    unsure = bool(refusals) and not alarm
    return _farthest(found) | {
        "what": "drift",
        "alarm": alarm,
        "retrain": None if unsure else retrain,
        "why": f"Nobody can say: {', '.join(refusals)} cannot be compared" if unsure else why,
        "levels": LEVELS,
        "definition": drift.DEFINITION,
        "columns": found,
        "refused_columns": refusals,
        "calibration": judged,
        "refusal": next(iter(refusals.values())) if unsure else None,
    }


def _farthest(found: Sequence[drift.Drift]) -> dict[str, Any]:
    """Return the column that moved farthest as the answer's estimate; its p-value allows for having been picked (Bonferroni)."""
    if not found:
        return {}
    one = max(found, key=lambda each: each.psi)
    n = {"reference": one.n_reference, "current": one.n_current}
    return {"estimate": one.psi, "p_value": min(1.0, one.p_value * len(found)), "n": n, "column": one.column}


def advise(found: Sequence[drift.Drift], judged: dict[str, Any] | None) -> tuple[bool, str]:
    """Return whether to train again, and why: calibration decides where it can be seen, alarms of columns elsewhere."""
    alarms = [one.column for one in found if one.level is drift.Level.ALARM]
    watch = [one.column for one in found if one.level is drift.Level.WATCH]
    moved = f"{', '.join(alarms)} moved beyond the alarm level" if alarms else "no column is beyond the alarm level"
    if judged is not None and judged["refusal"] is None:
        if not judged["calibrated"]:
            return True, f"Train again: the scores no longer say what happens{_on(judged)}. {judged['verdict']} Beside that, {moved}"
        if alarms:
            return False, f"Not yet: {moved}, but the scores still say what happens{_on(judged)}. {judged['verdict']} Look again soon"
        return False, f"No: {moved}, and the scores say what happens{_on(judged)}. {judged['verdict']}"
    unseen = (
        "outcomes were not given, so nobody can see whether the scores still hold"
        if judged is None
        else f"calibration cannot be judged: {judged['refusal'].why}"
    )
    if alarms:
        return True, f"Train again: {moved}; {unseen}"
    return False, f"No: {moved}{' (watch ' + ', '.join(watch) + ')' if watch else ''}; {unseen}"


def _compare(then: Table, now: Table, name: str) -> drift.Drift | Refusal:
    if not all(table.rows[name].type().is_numeric() for table in (then, now)):
        return drift.compare_counts(name, _counted(then, name), _counted(now, name))
    # A null is a missing value here, and a NaN of a Parquet file is one too: the log writes NaN for what is not known.
    return drift.compare(name, *(table.arrays({"x": table.number(name)})["x"] for table in (then, now)))


def _counted(table: Table, name: str) -> dict[str | None, int]:
    """Return rows by value, of no more values than it takes to see that there are too many."""
    by = table.rows.group_by(value=table.text(name)).aggregate(n=lambda t: t.count()).limit(drift.MOST_CATEGORIES + 2)
    return {row["value"]: row["n"] for row in table.fetch(by)}


def _on(judged: dict[str, Any]) -> str:
    """Return which decisions of a log were judged; nothing of other tables."""
    if judged["judged"] == "explored":
        return f", judged on {judged['n']:,} explored decisions"
    return f", judged on all {judged['n']:,} decisions, for too few are explored" if judged["judged"] == "all" else ""


def _judged(current: str, now: Table, score: str, outcome: str, explored: Sequence[str]) -> dict[str, Any]:
    """Return calibration of explored rows where they are enough, else of all; `judged` says which: explored, all, None where not asked."""
    for where in explored:
        found = _calibration(open_table(current, where=where), score, outcome)
        if found["refusal"] is None:
            return found | {"judged": "explored"}
    return _calibration(now, score, outcome) | {"judged": "all" if explored else None}


def _calibration(now: Table, score: str, outcome: str) -> dict[str, Any]:
    now.check((outcome,))
    found = now.arrays({"p": now.number(score), "y": now.number(outcome)})
    # People without a score or with an open window say nothing about calibration.
    kept = (found["p"] == found["p"]) & (found["y"] == found["y"])
    p, y = found["p"][kept], found["y"][kept]
    if refused := calibration.judge(p, y):
        return {"n": len(p), "refusal": refused, "calibrated": None}
    seen = calibration.measure(p, y)
    calibrated, words = calibration.verdict(seen)
    return {
        "n": len(p),
        "calibrated": calibrated,
        "verdict": words,
        "observed_over_expected": seen.observed_over_expected,
        "slope": seen.slope,
        "refusal": None,
    }
