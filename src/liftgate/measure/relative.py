"""Relative lift of one mean over another: treatment / control - 1, by Fieller, and what other tools print."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Lift:
    """Relative lift. None where there is no finite answer."""

    lift: float | None
    """treatment / control - 1; None where control is 0."""
    ci_low: float | None
    ci_high: float | None
    bounded: bool
    """False: control is not clearly away from 0, so its reciprocal, and with it the lift, may be anything."""


def fieller(
    treatment: float,
    control: float,
    var_treatment: float,
    var_control: float,
    alpha: float = 0.05,
    *,
    covariance: float = 0.0,
    z: float | None = None,
) -> Lift:
    """Return the lift with Fieller's interval (normal quantile) from two means, the variances of those means and their covariance.

    `z`: half-width over standard error of the difference's own interval, instead of the normal quantile; of a confidence sequence, too, for
    it holds of any linear combination of the two means.
    """
    lift = treatment / control - 1 if control else None
    z2 = (float(stats.norm.isf(alpha / 2)) if z is None else z) ** 2
    a = control**2 - z2 * var_control
    if a <= 0:
        return Lift(lift, None, None, False)
    b, c = treatment * control - z2 * covariance, treatment**2 - z2 * var_treatment
    d = math.sqrt(max(0.0, b * b - a * c))
    return Lift(lift, (b - d) / a - 1, (b + d) / a - 1, True)


def delta_se(treatment: float, control: float, var_treatment: float, var_control: float) -> float | None:
    """Return the delta-method standard error of the lift. Its symmetric interval is no headline: it can contradict the p-value."""
    return math.sqrt(var_treatment / control**2 + var_control * treatment**2 / control**4) if control else None


def log_interval(
    treatment: float, control: float, var_treatment: float, var_control: float, n_treatment: int, n_control: int, alpha: float = 0.05
) -> tuple[float, float] | None:
    """Return the interval of the lift on the log scale (t, Welch df of the scaled variances); None unless both means are above 0."""
    if treatment <= 0 or control <= 0:
        return None
    parts = var_treatment / treatment**2, var_control / control**2
    if sum(parts) == 0:
        return None
    df = sum(parts) ** 2 / (parts[0] ** 2 / (n_treatment - 1) + parts[1] ** 2 / (n_control - 1))
    half = float(stats.t.isf(alpha / 2, df)) * math.sqrt(sum(parts))
    return treatment / control * math.exp(-half) - 1, treatment / control * math.exp(half) - 1
