"""Two proportions where events are few: intervals that stay inside [-1, 1] and hold what they promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Count:
    """Events among units; 0 <= events <= units, units >= 1."""

    events: int
    units: int

    @property
    def share(self) -> float:
        """Events a unit."""
        return self.events / self.units


def pooled_z(treatment: Count, control: Count) -> tuple[float, float]:
    """Return the score statistic of equal shares (its square is the plain chi-square) and its two-sided p-value."""
    share = (treatment.events + control.events) / (treatment.units + control.units)
    variance = share * (1 - share) * (1 / treatment.units + 1 / control.units)
    if variance == 0:
        return 0.0, 1.0
    z = (treatment.share - control.share) / math.sqrt(variance)
    return z, 2 * float(stats.norm.sf(abs(z)))


def wilson(count: Count, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    z2 = float(stats.norm.isf(alpha / 2)) ** 2
    n, p = count.units, count.share
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return (0.0 if count.events == 0 else middle - half), (1.0 if count.events == n else middle + half)


def newcombe(treatment: Count, control: Count, alpha: float = 0.05) -> tuple[float, float]:
    """Return Newcombe's interval (his method 10) of the difference of two shares."""
    t, c, (t_low, t_high), (c_low, c_high) = treatment.share, control.share, wilson(treatment, alpha), wilson(control, alpha)
    return t - c - math.hypot(t - t_low, c_high - c), t - c + math.hypot(t_high - t, c - c_low)
