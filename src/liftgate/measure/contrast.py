"""Treatment minus control, from sufficient statistics: Welch, the delta method for ratios, CUPED and strata in one closed form.

Every arm is a vector of means, weighted over strata by the units of both arms, with its covariance. A metric is a mean or a ratio of two
means; CUPED takes theta times the covariates off it; the variance is that of the linearised whole, summed over strata and arms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from liftgate.measure.refusal import Refused
from liftgate.measure.relative import Lift, fieller
from liftgate.measure.statistic import Floats, Statistic


@dataclass(frozen=True, slots=True)
class Quantity:
    """The mean of a column, or the ratio of the means of two."""

    numerator: str
    denominator: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One arm's (adjusted) values of Q quantities."""

    values: Floats
    """Q values."""
    parts: tuple[Floats, ...]
    """Q x Q by stratum: what it adds to the covariance of the values."""
    dfs: tuple[int, ...]
    """Units less one, by stratum."""

    @property
    def covariance(self) -> Floats:
        """Q x Q covariance of the values."""
        return np.asarray(sum(self.parts), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Treatment minus control of one metric."""

    estimate: float
    se: float
    df: float
    """Welch-Satterthwaite over arms and strata."""
    ci_low: float
    ci_high: float
    p_value: float
    """Two-sided, of the absolute difference."""
    control: float
    """The (adjusted) value in control."""
    treatment: float
    var_control: float
    """Variance of `control`, not of a unit."""
    var_treatment: float
    relative: Lift
    theta: tuple[float, ...]
    """One a covariate; empty without."""

    def t_statistic(self) -> float:
        """Return estimate over se."""
        return self.estimate / self.se


def contrast(
    treatment: Sequence[Statistic],
    control: Sequence[Statistic],
    metric: Quantity,
    covariates: Sequence[Quantity] = (),
    alpha: float = 0.05,
) -> Contrast:
    """Return treatment minus control; the two sequences hold the same strata in the same order, one without strata.

    Raises Refused: too_few_units, zero_variance, zero_denominator, covariate_without_variance.
    """
    theta, (t, c) = sides(treatment, control, [metric], covariates)
    estimate = float(t.values[0] - c.values[0])
    var_t, var_c = float(t.covariance[0, 0]), float(c.covariance[0, 0])
    if not var_t + var_c > 0:
        raise Refused(
            "zero_variance",
            f"every unit of both arms has the same {metric.numerator}: there is nothing to compare",
            "check that the column holds outcomes and that their window has passed",
        )
    se = math.sqrt(var_t + var_c)
    df = _welch_df(t, c)
    half = float(stats.t.isf(alpha / 2, df)) * se
    p_value = 2 * float(stats.t.sf(abs(estimate) / se, df))
    relative = fieller(float(t.values[0]), float(c.values[0]), var_t, var_c, alpha)
    return Contrast(
        estimate,
        se,
        df,
        estimate - half,
        estimate + half,
        p_value,
        float(c.values[0]),
        float(t.values[0]),
        var_c,
        var_t,
        relative,
        theta[0],
    )


def sides(
    treatment: Sequence[Statistic], control: Sequence[Statistic], metrics: Sequence[Quantity], covariates: Sequence[Quantity] = ()
) -> tuple[list[tuple[float, ...]], tuple[Side, Side]]:
    """Return theta by metric, and both arms with the covariates taken off every metric. Raises Refused as `contrast` does."""
    for statistic in (*treatment, *control):
        if statistic.n < 2:
            raise Refused(
                "too_few_units",
                f"an arm has {statistic.n} units where at least 2 are needed",
                "wait for more units, or choose coarser strata or segments",
            )
    both = [t + c for t, c in zip(treatment, control, strict=True)]
    weights = np.array([s.n for s in both], dtype=np.float64) / sum(s.n for s in both)
    quantities = [*metrics, *covariates]
    k = len(metrics)
    values, gradient = _linear(both, weights, quantities)
    spread = gradient @ sum(s.products for s in both) @ gradient.T / sum(s.n - 1 for s in both)
    theta: Floats = np.zeros((k, len(covariates)))
    if covariates:
        flat = [q.numerator for q, v in zip(covariates, np.diag(spread)[k:], strict=True) if not v > 0]
        if flat or np.linalg.matrix_rank(_scaled(spread[k:, k:]), tol=1e-10) < len(covariates):
            raise Refused(
                "covariate_without_variance",
                f"{', '.join(flat) or 'one covariate'} is the same for every unit, or follows from the others: it explains nothing",
                "leave this --covariate out",
            )
        theta = np.asarray(np.linalg.solve(spread[k:, k:], spread[k:, :k]).T, dtype=np.float64)
    take = np.hstack([np.eye(k), -theta])
    middle = theta @ values[k:]
    t, c = (_side(arm, weights, quantities, take, middle) for arm in (treatment, control))
    return [tuple(float(x) for x in row) for row in theta], (t, c)


def _side(arm: Sequence[Statistic], weights: Floats, quantities: Sequence[Quantity], take: Floats, middle: Floats) -> Side:
    values, gradient = _linear(arm, weights, quantities)
    slope = take @ gradient
    parts = tuple(w * w * slope @ s.covariance @ slope.T / s.n for w, s in zip(weights, arm, strict=True))
    return Side(take @ values + middle, parts, tuple(s.n - 1 for s in arm))


def _linear(strata: Sequence[Statistic], weights: Floats, quantities: Sequence[Quantity]) -> tuple[Floats, Floats]:
    """Return the Q values over strata, and their Q x K gradient in the columns' means."""
    names = strata[0].names
    means = sum((w * s.means for w, s in zip(weights, strata, strict=True)), np.zeros(len(names)))
    values, gradient = np.zeros(len(quantities)), np.zeros((len(quantities), len(names)))
    for i, quantity in enumerate(quantities):
        top = names.index(quantity.numerator)
        if quantity.denominator is None:
            values[i], gradient[i, top] = means[top], 1.0
            continue
        bottom = names.index(quantity.denominator)
        if means[bottom] == 0:
            raise Refused(
                "zero_denominator",
                f"the units of an arm have {quantity.denominator} 0 in all: a ratio to it is undefined",
                "check the denominator's column, or measure the numerator a unit",
            )
        values[i] = means[top] / means[bottom]
        gradient[i, top] += 1.0 / means[bottom]
        gradient[i, bottom] -= values[i] / means[bottom]
    return values, gradient


def _welch_df(t: Side, c: Side) -> float:
    parts = [(float(part[0, 0]), df) for side in (t, c) for part, df in zip(side.parts, side.dfs, strict=True)]
    return sum(v for v, _ in parts) ** 2 / sum(v * v / df for v, df in parts)


def _scaled(spread: Floats) -> Floats:
    scale = 1 / np.sqrt(np.where(np.diag(spread) > 0, np.diag(spread), 1.0))
    return np.asarray(spread * np.outer(scale, scale), dtype=np.float64)
