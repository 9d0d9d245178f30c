"""Thompson sampling as a probability vector: P(an offer's worth is the highest when every worth is drawn from its posterior).

The posterior of a response rate p known from m observations is Beta(m p, m (1 - p)). Worth is that rate times known factors. Its cube
root is taken as Normal with the mean and spread that Wilson and Hilferty (1931) give for a Gamma of the same mean and variance, which keeps
the skew of rare responses; a common cube root changes no order. The probabilities of that posterior are an integral over one variable, by
the trapezoidal rule, which converges exponentially for such functions. docs/decisions/0015 has the errors, measured.
"""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt

import numpy as np

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats

NARROWEST = 1 / 40
"""No offer counts as better known than this part of the least known one's spread: finer differences would cost time and change little."""
REACH = 5.0
"""Spreads on either side of a mean that are looked at; what lies beyond has a probability below 3e-7."""
_CELLS = 2_000_000
"""Numbers worked on at once, about; more rows go in turns."""
_TALLEST, _FINE = 6.5, 1024
_Z = np.arange(-REACH, _TALLEST, 1 / _FINE)
_BELOW = np.array([0.5 * erfc(-z / sqrt(2)) for z in _Z.tolist()])
_LOG_BELOW: Floats = np.array([log(below) for below in _BELOW.tolist()])
"""By z: the logarithm of the Normal's distribution function."""
_HAZARD: Floats = np.array([exp(-z * z / 2) / sqrt(2 * pi) for z in _Z.tolist()]) / _BELOW
"""By z: its density over its distribution function."""


def spread_of(certain: Floats, observations: float | Floats, propensity: Floats, untreated: Floats | None = None) -> Floats:
    """Return the posterior's standard deviation of [N, K] worth: `certain` is what the outcome is worth.

    The propensity counts for so many observations, one number or [N, K], 0 and up; so does the propensity without the offer in uplift mode.
    """
    variance = propensity * (1.0 - propensity)
    if untreated is not None:
        variance = variance + np.where(np.isnan(untreated), 0.0, untreated * (1.0 - untreated))
    return np.abs(certain) * np.sqrt(np.maximum(variance, 0.0) / (observations + 1.0))


def thompson(expected: Floats, spread: Floats, allowed: Bools) -> Floats:
    """Return [N, K] P(offer has the highest worth), 0 where not allowed; rows sum to 1, or to 0 where nothing is allowed.

    `expected` and `spread` are the means and standard deviations of worth. Where a row has a mean of 0 or less, worth itself is taken as
    Normal. What a row gets does not depend on the others, beyond rounding.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, width = _normal(expected, spread, allowed)
    low = np.where(allowed, centre - REACH * width, -np.inf).max(axis=1, initial=-np.inf)
    high = np.where(allowed, centre + REACH * width, -np.inf).max(axis=1, initial=-np.inf)
    # What lies below where the best certainly is has no chance.
    able = allowed & (centre + REACH * width > low[:, None])
    count = np.count_nonzero(able, axis=1)
    step = np.where(able, width, np.inf).min(axis=1, initial=np.inf) / (0.6 + 0.2 * np.log2(np.maximum(count, 1)))
    out = np.zeros(expected.shape)
    out[able & (count == 1)[:, None]] = 1.0
    several = count > 1
    points = np.zeros(len(expected), dtype=np.intp)
    points[several] = 1 << np.ceil(np.log2((high[several] - low[several]) / step[several])).astype(np.intp)
    for size in np.unique(points[several]).tolist():
        rows = np.flatnonzero(several & (points == size))
        at_once = max(1, int(_CELLS // (size * count[rows].max())))
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            # The contenders of each row first, in a matrix of their own.
            most = int(count[some].max())
            columns = np.argsort(~able[some], axis=1, kind="stable")[:, :most]
            cells = some[:, None], columns
            found = _best(centre[cells], width[cells], able[cells], low[some], high[some], int(size))
            out[some[:, None], columns] = found
    return out


def _normal(expected: Floats, spread: Floats, allowed: Bools) -> tuple[Floats, Floats]:
    """Return ([N, K] means, [N, K] standard deviations above 0) of what is taken as Normal: worth's cube root, or worth itself."""
    rooted: Bools = np.logical_and.reduce((expected > 0) | ~allowed, axis=1, keepdims=True)
    variation = spread / expected
    root = np.cbrt(expected)
    centre = np.where(rooted, root * (1.0 - variation**2 / 9.0), expected)
    width = np.where(rooted, root * variation / 3.0, spread)
    centre[~allowed] = 0.0
    width[~allowed] = 0.0
    least = np.maximum(width.max(axis=1) * NARROWEST, np.abs(centre).max(axis=1) * 1e-9)
    return centre, np.maximum(width, np.maximum(least, 1e-300)[:, None])


def _best(centre: Floats, width: Floats, able: Bools, low: Floats, high: Floats, points: int) -> Floats:
    """Return [N, M] P(the highest of M Normals) by the trapezoidal rule over `points` + 1 points from `low` to `high`."""
    scale = _FINE / width
    at = scale[:, :, None] * (np.arange(points + 1) / points * (high - low)[:, None])[:, None, :]
    at += (scale * (low[:, None] - centre) + (REACH * _FINE + 0.5))[:, :, None]
    cell = at.astype(np.intp)
    log_below = np.take(_LOG_BELOW, cell, mode="clip")
    hazard = np.take(_HAZARD, cell, mode="clip")
    all_below = np.exp(np.matmul(able[:, None, :].astype(np.float64), log_below)[:, 0])
    mass: Floats = np.matmul(hazard, all_below[:, :, None])[:, :, 0] / width
    mass *= able
    best: Floats = mass / np.add.reduce(mass, axis=1, keepdims=True)
    return best
