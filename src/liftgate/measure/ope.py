"""Off-policy estimates: what a target policy would have earned, from decisions that another policy logged.

Every estimator here is a sum of ratios of totals over units, so one matrix of units by columns holds all that the estimates, their
influence functions and their intervals need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import stats

from liftgate.measure.resample import bundles, resampled_totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COLUMNS = 8
_ROWS, _W, _WR, _CLIPPED, _QT, _WD, _SWITCH, _R = range(COLUMNS)


@dataclass(frozen=True, slots=True)
class Logged:
    """Logged decisions, one entry a decision; all arrays have the same length."""

    reward: Floats
    logged_probability: Floats
    """P(the logging policy takes the logged action here), in (0, 1]."""
    target_probability: Floats
    """P(the target policy takes the logged action here), in [0, 1]."""
    cluster: NDArray[np.generic] | None = None
    """The unit (a person) that decisions share; without it every decision is a unit."""
    q_logged: Floats | None = None
    """Predicted reward of the logged action."""
    q_target: Floats | None = None
    """Predicted reward under the target policy: the sum over actions of its probability times the prediction."""
    unsupported: Floats | None = None
    """Probability that the target puts here on actions to which the logging policy gave none."""

    @property
    def weight(self) -> Floats:
        """Importance weights, target over logged probability."""
        return self.target_probability / self.logged_probability

    @property
    def has_model(self) -> bool:
        """Whether predicted rewards are there."""
        return self.q_logged is not None and self.q_target is not None


@dataclass(frozen=True, slots=True)
class Estimator:
    """A sum of ratios; each ratio is (the columns added up above the line, the column below it)."""

    name: str
    ratios: tuple[tuple[tuple[int, ...], int], ...]
    needs_model: bool
    definition: str


ESTIMATORS = (
    Estimator("ips", (((_WR,), _ROWS),), False, "mean of w r; w = target / logged probability"),
    Estimator("snips", (((_WR,), _W),), False, "sum of w r / sum of w"),
    Estimator("clipped_ips", (((_CLIPPED,), _ROWS),), False, "mean of min(w, clip) r; biased towards 0 where weights are cut"),
    Estimator("dm", (((_QT,), _ROWS),), True, "mean of q_target; as good as the model, and the interval leaves the model's error out"),
    Estimator("dr", (((_QT, _WD), _ROWS),), True, "mean of q_target + w (r - q_logged)"),
    Estimator("sndr", (((_QT,), _ROWS), ((_WD,), _W)), True, "mean of q_target + sum of w (r - q_logged) / sum of w"),
    Estimator("switch_dr", (((_QT, _SWITCH), _ROWS),), True, "dr where w <= switch, else q_target alone; biased where the model is"),
)
_ON_LOG = Estimator("on_log", (((_R,), _ROWS),), False, "mean of r, as logged")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimate with both intervals; `difference` is estimate - mean reward in the log, on the same units."""

    estimator: str
    estimate: float
    se: float
    ci_low: float
    ci_high: float
    bootstrap_ci_low: float | None
    bootstrap_ci_high: float | None
    difference: float
    difference_se: float
    difference_ci_low: float
    difference_ci_high: float
    definition: str


def unit_totals(logged: Logged, clip: float, switch: float) -> Floats:
    """Return one row a unit: its number of decisions and its totals of each column."""
    w, r = logged.weight, logged.reward
    zero = np.zeros_like(r)
    q_target = logged.q_target if logged.q_target is not None else zero
    rest = w * (r - logged.q_logged) if logged.q_logged is not None else zero
    columns = (np.ones_like(r), w, w * r, np.minimum(w, clip) * r, q_target, rest, np.where(w <= switch, rest, 0.0), r)
    if logged.cluster is None:
        return np.column_stack(columns)
    _, unit = np.unique(logged.cluster, return_inverse=True)
    return np.column_stack([np.bincount(unit.ravel(), weights=column) for column in columns])


def value(estimator: Estimator, totals: Floats) -> Floats:
    """Return the estimate for totals (or means) whose last axis is the columns."""
    parts = [totals[..., list(above)].sum(axis=-1) / totals[..., below] for above, below in estimator.ratios]
    return np.asarray(sum(parts), dtype=np.float64)


