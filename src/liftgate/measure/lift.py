"""Lift of every treatment arm over control, for every metric and segment: one effect, one interval and one p-value each, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from scipy import stats

from liftgate.measure import relative
from liftgate.measure.contrast import Contrast, Quantity, contrast
from liftgate.measure.itt import cace
from liftgate.measure.lift_gate import check_allocation, check_split
from liftgate.measure.lift_question import Guardrail, Metric, Question
from liftgate.measure.lift_table import Cells, missing, nonzero, read_cells
from liftgate.measure.multiplicity import adjust
from liftgate.measure.proportion import Count, newcombe, pooled_z
from liftgate.measure.refusal import Misused, Refused
from liftgate.measure.srm import ALARM_P
from liftgate.measure.statistic import Statistic, merged

FEW = 10
"""Below this many events (units with an outcome other than 0) in an arm, Welch's interval does not hold what it promises."""
Strata = Sequence[Statistic]


def measure_lift(question: Question) -> dict[str, Any]:
    """Answer the question as plain data; docs/measurement.md lists the keys. Raises Misused, and Refused where nothing can be said."""
    cells = read_cells(question)
    question = cells.question
    split, moved = check_split(cells), check_allocation(cells)
    refused = moved or split.refusal
    report: dict[str, Any] = {
        "what": "lift",
        "unit": question.unit,
        "control": question.control,
        "n": cells.counts({}),
        "alpha": question.alpha,
        "split": {
            "checked_against": split.checked,
            "by_stratum": {
                name: {"shares": one.shares, "p_value": one.p_value, "e_value": one.e_value} for name, one in split.found.items()
            },
        },
        "winsorised_at": dict(cells.caps),
        "warnings": _warnings(cells, split.checked),
        "results": [],
        "guardrails": [],
        "refusal": refused.as_json() if refused else None,
    }
    if refused:
        return report
    arms = [arm for arm in cells.values(question.arm) if arm != question.control]
    compared = [(cells, arm) for arm in arms]
    if question.pairwise:
        compared += [(cells.against(one), other) for one, other in combinations(arms, 2)]
    subsets: list[tuple[str, dict[str, str]]] = [("itt", {})]
    subsets += [("itt", {name: value}) for name in question.segments for value in cells.values(name)]
    if question.triggered:
        subsets.insert(1, ("triggered", {question.triggered: _yes(cells.values(question.triggered), question.triggered)}))
    results = [_result(held, metric, arm, *subset) for subset in subsets for metric in question.metrics for held, arm in compared]
    _correct(results, question)
    report["results"] = results
    report["guardrails"] = [_guarded(cells, guardrail, arm) for guardrail in question.guardrails for arm in arms]
    answered = [*(one for one in results if not one["segment"]), *report["guardrails"]]
    report["refusal"] = next((why for one in answered if (why := one["refusal"] or one.get("cace_refusal"))), None)
    if len(results) + len(report["guardrails"]) == 1:
        report = {**[*results, *report["guardrails"]][0], **report, "n": [*results, *report["guardrails"]][0]["n"]}
    return report


def _result(cells: Cells, metric: Metric, arm: str, kind: str, chosen: Mapping[str, str]) -> dict[str, Any]:
    question = cells.question
    base: dict[str, Any] = {
        "metric": metric.label,
        "kind": metric.kind,
        "arm": arm,
        "control": question.control,
        "analysis": kind,
        "segment": None if kind == "triggered" else dict(chosen) or None,
        **dict.fromkeys(("estimate", "se", "df", "ci_low", "ci_high", "p_value", "p_adjusted", "significant")),
        **dict.fromkeys(("lift", "lift_ci_low", "lift_ci_high", "lift_bounded")),
        "refusal": None,
    }
    counts = cells.counts(chosen)
    base["n"] = {name: counts[name] for name in (question.control, arm)}
    try:
        if kind == "triggered":
            base |= _trigger(cells, arm, chosen)
        treatment, control = _aligned(cells, arm, chosen)
        base |= _estimated(cells, metric, treatment, control, (question.control, arm))
        if question.exposed:
            base |= _exposed(cells, metric, treatment, control)
        if kind == "triggered":
            base["diluted_estimate"] = base["estimate"] * base["trigger_rate"]
    except Refused as err:
        base["refusal"] = err.refusal.as_json()
        base["definition"] = None
    return base


