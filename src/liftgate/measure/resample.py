"""The bootstrap over units: totals of resampled units, seeded, in bounded time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_BUNDLES = 4_000
"""More units than this are first put into so many bundles at random; bundles of independent units vary as the units do."""
_CELLS = 4_000_000
"""Counts held at once."""


def bundles(units: Floats, seed: int) -> Floats:
    """Return units (rows) by columns as they are, or summed into MOST_BUNDLES random bundles of nearly equal size."""
    if len(units) <= MOST_BUNDLES:
        return units
    order = np.random.default_rng([seed, 1]).permutation(len(units))  # noqa: TID251
    return np.add.reduceat(units[order], np.linspace(0, len(units), MOST_BUNDLES, endpoint=False).astype(np.int64), axis=0)


def resampled_totals(units: Floats, replicates: int, seed: int) -> Floats:
    """Return replicates by columns: the totals of as many units drawn with replacement."""
    dice = np.random.default_rng([seed, 2])  # noqa: TID251
    n, at_once = len(units), max(1, _CELLS // len(units))
    totals = np.empty((replicates, units.shape[1]))
    for start in range(0, replicates, at_once):
        size = min(at_once, replicates - start)
        drawn = dice.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        totals[start : start + size] = counts @ units
    return totals