def gradient(estimator: Estimator, mean: Floats) -> Floats:
    """Return the derivative of the estimate by each column's mean: the influence function is its product with a unit's row."""
    slope = np.zeros_like(mean)
    for above, below in estimator.ratios:
        ratio = mean[list(above)].sum() / mean[below]
        slope[list(above)] += 1.0 / mean[below]
        slope[below] -= ratio / mean[below]
    return slope


def weight_slope(mean_weight: float) -> Floats:
    """Return the derivative by each column of the sum of weights less their mean, decision by decision."""
    slope = np.zeros(COLUMNS)
    slope[_W], slope[_ROWS] = 1.0, -mean_weight
    return slope


class Units(Protocol):
    """Totals by unit, in memory or not."""

    @property
    def n(self) -> int:
        """How many units."""
        ...

    @property
    def mean(self) -> Floats:
        """The columns' means over units."""
        ...

    def squared(self, slopes: Floats) -> Floats:
        """Return for each slope (a row of columns) the sum over units of the squared influence."""
        ...

    def bundled(self, seed: int) -> Floats:
        """Return units, or random bundles of them, by columns."""
        ...


class Held:
    """Totals by unit in memory: a row a unit."""

    def __init__(self, units: Floats) -> None:
        self._units, self.n, self.mean = units, len(units), units.mean(axis=0)
        self._centred = units - self.mean

    def squared(self, slopes: Floats) -> Floats:
        """Return for each slope the sum over units of the squared influence.

        The influences are formed unit by unit: squaring first, through a covariance matrix, would leave half of the digits.
        """
        influences = (self._centred @ slope for slope in slopes)
        return np.array([float(one @ one) for one in influences])

    def bundled(self, seed: int) -> Floats:
        """Return units, or random bundles of them, by columns."""
        return bundles(self._units, seed)


def estimate_all(
    logged: Logged, *, clip: float = 10.0, switch: float = 10.0, level: float = 0.95, replicates: int = 1000, seed: int = 0
) -> list[Estimate]:
    """Return the mean reward in the log and every estimate that the columns allow.

    `ci_*` come from the influence function with t quantiles (units - 1), `bootstrap_ci_*` are percentiles over resampled
    units; replicates = 0 leaves the bootstrap out. Nothing is refused here: `ope_trust.judge` comes first.
    """
    return estimates_of(Held(unit_totals(logged, clip, switch)), logged.has_model, level=level, replicates=replicates, seed=seed)


def estimates_of(units: Units, has_model: bool, *, level: float = 0.95, replicates: int = 1000, seed: int = 0) -> list[Estimate]:
    """Return the same from totals by unit."""
    n, mean = units.n, units.mean
    t = float(stats.t.isf((1 - level) / 2, max(n - 1, 1)))
    drawn = resampled_totals(units.bundled(seed), replicates, seed) if replicates else None
    base, base_slope = float(value(_ON_LOG, mean)), gradient(_ON_LOG, mean)
    asked = [one for one in (_ON_LOG, *ESTIMATORS) if has_model or not one.needs_model]
    slopes = [gradient(estimator, mean) for estimator in asked]
    squares = units.squared(np.array([*slopes, *(slope - base_slope for slope in slopes)]))
    errors = np.sqrt(squares / (n - 1) / n) if n > 1 else np.full(len(squares), np.nan)
    made = []
    for estimator, se, gap_se in zip(asked, errors[: len(asked)].tolist(), errors[len(asked) :].tolist(), strict=True):
        middle = float(value(estimator, mean))
        gap = middle - base
        low = high = None
        if drawn is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                low, high = map(float, np.nanquantile(value(estimator, drawn), [(1 - level) / 2, (1 + level) / 2]))
        made.append(
            Estimate(
                estimator.name,
                middle,
                se,
                middle - t * se,
                middle + t * se,
                low,
                high,
                gap,
                gap_se,
                gap - t * gap_se,
                gap + t * gap_se,
                estimator.definition,
            )
        )
    return made
