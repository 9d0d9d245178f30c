"""Whether scores are probabilities: of those given p, a share p should do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from scipy.special import expit, log_expit, logit, xlogy

from liftgate.measure.refusal import Refusal, several

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.intp]

MIN_EVENTS = 20
"""Fewer outcomes of either kind than this are refused."""
CLOSE_OBSERVED_OVER_EXPECTED = (0.9, 1.1)
CLOSE_SLOPE = (0.8, 1.25)
"""A significant miss inside both ranges is called close: real, and too small to matter."""
EDGE = 1e-12
"""Scores are moved this far from 0 and 1 where a logarithm is taken."""

DEFINITION = (
    "Brier = mean (p - y)^2; log loss = mean negative log likelihood; ECE = sum of n_b/n |mean p - rate| over bins [edge, next edge), "
    "last closed; slope and intercept from the unpenalised logistic regression of y on logit p; observed/expected = sum y / sum p. "
    "The estimate is observed/expected; p_value: two-sided, of a ratio of 1"
)


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores from `low` to below `high`."""

    low: float
    high: float
    n: int
    mean_score: float
    rate: float


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its standard error and interval."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Test:
    """A test that all scores are right at once; a small p-value says that they are not."""

    statistic: float
    df: int | None
    """None: the statistic is a standard normal's, and the p-value two-sided."""
    p_value: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measures of calibration; `*_by_chance` is what perfectly calibrated scores would show at this size on average."""

    n: int
    events: int
    brier: Interval
    brier_by_chance: float
    log_loss: Interval
    ece_equal_width: float
    ece_equal_width_by_chance: float
    ece_quantile: float
    ece_quantile_by_chance: float
    max_gap_equal_width: float
    observed_over_expected: Interval
    observed_over_expected_p: float
    """Two-sided, of a ratio of 1, by the interval's own standard error: below 0.05 where a 95 % interval leaves 1 out."""
    slope: Interval | None
    """None where the scores do not vary or separate the outcomes completely."""
    intercept: Interval | None
    spiegelhalter: Test | None
    """Brier score against its value where every score is right; None where every score is 0, 0.5 or 1."""
    cox: Test | None
    """Likelihood ratio of slope 1 and intercept 0 together, 2 degrees of freedom; None where there is no slope."""
    in_the_large: float
    """mean y - mean p."""
    bins_equal_width: list[Bin]
    bins_quantile: list[Bin]


def judge(score: Floats, outcome: Floats) -> Refusal | None:
    """Return why these columns are not judged, or None."""
    if len(score) == 0:
        return Refusal("no_rows", "the table holds no rows", "check the file and the --where condition")
    for name, column in (("score", score), ("outcome", outcome)):
        if bad := int((~np.isfinite(column)).sum()):
            return Refusal(
                "not_a_number",
                f"{several(bad, 'row has', 'rows have')} a {name} that is missing, NaN or infinite, of {len(column):,}",
                "leave out people who were not scored with --where; an outcome whose window is still open is not 0",
            )
    if bad := int(((score < 0) | (score > 1)).sum()):
        return Refusal(
            "score_out_of_range", f"{several(bad, 'score lies', 'scores lie')} outside 0 to 1", "give probabilities, not ranks or logits"
        )
    if bad := int(((outcome != 0) & (outcome != 1)).sum()):
        return Refusal(
            "outcome_not_binary", f"{several(bad, 'outcome is', 'outcomes are')} neither 0 nor 1", "give what happened as 0 or 1"
        )
    rarer = int(min(outcome.sum(), len(outcome) - outcome.sum()))
    if rarer < MIN_EVENTS:
        kind = "1" if outcome.sum() == rarer else "0"
        return Refusal(
            "too_few_events",
            f"only {several(rarer, 'outcome is', 'outcomes are')} {kind}; at least {MIN_EVENTS} of each kind are needed",
            "collect longer, or judge an outcome that happens more often",
        )
    return None


def measure(score: Floats, outcome: Floats, *, bins: int = 10, level: float = 0.95) -> Calibration:
    """Return the measures for scores in 0 to 1 and outcomes of 0 and 1 that `judge` has passed."""
    n, z = len(score), float(stats.norm.isf((1 - level) / 2))
    inside = np.clip(score, EDGE, 1 - EDGE)
    width = _tally(score, outcome, np.minimum((score * bins).astype(np.intp), bins - 1), np.linspace(0, 1, bins + 1))
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)))
    quantile = _tally(score, outcome, np.searchsorted(edges[1:-1], score, side="right"), edges)
    spread = score * (1 - score)
    expected, observed = float(score.sum()), float(outcome.sum())
    ratio = observed / expected if expected else float("inf")
    fit = logistic(logit(inside), outcome)
    whole = _ratio(outcome, score, ratio, z)
    return Calibration(
        n=n,
        events=int(observed),
        brier=_mean((score - outcome) ** 2, z),
        brier_by_chance=float(spread.mean()),
        log_loss=_mean(-xlogy(outcome, inside) - xlogy(1 - outcome, 1 - inside), z),
        ece_equal_width=_ece(width, n),
        ece_equal_width_by_chance=_chance(width, n),
        ece_quantile=_ece(quantile, n),
        ece_quantile_by_chance=_chance(quantile, n),
        max_gap_equal_width=max(abs(row.mean_score - row.rate) for row in width),
        observed_over_expected=whole,
        observed_over_expected_p=float(2 * stats.norm.sf(abs(whole.estimate - 1) / whole.se)) if whole.se > 0 else float("nan"),
        slope=None if fit is None else _around(fit[0][1], fit[1][1], z),
        intercept=None if fit is None else _around(fit[0][0], fit[1][0], z),
        spiegelhalter=spiegelhalter(score, outcome),
        cox=None if fit is None else cox(inside, outcome, fit[0]),
        in_the_large=float(outcome.mean() - score.mean()),
        bins_equal_width=width,
        bins_quantile=quantile,
    )


