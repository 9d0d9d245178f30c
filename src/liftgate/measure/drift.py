"""How far a column has moved from a reference: PSI against its own noise, KS, Jensen-Shannon, Wasserstein."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

from liftgate.measure.refusal import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EPS = 1e-4
"""Floor of every bin's share in PSI; the shares are not scaled to 1 again."""
WATCH, ALARM = 0.1, 0.2
"""Levels of PSI. Either counts only where PSI is also beyond what chance gives in 1 column of 1,000."""
CHANCE = 1e-3
ENOUGH_EXPECTED = 5.0
"""Rows that a bin should hold, without a shift, for the chi-square distribution to hold (Cochran 1954); else rows are dealt anew."""
DEALS, FIRST_DEALS, CLEARLY = 9_999, 499, 5
"""How often; where CLEARLY of the FIRST_DEALS or more go as far, that is an answer."""
MOST_CATEGORIES = 200
MISSING = "(missing)"

DEFINITION = (
    "PSI = sum of (q - p) ln(q / p), p = share in the reference, q = share now, both at least 1e-4; bins are the deciles of the "
    "reference [edge, next edge) with open ends, or the categories; missing values are a bin of their own. Expected without a shift: "
    "(bins - 1)(1/n + 1/m). The estimate is the largest PSI of a column; p_value: its chi-square's times the columns compared (Bonferroni)"
)


class Level(StrEnum):
    """What is to be done about one column."""

    STEADY = "steady"
    WATCH = "watch"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Drift:
    """One column, reference against current; the last three are None for categories."""

    column: str
    level: Level
    n_reference: int
    n_current: int
    missing_reference: float
    missing_current: float
    bins: list[str]
    reference_shares: list[float]
    current_shares: list[float]
    psi: float
    psi_expected: float
    psi_by_chance: float
    """PSI that chance alone exceeds once in 1,000 where no bin is empty: chi-square quantile times (1/n + 1/m)."""
    jensen_shannon: float
    """Distance, base 2, over the bins: 0 the same, 1 nothing in common."""
    largest_gap: float
    """Largest difference of a bin's share."""
    chi2: float
    chi2_p: float
    p_value: float
    """Of no shift: `chi2_p` where bins hold enough rows, else that of rows dealt anew."""
    ks: float | None
    ks_p: float | None
    wasserstein_over_sd: float | None
    """Mean distance to move, in standard deviations (ddof 0) of the reference."""


def compare(column: str, reference: NDArray[np.generic], current: NDArray[np.generic]) -> Drift | Refusal:
    """Return how far the column moved, or why that cannot be said; float arrays are numbers (NaN: missing), others categories."""
    if len(reference) == 0 or len(current) == 0:
        where = "reference" if len(reference) == 0 else "current"
        return Refusal("no_rows", f"the {where} holds no rows for {column}", "check the file and the --where condition")
    numbers = reference.dtype.kind in "fiu" and current.dtype.kind in "fiu"
    if numbers:
        return _numbers(column, reference.astype(np.float64), current.astype(np.float64))
    sides = ([None if value is None or value != value else str(value) for value in side.tolist()] for side in (reference, current))
    return compare_counts(column, *map(Counter, sides))


def compare_counts(column: str, reference: Mapping[str | None, int], current: Mapping[str | None, int]) -> Drift | Refusal:
    """Return how far a column of categories moved, or why that cannot be said, from its rows by value; None: missing."""
    if not reference or not current:
        where = "current" if reference else "reference"
        return Refusal("no_rows", f"the {where} holds no rows for {column}", "check the file and the --where condition")
    names = sorted({value for value in (*reference, *current) if value is not None})
    if len(names) > MOST_CATEGORIES:
        return Refusal(
            "too_many_categories",
            f"{column} has more than {MOST_CATEGORIES} different values; no more can be compared",
            "leave it out, or group its values first; if it is a number, store it as one",
        )
    p, q = (np.array([side.get(name, 0) for name in names], dtype=np.intp) for side in (reference, current))
    return _bins(column, names, p, q, reference.get(None, 0), current.get(None, 0))


def decile_edges(reference: Floats, bins: int = 10) -> Floats:
    """Return the inner edges: quantiles of the reference, each once."""
    return np.unique(np.quantile(reference, np.arange(1, bins) / bins))


def psi(p: Floats, q: Floats, eps: float = EPS) -> float:
    """Return the population stability index of shares q against shares p."""
    p, q = np.maximum(p, eps), np.maximum(q, eps)
    return float(((q - p) * np.log(q / p)).sum())