def _exposed(cells: Cells, metric: Metric, treatment: Strata, control: Strata) -> dict[str, Any]:
    """Return the effect on those exposed, or why there is none: the intention-to-treat effect stands without it."""
    question = cells.question
    try:
        found = cace(treatment, control, metric.quantity, question.exposed, _covariates(cells), question.alpha)
    except Refused as err:
        return {"cace": None, "cace_refusal": err.refusal.as_json()}
    return {"cace": found, "cace_refusal": None}


def _aligned(cells: Cells, arm: str, chosen: Mapping[str, str]) -> tuple[list[Statistic], list[Statistic]]:
    treatment, control = cells.pick(arm, chosen), cells.pick(cells.question.control, chosen)
    for stratum in sorted(treatment.keys() | control.keys()):
        for name, side in ((arm, treatment), (cells.question.control, control)):
            if stratum not in side:
                raise Refused(
                    "stratum_without_arm",
                    f"no unit of arm {name!r} is in {', '.join(stratum) or 'this part of the table'}: there is nothing to compare there",
                    "keep it out with --where, or choose coarser strata or segments",
                )
    strata = sorted(treatment)
    return [treatment[s] for s in strata], [control[s] for s in strata]


def _covariates(cells: Cells) -> list[Quantity]:
    return [one.quantity for one in cells.question.covariates] + [Quantity(missing(name)) for name in cells.missing_covariates]


def _estimated(cells: Cells, metric: Metric, treatment: Strata, control: Strata, names: tuple[str, str]) -> dict[str, Any]:
    question = cells.question
    covariates = _covariates(cells)
    t, c = merged(treatment), merged(control)
    events = {name: round(side.total(nonzero(metric.column))) for name, side in zip(names, (c, t), strict=True)}
    out: dict[str, Any] = {
        "events": events,
        "missing_as_zero": {name: round(side.total(missing(metric.column))) for name, side in zip(names, (c, t), strict=True)},
    }
    counts = [Count(events[name], side.n) for name, side in zip(names, (c, t), strict=True)]
    rare = [min(one.events, one.units - one.events) if metric.kind == "binary" else one.events for one in counts]
    few = min(rare) < FEW
    plain = metric.kind == "binary" and len(treatment) == 1 and not covariates
    if few and (not plain or sum(rare) == 0):
        raise Refused(
            "too_few_events",
            f"{metric.label} has {events[names[0]]} events in control and {events[names[1]]} in {names[1]!r}; an arm needs {FEW}",
            "wait for more" + ("" if plain else ", or ask for a binary metric without covariates and strata, which needs fewer"),
        )
    found = contrast(treatment, control, metric.quantity, covariates, question.alpha)
    out |= _plain(found, names)
    out["theta"] = dict(zip([q.numerator for q in covariates], found.theta, strict=True))
    if covariates:
        alone = contrast(treatment, control, metric.quantity, (), question.alpha)
        out["variance_kept"] = (found.se / alone.se) ** 2
        out["unadjusted"] = {"estimate": alone.estimate, "se": alone.se, "p_value": alone.p_value}
    out["method"] = "newcombe" if few else "welch"
    out["also"] = _also(found, t.n, c.n, question.alpha)
    if plain:
        z, p_value = pooled_z(counts[1], counts[0])
        low, high = newcombe(counts[1], counts[0], question.alpha)
        out["also"] |= {"pooled_z": z, "pooled_p": p_value, "newcombe_low": low, "newcombe_high": high}
        if few:
            out |= {"ci_low": low, "ci_high": high, "p_value": p_value, "df": None}
    out["total_effect"] = {k: None if out[k] is None else out[k] * t.n for k in ("estimate", "ci_low", "ci_high")}
    out["definition"] = _definition(metric, few, len(treatment), bool(covariates), metric.column in cells.caps)
    return out


def _plain(found: Contrast, names: tuple[str, str]) -> dict[str, Any]:
    return {
        "mean": {names[0]: found.control, names[1]: found.treatment},
        "estimate": found.estimate,
        "se": found.se,
        "df": found.df,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "p_value": found.p_value,
        "lift": found.relative.lift,
        "lift_ci_low": found.relative.ci_low,
        "lift_ci_high": found.relative.ci_high,
        "lift_bounded": found.relative.bounded,
    }


def _also(found: Contrast, n_t: int, n_c: int, alpha: float) -> dict[str, Any]:
    args = found.treatment, found.control, found.var_treatment, found.var_control
    log = relative.log_interval(*args, n_t, n_c, alpha)
    return {"lift_delta_se": relative.delta_se(*args), "lift_log_low": log and log[0], "lift_log_high": log and log[1]}


