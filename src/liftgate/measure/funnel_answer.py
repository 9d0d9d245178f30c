"""Where people are lost, and which arm loses fewer, as `liftgate measure funnel` answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from liftgate.measure.contrast import Quantity, contrast
from liftgate.measure.envelope import only
from liftgate.measure.funnel import CAUSAL, CONDITIONAL, RECOVERED, Counts, biggest_drop, bottlenecks, pooled, steps_of
from liftgate.measure.funnel_table import EVERYONE, Funnel
from liftgate.measure.multiplicity import MEANING, Method, adjust
from liftgate.measure.proportion import Count, newcombe, pooled_z
from liftgate.measure.refusal import Misused, Refused, several
from liftgate.measure.relative import fieller
from liftgate.measure.split_gate import gate_split
from liftgate.measure.statistic import Statistic

FEW_EVENTS = 10
"""Below this many units with, or without, the step in an arm the interval is Newcombe's and the p-value the score test's."""
_LEAKY = 0.01  # share of those at a step who skipped the one before, from which it is worth a word
ASSUMPTION = (
    "the given share of the units lost at a step can be kept, and they go on as those who were not lost; conditional rates are not "
    "causal, so this ranks where to look first, and only an experiment says what is gained"
)

DIFFERENCE = (
    "rate of the arm less that of the control, per assigned unit: Welch, or with few events Newcombe's interval and the score test's "
    "p-value; lift by Fieller. The whole answer's is that of the last step, over everybody"
)


@dataclass(frozen=True, slots=True)
class Options:
    """How the counts are to be read."""

    control: str | None = None
    alpha: float = 0.05
    method: Method = "benjamini_hochberg"
    recovered: Mapping[str, float] | None = None
    """Share of the units lost at a step that a realistic improvement keeps, by step."""
    values: Mapping[str, float] | None = None
    """What one unit at a step is worth, by step."""
    share: Sequence[str] = ()


def answer_funnel(read: Funnel, options: Options) -> dict[str, Any]:
    """Return the funnel of every arm and segment, and differences to the control per assigned unit. Raises Misused, Refused."""
    arms = sorted({one.arm for one in read.counts})
    if not read.counts:
        raise Refused("no_rows", "no unit is left", "look at --where and at the file")
    if options.control is not None and options.control not in arms:
        raise Misused(f"no unit is in the control {options.control!r}; the arms are {', '.join(arms)}")
    if options.control is None and len(arms) > 1:
        raise Misused(f"say which arm is the --control: {', '.join(arms)}")
    if not 0 < options.alpha < 1:
        raise Misused(f"alpha lies between 0 and 1; got {options.alpha:g}")
    whole = {arm: replace(pooled(one for one in read.counts if one.arm == arm), segment=None) for arm in arms}
    n = {arm: counts.n for arm, counts in whole.items()}
    split = gate_split(n, options.share, options.control) if options.control else None
    segments = [one for one in read.counts if one.segment is not None]
    differences = _differences([*whole.values(), *segments], read.steps, options) if options.control else []
    ends = [one for one in differences if one["segment"] is None and one["step"] == read.steps[-1]]
    return (only(ends[0]) if len(ends) == 1 else {}) | {
        "what": "funnel",
        "definition": {"rate": CAUSAL, "conditional_rate": CONDITIONAL, "bottleneck": ASSUMPTION, "difference": DIFFERENCE},
        "steps": list(read.steps),
        "control": options.control,
        "n": n,
        "units": read.units,
        "open_windows_left_out": read.open_windows,
        "empty_cells_counted_as_not_done": read.empty_cells,
        "split": split.document if split else None,
        "alpha": options.alpha,
        "recovered_share": {step: (options.recovered or {}).get(step, RECOVERED) for step in read.steps},
        "values": dict(options.values or {}),
        "funnels": [_funnel(counts, read.steps, options) for counts in (*whole.values(), *segments)],
        "differences": differences,
        "multiplicity": {"method": options.method, "tests": len(differences), "meaning": MEANING[options.method]},
        "notes": [*([split.warning] if split and split.warning else []), *_notes(whole, read)],
    }


def _funnel(counts: Counts, names: Sequence[str], options: Options) -> dict[str, Any]:
    steps = steps_of(counts, names, options.alpha)
    drop = biggest_drop(steps)
    try:
        ranked = bottlenecks(counts, names, options.recovered, options.values)
    except ValueError as err:
        raise Misused(f"--recover, --value: {err}") from err
    return {
        "arm": counts.arm,
        "segment": counts.segment,
        "n": counts.n,
        "steps": [asdict(step) for step in steps],
        "biggest_drop": None if drop is None else drop.step,
        "bottlenecks": [asdict(one) for one in ranked],
    }


def _differences(cells: Sequence[Counts], names: Sequence[str], options: Options) -> list[dict[str, Any]]:
    found = []
    controls = {one.segment: one for one in cells if one.arm == options.control}
    for treatment in cells:
        control = controls.get(treatment.segment)
        if treatment.arm == options.control or control is None:
            continue
        for i, step in enumerate(names):
            one = difference(Count(treatment.did[i], treatment.n), Count(control.did[i], control.n), options.alpha)
            n = {control.arm: control.n, treatment.arm: treatment.n}
            found.append({"step": step, "arm": treatment.arm, "control": control.arm, "segment": treatment.segment, "n": n} | one)
    family = adjust([one["p_value"] for one in found], options.alpha, options.method)
    for one, adjusted, rejected in zip(found, family.adjusted, family.rejected, strict=True):
        one |= {"p_adjusted": adjusted, "real": rejected}
    return found


def difference(treatment: Count, control: Count, alpha: float) -> dict[str, Any]:
    """Return the difference of two rates per assigned unit: Welch, or with few events Newcombe's interval and the score test's p-value."""
    fewest = min(fewer for arm in (treatment, control) for fewer in (arm.events, arm.units - arm.events))
    lift = fieller(treatment.share, control.share, _variance(treatment), _variance(control), alpha)
    shown = {"n_treatment": treatment.units, "n_control": control.units, "rate_treatment": treatment.share, "rate_control": control.share}
    relative = {"lift": lift.lift, "lift_ci_low": lift.ci_low, "lift_ci_high": lift.ci_high}
    if fewest >= FEW_EVENTS:
        welch = contrast([_statistic(treatment)], [_statistic(control)], Quantity("y"), alpha=alpha)
        interval = {"ci_low": welch.ci_low, "ci_high": welch.ci_high, "p_value": welch.p_value}
        return shown | {"estimate": welch.estimate, "se": welch.se, **interval, **relative, "method": "welch"}
    low, high = newcombe(treatment, control, alpha)
    se = (_variance(treatment) + _variance(control)) ** 0.5
    few = {"ci_low": low, "ci_high": high, "p_value": pooled_z(treatment, control)[1]}
    return shown | {"estimate": treatment.share - control.share, "se": se, **few, **relative, "method": "newcombe"}


def _variance(count: Count) -> float:
    """Of the share; 0 for one unit."""
    return count.share * (1 - count.share) / (count.units - 1) if count.units > 1 else 0.0


def _statistic(count: Count) -> Statistic:
    return Statistic.of_one(count.units, count.share, _variance(count) * count.units)


def _notes(whole: Mapping[str, Counts], read: Funnel) -> list[str]:
    said = []
    if read.open_windows:
        said.append(f"{several(read.open_windows, 'unit was', 'units were')} left out: the window is still open")
    if read.empty_cells:
        said.append(f"{read.empty_cells:,} empty cells of steps count as not done")
    for arm, counts in whole.items():
        who = "" if arm == EVERYONE else f" in {arm}"
        for i in range(1, len(read.steps)):
            skipped = counts.did[i] - counts.did_both[i]
            if skipped > _LEAKY * max(counts.did[i], 1):
                said.append(
                    f"{skipped:,} of {counts.did[i]:,} units{who} did {read.steps[i]} without {read.steps[i - 1]}: another way there, or "
                    "an event that was not logged; rates per assigned unit hold, the drop-off counts only those who came through"
                )
    return said