def by_chance(p: NDArray[np.intp], q: NDArray[np.intp]) -> float:
    """Return the p-value of two rows of counts (no bin empty in both) having the same shares.

    By the chi-square distribution where every bin should hold ENOUGH_EXPECTED rows; else the share of DEALS in which the same rows,
    dealt anew to both sides, differ as much by chi-square (seeded: the same counts give the same answer).
    """
    test = stats.chi2_contingency(np.array([p, q]), correction=False)
    if test.expected_freq.min() >= ENOUGH_EXPECTED:
        return float(test.pvalue)
    dice, expected = np.random.default_rng([0, 4]), test.expected_freq[1]  # noqa: TID251  # seeded: the same rows, the same answer
    here = ((q - expected) ** 2 / expected).sum() * (1 - 1e-9)
    for deals in (FIRST_DEALS, DEALS):
        dealt = dice.multivariate_hypergeometric(p + q, int(q.sum()), size=deals, method="marginals")
        as_far = int((((dealt - expected) ** 2 / expected).sum(axis=1) >= here).sum())
        if as_far >= CLEARLY:
            break
    return (1 + as_far) / (1 + deals)


def _numbers(column: str, reference: Floats, current: Floats) -> Drift | Refusal:
    if np.isinf(reference).any() or np.isinf(current).any():
        return Refusal("not_a_number", f"{column} holds infinite values", "mend them where the column is computed")
    a, b = reference[~np.isnan(reference)], current[~np.isnan(current)]
    if len(a) == 0:
        return Refusal("no_rows", f"every value of {column} in the reference is missing", "give a reference that holds the column")
    edges = decile_edges(a)
    names = _range_names(edges)
    ends = np.concatenate([[-np.inf], edges, [np.inf]])
    p, q = np.histogram(a, ends)[0], np.histogram(b, ends)[0]
    found = _bins(column, names, p, q, len(reference) - len(a), len(current) - len(b))
    if isinstance(found, Refusal) or len(b) == 0:
        return found
    test = stats.ks_2samp(a, b)
    sd = float(a.std())
    distance = float(stats.wasserstein_distance(a, b))
    return _with_shape(found, float(test.statistic), float(test.pvalue), distance / sd if sd else None)


def _bins(column: str, names: list[str], p: NDArray[np.intp], q: NDArray[np.intp], missing_p: int, missing_q: int) -> Drift | Refusal:
    if missing_p or missing_q:
        names, p, q = [*names, MISSING], np.append(p, missing_p), np.append(q, missing_q)
    kept = (p + q) > 0
    names, p, q = [name for name, keep in zip(names, kept, strict=True) if keep], p[kept], q[kept]
    n, m = int(p.sum()), int(q.sum())
    noise = 1 / n + 1 / m
    free = len(names) - 1
    chance = noise * float(stats.chi2.isf(CHANCE, free)) if free else 0.0
    found = psi(p / n, q / m)
    chi2 = stats.chi2_contingency(np.array([p, q]), correction=False) if free else None
    p_value = by_chance(p, q) if free else 1.0
    moved = found > max(chance, WATCH) and p_value < CHANCE
    if chance > ALARM and not moved:
        return Refusal(
            "too_few_rows",
            f"{column}: with {n:,} and {m:,} rows chance alone reaches a PSI of {chance:.2f}, above the alarm level of {ALARM}",
            "compare more rows, for example a longer window",
        )
    level = Level.STEADY if not moved else Level.WATCH if found <= ALARM else Level.ALARM
    return Drift(
        column,
        level,
        n,
        m,
        missing_p / n,
        missing_q / m,
        names,
        (p / n).tolist(),
        (q / m).tolist(),
        found,
        free * noise,
        chance,
        float(np.nan_to_num(jensenshannon(p / n, q / m, base=2))),
        float(np.abs(p / n - q / m).max()),
        float(chi2.statistic) if chi2 else 0.0,
        float(chi2.pvalue) if chi2 else 1.0,
        p_value,
        None,
        None,
        None,
    )


def _with_shape(found: Drift, ks: float, ks_p: float, wasserstein: float | None) -> Drift:
    return replace(found, ks=ks, ks_p=ks_p, wasserstein_over_sd=wasserstein)


def _range_names(edges: Floats) -> list[str]:
    inner = [f"[{low:g}, {high:g})" for low, high in pairwise(edges)]
    return [f"< {edges[0]:g}", *inner, f">= {edges[-1]:g}"]