def verdict(seen: Calibration) -> tuple[bool, str]:
    """Return whether the scores may be read as probabilities, and that in plain words."""
    ratio, slope = seen.observed_over_expected, seen.slope
    says = []
    if not ratio.ci_low <= 1 <= ratio.ci_high:
        says.append(f"scores are too {'low' if ratio.estimate > 1 else 'high'}: {ratio.estimate:.2f} happen for each 1 foreseen")
    if slope is not None and not slope.ci_low <= 1 <= slope.ci_high:
        says.append(
            "high scores are too high and low ones too low (slope below 1: overfitted)"
            if slope.estimate < 1
            else "scores are too close to the average (slope above 1)"
        )
    if not says:
        return True, "Calibrated, as far as these rows can tell."
    close = CLOSE_OBSERVED_OVER_EXPECTED[0] <= ratio.estimate <= CLOSE_OBSERVED_OVER_EXPECTED[1]
    close = close and (slope is None or CLOSE_SLOPE[0] <= slope.estimate <= CLOSE_SLOPE[1])
    if close:
        return True, f"Close to calibrated: {'; '.join(says)}, by too little to matter."
    return False, f"Not calibrated: {'; '.join(says)}. Recalibrate or retrain before values are multiplied by these scores."


def logistic(x: Floats, y: Floats) -> tuple[Floats, Floats] | None:
    """Return (intercept, slope) of y on x and their standard errors by Newton steps; None where there is no finite optimum."""
    if np.ptp(x) == 0:
        return None
    design = np.column_stack([np.ones_like(x), x])
    beta = np.array([float(logit(y.mean())), 0.0])
    for _ in range(100):
        p = expit(design @ beta)
        information = design.T @ (design * (p * (1 - p))[:, None])
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, design.T @ (y - p))
        beta = beta + step
        if np.abs(step).max() < 1e-11:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return None


def spiegelhalter(score: Floats, outcome: Floats) -> Test | None:
    """Return Spiegelhalter's z: the Brier score less its expectation where every score is right, over its standard deviation there.

    D. J. Spiegelhalter, *Probabilistic prediction in patient management and clinical trials*, Statistics in Medicine 5 (1986).
    """
    spread = float(((1 - 2 * score) ** 2 * score * (1 - score)).sum())
    if not spread > 0:
        return None
    z = float(((outcome - score) * (1 - 2 * score)).sum()) / float(np.sqrt(spread))
    return Test(z, None, float(2 * stats.norm.sf(abs(z))))


def cox(score: Floats, outcome: Floats, fitted: Floats) -> Test:
    """Return the likelihood ratio of (intercept, slope) = (0, 1) against those that were fitted; scores lie strictly between 0 and 1.

    D. R. Cox, *Two further applications of a model for binary regression*, Biometrika 45 (1958).
    """
    x = logit(score)
    gain = _log_likelihood(fitted[0] + fitted[1] * x, outcome) - _log_likelihood(x, outcome)
    return Test(2 * gain, 2, float(stats.chi2.sf(2 * gain, 2)))


def _log_likelihood(x: Floats, outcome: Floats) -> float:
    return float((log_expit(x) * outcome + log_expit(-x) * (1 - outcome)).sum())


def _tally(score: Floats, outcome: Floats, index: Integers, edges: Floats) -> list[Bin]:
    counts = np.bincount(index)
    scores, outcomes = np.bincount(index, weights=score), np.bincount(index, weights=outcome)
    return [
        Bin(float(edges[i]), float(edges[min(i + 1, len(edges) - 1)]), int(n), float(scores[i] / n), float(outcomes[i] / n))
        for i, n in enumerate(counts)
        if n
    ]


def _ece(rows: list[Bin], n: int) -> float:
    return sum(row.n / n * abs(row.mean_score - row.rate) for row in rows)


def _chance(rows: list[Bin], n: int) -> float:
    """The mean of |gap| under calibration, each bin's gap taken as normal with variance p (1 - p) / n_b."""
    return sum(row.n / n * float(np.sqrt(2 / np.pi * row.mean_score * (1 - row.mean_score) / row.n)) for row in rows)


def _mean(values: Floats, z: float) -> Interval:
    return _around(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), z)


def _ratio(outcome: Floats, score: Floats, ratio: float, z: float) -> Interval:
    """Delta method for sum y / sum p over rows."""
    if not np.isfinite(ratio):
        return Interval(ratio, float("nan"), float("nan"), float("nan"))
    rest = outcome - ratio * score
    return _around(ratio, float(rest.std(ddof=1) / np.sqrt(len(score)) / score.mean()), z)


def _around(estimate: float, se: float, z: float) -> Interval:
    return Interval(float(estimate), float(se), float(estimate - z * se), float(estimate + z * se))
