"""Power by the normal approximation: units an arm for an effect, the smallest effect for units, and the power of a plan. Pure.

The house formula is `(z_{1-alpha/2} + z_power) * sd * sqrt(1/n_t + 1/n_c)`. Every result names its convention, because published
calculators differ: for proportions up to 6 per cent in units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Convention = Literal["unpooled", "pooled_null", "arcsine", "equal_variance"]

CONVENTIONS: Mapping[Convention, str] = {
    "unpooled": "n_c = (z_{1-alpha/2} + z_power)^2 * (var_c + var_t/k) / effect^2, k = n_t/n_c, each arm with the variance it will have",
    "pooled_null": "n_c = (z_{1-alpha/2} * sqrt(p(1-p)(1+1/k)) + z_power * sqrt(var_c + var_t/k))^2 / effect^2, p pooled over both arms",
    "arcsine": "n_c = s^2 * (1 + 1/k) / h^2, h = 2 asin(sqrt(p_t)) - 2 asin(sqrt(p_c)) (Cohen); s solves the power of both tails",
    "equal_variance": "effect = (z_{1-alpha/2} + z_power) * sd * sqrt(1/n_t + 1/n_c), both arms with the standard deviation of the control",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What is compared: the control's mean and standard deviation, a unit. A proportion has no other deviation than its own."""

    baseline: float
    sd: float
    binary: bool

    @classmethod
    def proportion(cls, baseline: float) -> Metric:
        """Return the metric of a rate in (0, 1). Raises ValueError otherwise."""
        if not 0 < baseline < 1:
            raise ValueError(f"a rate lies between 0 and 1; the baseline is {baseline:g}")
        return cls(baseline, math.sqrt(baseline * (1 - baseline)), True)

    @classmethod
    def mean(cls, baseline: float, sd: float) -> Metric:
        """Return the metric of a mean with a standard deviation above 0. Raises ValueError otherwise."""
        if not (math.isfinite(baseline) and math.isfinite(sd) and sd > 0):
            raise ValueError(f"a mean is finite and its standard deviation above 0; got {baseline:g} and {sd:g}")
        return cls(baseline, sd, False)

    def variances(self, effect: float) -> tuple[float, float]:
        """Return the variance of one unit in control and in treatment when the absolute effect is true. Raises ValueError."""
        if not self.binary:
            return self.sd**2, self.sd**2
        rate = self.baseline + effect
        if not 0 < rate < 1:
            raise ValueError(f"a rate of {self.baseline:g} changed by {effect:+g} is {rate:g}, which is no rate between 0 and 1")
        return self.baseline * (1 - self.baseline), rate * (1 - rate)


def z_sum(alpha: float, power: float) -> float:
    """Return `z_{1-alpha/2} + z_power`, two-sided. Raises ValueError unless 0 < alpha < power < 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1; got {alpha:g}")
    if not alpha < power < 1:
        raise ValueError(f"power lies between alpha ({alpha:g}) and 1; got {power:g}")
    return float(ndtri(1 - alpha / 2) + ndtri(power))


def smallest_effect(sd: float, n_treatment: float, n_control: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the absolute effect that a plan finds with this power (MDE), above 0: the house formula, equal variances."""
    _counts(n_treatment, n_control)
    return z_sum(alpha, power) * sd * math.sqrt(1 / n_treatment + 1 / n_control)


def smallest_change_of_rate(
    baseline: float, n_treatment: float, n_control: float, alpha: float = 0.05, power: float = 0.8
) -> tuple[float | None, float | None]:
    """Return the smallest rise above 0 and fall below 0 of a rate with each arm's own variance; None: none within (0, 1)."""
    _counts(n_treatment, n_control)
    k, squared = n_treatment / n_control, z_sum(alpha, power) ** 2 / n_control
    # (p_t - p)^2 = c (p q + p_t q_t / k): a quadratic in p_t.
    a = 1 + squared / k
    b = -(2 * baseline + squared / k)
    c = baseline**2 - squared * baseline * (1 - baseline)
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    rise, fall = (-b + root) / (2 * a) - baseline, (-b - root) / (2 * a) - baseline
    return (rise if baseline + rise < 1 else None), (fall if baseline + fall > 0 else None)


def control_units(
    metric: Metric, effect: float, ratio: float = 1.0, alpha: float = 0.05, power: float = 0.8, convention: Convention = "unpooled"
) -> float:
    """Return units needed in control for an absolute effect; `ratio` = treatment units a control unit; treatment needs `ratio` times it.

    Not rounded. Raises ValueError for an effect of 0, a ratio not above 0, a rate outside (0, 1), or a convention of rates for a mean.
    """
    if effect == 0 or not math.isfinite(effect):
        raise ValueError("an effect of 0 cannot be found with any number of units")
    if not (math.isfinite(ratio) and ratio > 0):
        raise ValueError(f"the ratio of units is above 0; got {ratio:g}")
    control, treatment = metric.variances(effect)
    both = z_sum(alpha, power)
    if convention == "unpooled":
        return both**2 * (control + treatment / ratio) / effect**2
    if convention == "equal_variance":
        return both**2 * metric.sd**2 * (1 + 1 / ratio) / effect**2
    if not metric.binary:
        raise ValueError(f"the convention {convention} is for rates")
    rate = metric.baseline + effect
    if convention == "arcsine":
        return _shift(alpha, power) ** 2 * (1 + 1 / ratio) / _cohen_h(metric.baseline, rate) ** 2
    pooled = (metric.baseline + ratio * rate) / (1 + ratio)
    null = float(ndtri(1 - alpha / 2)) * math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    return (null + float(ndtri(power)) * math.sqrt(control + treatment / ratio)) ** 2 / effect**2


