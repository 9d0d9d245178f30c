"""Looking while it runs: the Robbins normal-mixture asymptotic confidence sequence over cumulative statistics. Pure.

Half-width `se*sqrt(N)*sqrt(2(N r^2 + 1)/(N^2 r^2) * ln(sqrt(N r^2 + 1)/alpha))`, `r = sqrt((-2 ln alpha + ln(-2 ln alpha + 1))/N*)`,
N units of both arms. It holds at every look together, however many there are, and is narrowest about N*, which is therefore written
down before the experiment starts: an N* that follows the data voids the promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.special import ndtri

LEAST_UNITS = 50
"""Of one arm. Below, the normal approximation under the sequence is not trusted, and a look says nothing."""
LEAST_EVENTS = 10
"""Of one arm, and as many without: of a metric that is 0 or 1."""


@dataclass(frozen=True, slots=True)
class Look:
    """What had come in when somebody looked: cumulative units, means and variances (ddof 1) of one treatment and the control."""

    at: str
    n_treatment: int
    n_control: int
    mean_treatment: float
    mean_control: float
    var_treatment: float
    var_control: float

    @property
    def n(self) -> int:
        """Units of both arms."""
        return self.n_treatment + self.n_control

    @property
    def estimate(self) -> float:
        """Treatment minus control."""
        return self.mean_treatment - self.mean_control

    @property
    def se(self) -> float:
        """Standard error of the estimate; infinite while an arm is empty."""
        if self.n_treatment < 1 or self.n_control < 1:
            return math.inf
        return math.sqrt(self.var_treatment / self.n_treatment + self.var_control / self.n_control)


@dataclass(frozen=True, slots=True)
class Bound:
    """One look with its intervals."""

    look: Look
    ci_low: float
    ci_high: float
    """The confidence sequence; infinite where the look says nothing yet."""
    fixed_low: float
    fixed_high: float
    """What a fixed-horizon interval would say here: for comparison, never to stop by."""
    p_value: float
    """Always valid: the smallest alpha at which this or an earlier look excludes 0, with r held."""

    @property
    def excludes_zero(self) -> bool:
        """True: the sequence lies on one side of 0 at this look."""
        return self.ci_low > 0 or self.ci_high < 0

    @property
    def says_nothing(self) -> bool:
        """True: too few units, or no variance, for an interval."""
        return math.isinf(self.ci_low)


def mixture(alpha: float, n_star: float) -> float:
    """Return r, above 0. Raises ValueError unless 0 < alpha < 1 and N* is 1 or more."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1; got {alpha:g}")
    if not (math.isfinite(n_star) and n_star >= 1):
        raise ValueError(f"N* is the number of units, both arms, at which the answer is wanted: 1 or more; got {n_star:g}")
    twice = -2 * math.log(alpha)
    return math.sqrt((twice + math.log(twice + 1)) / n_star)


def half_width(se: float, n: float, n_star: float, alpha: float = 0.05) -> float:
    """Return the half-width of the sequence at N = n units of both arms, in the units of se."""
    r2 = mixture(alpha, n_star) ** 2
    inflated = n * r2 + 1
    return se * math.sqrt(n) * math.sqrt(2 * inflated / (n * n * r2) * (0.5 * math.log(inflated) - math.log(alpha)))


def always_valid_p(estimate: float, se: float, n: float, n_star: float, alpha: float = 0.05) -> float:
    """Return the smallest level at which the interval at this look excludes 0, with r fixed by alpha; at most 1."""
    if estimate == 0 or math.isinf(se):
        return 1.0
    if se == 0:
        return 0.0
    spread = n * mixture(alpha, n_star) ** 2
    exponent = 0.5 * math.log(spread + 1) - (estimate / se) ** 2 * spread / (2 * (spread + 1))
    return math.exp(min(exponent, 0.0))


def confidence_sequence(
    looks: Iterable[Look], n_star: float, alpha: float = 0.05, binary: bool = False, least_units: int = LEAST_UNITS
) -> tuple[Bound, ...]:
    """Return a bound for each look, in their order. `binary`: the metric is 0 or 1, and a look wants events in both arms, too.

    Looks are cumulative. Raises ValueError when units fall from one look to the next.
    """
    mixture(alpha, n_star)
    z = float(ndtri(1 - alpha / 2))
    bounds: list[Bound] = []
    before, lowest = (0, 0), 1.0
    for look in looks:
        if look.n_treatment < before[0] or look.n_control < before[1]:
            raise ValueError(f"units fall at look {look.at}: looks are cumulative, each holds all that came before")
        before = (look.n_treatment, look.n_control)
        if min(before) < least_units or not 0 < look.se < math.inf or (binary and fewest_events(look) < LEAST_EVENTS):
            bounds.append(Bound(look, -math.inf, math.inf, -math.inf, math.inf, lowest))
            continue
        width, fixed = half_width(look.se, look.n, n_star, alpha), z * look.se
        lowest = min(lowest, always_valid_p(look.estimate, look.se, look.n, n_star, alpha))
        middle = look.estimate
        bounds.append(Bound(look, middle - width, middle + width, middle - fixed, middle + fixed, lowest))
    return tuple(bounds)


def first_exclusion(bounds: Sequence[Bound]) -> Bound | None:
    """Return the first look at which the sequence excluded 0: from there on the experiment may be stopped."""
    return next((bound for bound in bounds if bound.excludes_zero), None)


def fewest_events(look: Look) -> float:
    """Return the smallest count of units with, or without, the event in either arm, of a metric that is 0 or 1."""
    arms = ((look.n_treatment, look.mean_treatment), (look.n_control, look.mean_control))
    return min(n * share for n, mean in arms for share in (mean, 1 - mean))
