"""Sufficient statistics of one group of units: frozen, and merged by `+` as if their rows had been pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """Count, means and centred sums of products of K columns over n units. Its arrays are read-only."""

    names: tuple[str, ...]
    """The K columns."""
    n: int
    means: Floats
    """K means."""
    products: Floats
    """K x K: the sum over units of (x_i - mean_i)(x_j - mean_j). The diagonal is what is often called M2."""

    def __post_init__(self) -> None:
        for array in (self.means, self.products):
            array.flags.writeable = False

    @classmethod
    def of_rows(cls, columns: Mapping[str, Sequence[float] | Floats]) -> Statistic:
        """Return the statistic of columns of equal length."""
        rows = np.array([np.asarray(column, dtype=np.float64) for column in columns.values()])
        means = rows.mean(axis=1) if rows.shape[1] else np.zeros(len(rows))
        centred = rows - means[:, None]
        return cls(tuple(columns), rows.shape[1], means, centred @ centred.T)

    @classmethod
    def of_moments(cls, names: Sequence[str], n: int, means: Sequence[float], covariance: Sequence[Sequence[float]] | Floats) -> Statistic:
        """Return the statistic of n units with these means and this K x K covariance (ddof 1)."""
        return cls(tuple(names), n, np.array(means, dtype=np.float64), np.array(covariance, dtype=np.float64) * (n - 1))

    @classmethod
    def of_one(cls, n: int, mean: float, variance: float, name: str = "y") -> Statistic:
        """Return the statistic of one column with this variance (ddof 1)."""
        return cls.of_moments((name,), n, (mean,), ((variance,),))

    def __add__(self, other: Statistic) -> Statistic:
        """Return the statistic of both groups together. Raises ValueError where the columns differ."""
        if self.names != other.names:
            raise ValueError(f"cannot merge statistics of {self.names} and of {other.names}")
        n = self.n + other.n
        if n == 0:
            return self
        gap = other.means - self.means
        means = self.means + gap * (other.n / n)
        products = self.products + other.products + np.outer(gap, gap) * (self.n * (other.n / n))
        return Statistic(self.names, n, means, products)

    @property
    def covariance(self) -> Floats:
        """K x K covariance, ddof 1; NaN below two units."""
        return self.products / (self.n - 1) if self.n > 1 else np.full_like(self.products, np.nan)

    def mean(self, name: str) -> float:
        """Return the mean of a column."""
        return float(self.means[self.names.index(name)])

    def variance(self, name: str) -> float:
        """Return the variance of a column, ddof 1; NaN below two units."""
        return self.between(name, name)

    def between(self, one: str, other: str) -> float:
        """Return the covariance of two columns, ddof 1; NaN below two units."""
        return float(self.covariance[self.names.index(one), self.names.index(other)])

    def total(self, name: str) -> float:
        """Return the sum of a column."""
        return self.mean(name) * self.n


def merged(statistics: Iterable[Statistic]) -> Statistic:
    """Return all of them as one. Raises TypeError where there are none."""
    return reduce(Statistic.__add__, statistics)
