"""From a table of logged decisions to off-policy estimates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from liftgate.measure import ope, ope_parts, ope_source, ope_trust
from liftgate.measure.envelope import enveloped
from liftgate.measure.log import new_aside
from liftgate.measure.refusal import Misused, Refusal, several
from liftgate.measure.relative import fieller
from liftgate.measure.table import open_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAVY_TOP = 0.5
"""Share of the weight in 1 % of the decisions that is warned of."""


def value_policy(
    path: str,
    *,
    action: str,
    reward: str,
    logged_probability: str,
    target_probability: str,
    cluster: str | None = None,
    q_logged: str | None = None,
    q_target: str | None = None,
    unsupported: str | None = None,
    where: str = "",
    limits: ope_trust.Limits | None = None,
    clip: float = 10.0,
    switch: float = 10.0,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the estimates and diagnostics as plain data. Raises Misused, and Refused where a cell is no number."""
    if (q_logged is None) != (q_target is None):
        raise Misused("--q-logged and --q-target belong together: DR needs the prediction for the logged action and under the target")
    limits = limits or ope_trust.Limits()
    texts = {"action": action} | ({"cluster": cluster} if cluster else {})
    numbers = {"reward": reward, "logged_probability": logged_probability, "target_probability": target_probability}
    numbers |= {k: v for k, v in (("q_logged", q_logged), ("q_target", q_target), ("unsupported", unsupported)) if v is not None}
    table = open_table(path, text=tuple(texts.values()), where=where)
    table.has(*numbers.values())
    table.check(numbers.values())
    columns = {k: table.number(v) for k, v in numbers.items()} | {k: table.text(v) for k, v in texts.items()}
    counted = table.one({"rows": table.rows.count(), **({"units": table.text(cluster).count()} if cluster else {})})
    if cluster and (lost := counted["rows"] - counted["units"]):
        why = Refusal(
            "missing_key", f"{several(lost, 'row has', 'rows have')} no {cluster}", "keep them out with --where, or mend the table"
        )
        return enveloped("ope", {"refusal": why})
    if counted["rows"] > ope_source.HELD_ROWS:
        with new_aside() as aside:
            file = Path(aside) / "decisions.parquet"
            rows = table.rows.select(**{ope_parts.UNIT if k == "cluster" else k: one for k, one in columns.items()})
            table.backend.to_parquet(rows, str(file), by=ope_parts.UNIT if cluster else "")
            return value_source(ope_parts.Parted(file), limits, clip, switch, replicates, seed)
    found = table.arrays(columns, tuple(texts))
    index, names = found.pop("action")
    index = np.where(index < 0, len(names), index)
    units, _ = found.pop("cluster", (None, None))
    named = [*names, "(missing)"] if len(index) and index.max() == len(names) else names
    return value_decisions(ope.Logged(**found, cluster=units), index, named, limits, clip, switch, replicates, seed)


def value_decisions(
    logged: ope.Logged,
    action: NDArray[np.intp],
    names: list[str],
    limits: ope_trust.Limits,
    clip: float = 10.0,
    switch: float = 10.0,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the same for decisions in memory; `action` leads each decision to its name in `names`."""
    return value_source(ope_source.Loaded(logged, action, names), limits, clip, switch, replicates, seed)


def value_source(
    source: ope_source.Source, limits: ope_trust.Limits, clip: float = 10.0, switch: float = 10.0, replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return the same for decisions wherever they are."""
    answer = enveloped("ope", {"estimator": None})
    n, refused = source.refused()
    if refused:
        return answer | {"n": n, "refusal": refused}
    seen = source.diagnosed(clip)
    refused = ope_trust.judge(seen, source.rewards(), limits)
    answer |= {
        "n": seen.n,
        "units": seen.units,
        "diagnostics": seen,
        "limits": limits,
        "clip": clip,
        "switch": switch,
        "bootstrap": {"replicates": replicates, "seed": seed},
        "actions": source.support(),
        "refusal": refused,
    }
    if refused:
        return answer
    on_log, *estimates = ope.estimates_of(source.units(clip, switch), source.has_model, replicates=replicates, seed=seed)
    head = next(one for one in estimates if one.estimator == ("dr" if source.has_model else "snips"))
    t = abs(head.difference) / head.difference_se if head.difference_se else float("inf") if head.difference else 0.0
    together = (head.se**2 + on_log.se**2 - head.difference_se**2) / 2
    z = float(stats.t.isf(0.025, max(seen.units - 1, 1)))
    lift = fieller(head.estimate, on_log.estimate, head.se**2, on_log.se**2, covariance=together, z=z)
    return answer | {
        "estimator": head.estimator,
        "estimate": head.estimate,
        "se": head.se,
        "ci_low": head.ci_low,
        "ci_high": head.ci_high,
        "definition": head.definition,
        "on_log": on_log,
        "difference": head.difference,
        "difference_se": head.difference_se,
        "difference_ci_low": head.difference_ci_low,
        "difference_ci_high": head.difference_ci_high,
        "lift": lift.lift,
        "lift_ci_low": lift.ci_low,
        "lift_ci_high": lift.ci_high,
        "p_value": float(2 * stats.t.sf(t, seen.units - 1)),
        "estimates": estimates,
        "warnings": _warnings(seen, head),
    }


def _warnings(seen: ope_trust.Diagnostics, head: ope.Estimate) -> list[str]:
    says = []
    if seen.top_1_percent_share > HEAVY_TOP:
        says.append(f"1 % of the decisions carry {seen.top_1_percent_share:.0%} of the weight; look at them before believing the answer")
    if seen.clipped_share > 0:
        says.append(f"{seen.clipped_share:.2%} of the weights are above the clip: clipped_ips and switch_dr trade bias for variance there")
    if head.bootstrap_ci_low is not None and head.bootstrap_ci_high is not None and head.ci_high > head.ci_low:
        ratio = (head.bootstrap_ci_high - head.bootstrap_ci_low) / (head.ci_high - head.ci_low)
        if not 0.75 < ratio < 1.33:
            says.append(f"the bootstrap interval is {ratio:.2f} times as wide as the other: too few heavy decisions for either to be exact")
    if seen.unsupported is None:
        says.append(
            "actions that the log could never take show only in the mean weight, "
            f"which sees a loss of support above about {max(3 * seen.mean_weight_se, 0.05):.0%}; --unsupported makes it exact"
        )
    return says
