"""Sample-ratio mismatch: do the units in each arm come in the shares that were planned? If not, no effect can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from liftgate.measure.refusal import Misused, Refusal
from liftgate.measure.statistic import Floats

ALARM_P = 0.001
"""Below this p-value the split is not the planned one. Low, because every analysis asks anew."""


@dataclass(frozen=True, slots=True)
class Srm:
    """Counts against planned shares."""

    counts: dict[str, int]
    """Distinct units by arm."""
    shares: dict[str, float]
    """Planned shares by arm; they sum to 1."""
    chi2: float
    df: int
    p_value: float
    log_e_value: float
    """Log of the evidence against the planned shares (Dirichlet-multinomial, one unit an arm of prior weight around the planned shares).
    It stays valid however often it is looked at: alarm above log(1 / ALARM_P)."""

    @property
    def e_value(self) -> float:
        """The evidence itself; inf where it is beyond a float."""
        return math.exp(self.log_e_value) if self.log_e_value < 700 else math.inf

    @property
    def mismatch(self) -> bool:
        """Whether the p-value is below the alarm level."""
        return self.p_value < ALARM_P


def normalised(weights: Mapping[str, float], arms: Mapping[str, int]) -> dict[str, float]:
    """Return planned shares that sum to 1, one per arm. Raises Misused where arms and weights do not match."""
    if set(weights) != set(arms):
        raise Misused(f"the planned shares are of {', '.join(sorted(weights))}, and the table has the arms {', '.join(sorted(arms))}")
    if not all(math.isfinite(w) and w > 0 for w in weights.values()):
        raise Misused("a planned share is a number above 0")
    total = sum(weights.values())
    return {arm: weights[arm] / total for arm in arms}


def srm(counts: Mapping[str, int], shares: Mapping[str, float] | None = None) -> Srm:
    """Hold exact unit counts by arm against planned shares (any positive weights; equal where None). Raises Misused below two arms."""
    if len(counts) < 2:
        raise Misused(f"a split needs two arms, and there is {', '.join(counts) or 'none'}")
    planned = normalised(shares or dict.fromkeys(counts, 1.0), counts)
    seen = np.array([counts[arm] for arm in counts], dtype=np.float64)
    wanted = np.array([planned[arm] for arm in counts]) * seen.sum()
    chi2 = float((((seen - wanted) ** 2) / wanted).sum()) if seen.sum() else 0.0
    df = len(counts) - 1
    return Srm(dict(counts), planned, chi2, df, float(stats.chi2.sf(chi2, df)), _log_e_value(seen, np.array(list(planned.values()))))


def _log_e_value(seen: Floats, shares: Floats) -> float:
    # Multinomial likelihood averaged over a Dirichlet whose mean is the planned shares, over the likelihood at the planned shares.
    weights = shares * len(shares)
    log_mixed = special.gammaln(weights.sum()) - special.gammaln(weights.sum() + seen.sum())
    log_mixed += (special.gammaln(weights + seen) - special.gammaln(weights)).sum()
    return float(log_mixed - (seen * np.log(shares)).sum())


def refusal(found: Srm, where: str = "") -> Refusal | None:
    """Return why nothing else may be read off such a table, or None where the split is as planned."""
    if not found.mismatch:
        return None
    total = sum(found.counts.values())
    seen = ", ".join(f"{arm} {n} ({n / total:.2%}, planned {found.shares[arm]:.2%})" for arm, n in found.counts.items())
    return Refusal(
        "sample_ratio_mismatch",
        f"the arms do not come in the planned shares{where}: {seen}; chi-square {found.chi2:.1f}, p {found.p_value:.2g} < {ALARM_P}",
        "if the planned shares are others, give them with --share ARM=WEIGHT; otherwise find where units were lost, counted twice or "
        "assigned differently before reading any effect",
    )
