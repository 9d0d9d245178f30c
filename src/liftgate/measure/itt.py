"""What an offer did to those who saw it: the effect on compliers (CACE), from all assigned units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from liftgate.measure.contrast import Quantity, sides
from liftgate.measure.refusal import Refused
from liftgate.measure.statistic import Statistic

WEAK_F = 10.0
"""Below this F of the first stage, a ratio to it has no usable interval."""


@dataclass(frozen=True, slots=True)
class Cace:
    """Effect of exposure on units that are exposed because they were assigned to be, if assignment acts through exposure alone."""

    estimate: float
    se: float
    """Delta method, with the covariance of outcome and exposure."""
    ci_low: float
    ci_high: float
    """Normal quantile."""
    p_value: float
    first_stage: float
    """Share exposed in treatment minus share exposed in control."""


def cace(
    treatment: Sequence[Statistic],
    control: Sequence[Statistic],
    metric: Quantity,
    exposed: str,
    covariates: Sequence[Quantity] = (),
    alpha: float = 0.05,
) -> Cace:
    """Return the intention-to-treat difference over the first stage; strata as in `contrast`. Raises Refused `weak_first_stage`."""
    _, (t, c) = sides(treatment, control, [metric, Quantity(exposed)], covariates)
    itt, stage = (float(x) for x in t.values - c.values)
    spread = t.covariance + c.covariance
    if not stage * stage > WEAK_F * spread[1, 1] or stage == 0:
        raise Refused(
            "weak_first_stage",
            f"assignment moves the share of exposed units by {stage:.4f} only, which cannot be told from 0 well enough to divide by it",
            "read the intention-to-treat effect instead; check that exposures are logged for the treatment arm",
        )
    estimate = itt / stage
    variance = (spread[0, 0] - 2 * estimate * spread[0, 1] + estimate**2 * spread[1, 1]) / stage**2
    se = math.sqrt(max(0.0, float(variance)))
    half = float(stats.norm.isf(alpha / 2)) * se
    p_value = 2 * float(stats.norm.sf(abs(estimate) / se)) if se else float(estimate == 0)
    return Cace(estimate, se, estimate - half, estimate + half, p_value, stage)