def power_of(
    metric: Metric, effect: float, n_treatment: float, n_control: float, alpha: float = 0.05, convention: Convention = "unpooled"
) -> float:
    """Return the probability, both tails, that a two-sided test at alpha finds this absolute effect. Raises ValueError."""
    _counts(n_treatment, n_control)
    control, treatment = metric.variances(effect)
    critical, inflation = float(ndtri(1 - alpha / 2)), 1.0
    se = math.sqrt(treatment / n_treatment + control / n_control)
    if convention == "arcsine":
        if not metric.binary:
            raise ValueError("the convention arcsine is for rates")
        shift = abs(_cohen_h(metric.baseline, metric.baseline + effect)) / math.sqrt(1 / n_treatment + 1 / n_control)
    elif convention == "equal_variance":
        shift = abs(effect) / (metric.sd * math.sqrt(1 / n_treatment + 1 / n_control))
    else:
        shift = abs(effect) / se
        if convention == "pooled_null" and metric.binary:
            pooled = metric.baseline + effect * n_treatment / (n_treatment + n_control)
            inflation = math.sqrt(pooled * (1 - pooled) * (1 / n_treatment + 1 / n_control)) / se
    return float(ndtr(shift - critical * inflation) + ndtr(-shift - critical * inflation))


def _cohen_h(control: float, treatment: float) -> float:
    return 2 * math.asin(math.sqrt(treatment)) - 2 * math.asin(math.sqrt(control))


def _shift(alpha: float, power: float) -> float:
    """Return the standardised effect whose two-sided test has this power, the far tail counted: a little below the sum of quantiles."""
    critical, shift = float(ndtri(1 - alpha / 2)), z_sum(alpha, power)
    return float(brentq(lambda s: float(ndtr(s - critical) + ndtr(-s - critical)) - power, 0.0, shift, xtol=1e-14))


@dataclass(frozen=True, slots=True)
class Need:
    """What one treatment arm needs against the control."""

    arm: str
    n_treatment: int
    n_control: int
    total: int
    """Units of the whole experiment for this comparison to have its power: whole units of every arm, and of those in none, added up."""
    n: Mapping[str, int]
    """Those units by arm."""


def plan(
    metric: Metric,
    effect: float,
    shares: Mapping[str, float],
    control: str,
    alpha: float = 0.05,
    power: float = 0.8,
    convention: Convention = "unpooled",
) -> tuple[Need, ...]:
    """Return what each arm but the control needs, units rounded up. Shares are above 0 and sum to at most 1: the rest is in no arm.

    Raises ValueError.
    """
    checked_shares(shares, control)
    needs = []
    for arm, share in shares.items():
        if arm == control:
            continue
        n_control = control_units(metric, effect, share / shares[control], alpha, power, convention)
        total = n_control / shares[control]
        rest = max(0.0, 1 - math.fsum(shares.values()))
        n = {name: whole_units(total * one) for name, one in shares.items()}
        whole = sum(n.values()) + (whole_units(total * rest) if rest > 1e-9 else 0)
        needs.append(Need(arm, whole_units(total * share), whole_units(n_control), whole, n))
    return tuple(needs)


def checked_shares(shares: Mapping[str, float], control: str) -> None:
    """Raise ValueError unless there are two arms or more, all shares are above 0, and they sum to at most 1."""
    if control not in shares:
        raise ValueError(f"the control `{control}` has no share; shares are given for {', '.join(shares) or 'no arm'}")
    if len(shares) < 2:
        raise ValueError("a comparison needs two arms")
    if any(not 0 < share < 1 for share in shares.values()):
        raise ValueError("every share lies between 0 and 1")
    if math.fsum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"the shares sum to {math.fsum(shares.values()):g}, above 1")


def days_needed(units: float, units_a_day: float) -> int:
    """Return whole days until this many units have come. Raises ValueError when none come."""
    if not units_a_day > 0:
        raise ValueError("units a day are above 0")
    return math.ceil(units / units_a_day)


def whole_units(units: float) -> int:
    """Return units rounded up."""
    # A product such as 3 * (1/3) must not cost one unit more.
    return math.ceil(units * (1 - 1e-12))


def _counts(n_treatment: float, n_control: float) -> None:
    if not (n_treatment > 0 and n_control > 0):
        raise ValueError("both arms need units")