def _definition(metric: Metric, few: bool, strata: int, cuped: bool, capped: bool) -> str:
    words = ["mean of treatment minus mean of control over all assigned units, a missing outcome counting 0"]
    if metric.kind == "ratio":
        words = ["ratio of sums in treatment minus that in control; variance by the delta method over units of randomisation"]
    if capped:
        words.append("values capped at a quantile of those other than 0, pooled over arms")
    if cuped:
        words.append("CUPED: theta from the covariance over both arms together, a missing covariate counting 0 with an indicator")
    if strata > 1:
        words.append(f"within {strata} strata, each weighted by its units of both arms")
    words.append(
        "Newcombe's interval, p of the pooled z" if few else "Welch, t quantile with Welch df, two-sided p of the absolute difference"
    )
    words.append("lift by Fieller, normal quantile")
    return "; ".join(words)


def _trigger(cells: Cells, arm: str, chosen: Mapping[str, str]) -> dict[str, Any]:
    whole, part = cells.counts({}), cells.counts(chosen)
    names = arm, cells.question.control
    _, p_value = pooled_z(*(Count(part[name], whole[name]) for name in names))
    if p_value < ALARM_P:
        shares = " and ".join(f"{part[name] / whole[name]:.2%} of {name!r}" for name in names)
        raise Refused(
            "trigger_differs_by_arm",
            f"the trigger holds for {shares} (p {p_value:.2g}): it depends on the arm, so that the triggered units are not comparable",
            "compute the trigger from what was known before assignment, alike in both arms; until then read the intention-to-treat effect",
        )
    return {"trigger_rate": sum(part[name] for name in names) / sum(whole[name] for name in names)}


def _yes(values: Sequence[str], column: str) -> str:
    yes = [value for value in values if value.lower() in ("1", "1.0", "true", "t", "yes")]
    no = [value for value in values if value.lower() in ("0", "0.0", "false", "f", "no")]
    if len(yes) != 1 or len(values) != len(yes) + len(no):
        raise Misused(f"--triggered {column}: the column holds 1 for triggered and 0 for not; it has {', '.join(values[:10])}")
    return yes[0]


def _guarded(cells: Cells, guardrail: Guardrail, arm: str) -> dict[str, Any]:
    """One-sided non-inferiority: worse by less than the margin."""
    found = _result(cells, guardrail.metric, arm, "itt", {})
    sign = 1.0 if guardrail.good == "up" else -1.0
    found |= {"good": guardrail.good, "margin": guardrail.margin, "bound": None, "p_non_inferior": None, "passed": None}
    if found["refusal"]:
        return found
    alpha = cells.question.alpha
    if found["method"] == "newcombe":
        treatment, control = (Count(found["events"][name], found["n"][name]) for name in (arm, cells.question.control))
        low, high = newcombe(treatment, control, 2 * alpha)
        found["bound"] = low if guardrail.good == "up" else high
    else:
        found["bound"] = found["estimate"] - sign * float(stats.t.isf(alpha, found["df"])) * found["se"]
        found["p_non_inferior"] = float(stats.t.sf((sign * found["estimate"] + guardrail.margin) / found["se"], found["df"]))
    found["passed"] = sign * found["bound"] > -guardrail.margin
    found["definition"] += f"; one-sided: passed where the {1 - alpha:.0%} bound is no worse than the margin"
    return found


def _correct(results: list[dict[str, Any]], question: Question) -> None:
    family = [one for one in results if one["p_value"] is not None]
    if not family:
        return
    method = "holm" if question.correction == "holm" else "benjamini_hochberg"
    found = adjust([one["p_value"] for one in family], question.alpha, "holm" if method == "holm" else "benjamini_hochberg")
    for one, p_value, rejected in zip(family, found.adjusted, found.rejected, strict=True):
        one |= {"p_adjusted": p_value, "significant": rejected, "family": len(family), "correction": method}


def _warnings(cells: Cells, checked: str) -> list[str]:
    question, words = cells.question, []
    if checked == "round":
        words.append(
            "the split is no equal one; it was read as a planned holdout of round size. Say what was planned with --share ARM=WEIGHT"
        )
    if checked == "unknown":
        words.append("the split was not checked: an effect may come from lost units")
    for name in cells.missing_covariates:
        words.append(f"covariate {name} is missing for some units: 0 was taken for them, in all arms, with an indicator beside it")
    if question.exposed:
        words.append("the effect on those exposed (CACE) supposes that assignment acts through exposure alone")
    return words
