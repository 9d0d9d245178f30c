"""Before any effect is read: the split is the planned one, and it did not change unnoticed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from liftgate.measure.lift_table import Cells
from liftgate.measure.refusal import Refusal
from liftgate.measure.srm import ALARM_P, Srm, refusal, srm
from liftgate.measure.srm_table import shares_of, without_absent

UNKNOWN = ("unknown",)
"""Said instead of planned shares: nobody knows them, and the split stays unchecked."""
_ROUND = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3, 2 / 3, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
"""Shares of a control arm that people plan, other than the equal one; none so near to it that a loss of a few percent looks like one."""


@dataclass(frozen=True, slots=True)
class Split:
    """The split by stratum, "" without strata, and what follows."""

    found: Mapping[str, Srm]
    checked: str
    """given, equal, round (read off the data, so a warning goes with it), or unknown."""
    refusal: Refusal | None


def check_split(cells: Cells) -> Split:
    """Hold units by arm against the planned shares: the given ones, or else equal ones, or else a round holdout that fits."""
    question = cells.question
    if question.shares == UNKNOWN:
        return Split({}, "unknown", None)
    planned = shares_of(question.shares, question.strata)
    pooled = planned.within is None and (planned.whole is not None or not question.strata)
    groups = {(): cells.counts({})} if pooled else _by_stratum(cells)
    level = ALARM_P / len(groups)
    checked = "given" if question.shares else "equal"
    found: dict[str, Srm] = {}
    why: Refusal | None = None
    for values, counts in groups.items():
        stratum = dict(zip(question.strata, values, strict=False))
        name = ", ".join(f"{n}={v}" for n, v in stratum.items())
        weights = without_absent(planned.of(stratum), counts)
        one = srm(counts, weights)
        if one.p_value < level and not weights and (near := nearest_round(counts, question.control)).p_value >= ALARM_P:
            one, checked = near, "round"
        found[name] = one
        if one.p_value < level:
            why = why or refusal(one, f" where {name}" if name else "")
    return Split(found, checked, why)


def check_allocation(cells: Cells) -> Refusal | None:
    """Return why arms cannot be pooled over periods, or None: their shares are alike in all, or the period is a stratum."""
    period = cells.question.period
    if not period or period in cells.question.strata:
        return None
    counts = np.array([list(cells.counts({period: value}).values()) for value in cells.values(period)], dtype=np.float64)
    if len(counts) < 2:
        return None
    wanted = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    p_value = float(stats.chi2.sf(float(((counts - wanted) ** 2 / wanted).sum()), (counts.shape[0] - 1) * (counts.shape[1] - 1)))
    if p_value >= ALARM_P:
        return None
    control = cells.values(cells.keys[0]).index(cells.question.control)
    shares = counts[:, control] / counts.sum(axis=1)
    return Refusal(
        "changed_allocation",
        f"the control's share moves from {shares.min():.1%} to {shares.max():.1%} over {period!r} (p {p_value:.2g}): pooled over periods, "
        "a change of season would be read as an effect",
        f"compare within periods: --stratum {period}",
    )


def _by_stratum(cells: Cells) -> dict[tuple[str, ...], dict[str, int]]:
    arms = cells.values(cells.keys[0])
    picked = {arm: cells.pick(arm, {}) for arm in arms}
    strata = sorted({stratum for one in picked.values() for stratum in one})
    return {stratum: {arm: picked[arm][stratum].n if stratum in picked[arm] else 0 for arm in arms} for stratum in strata}


def nearest_round(counts: Mapping[str, int], control: str) -> Srm:
    """Hold units by arm against the round share of the control that is nearest to what came, the others sharing the rest."""
    share = counts[control] / sum(counts.values())
    near = min(_ROUND, key=lambda one: abs(one - share))
    others = len(counts) - 1
    return srm(counts, {arm: near if arm == control else (1 - near) / others for arm in counts})
