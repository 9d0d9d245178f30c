"""Many tests at once: adjusted p-values by Benjamini-Hochberg (the default) or Holm. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Method = Literal["benjamini_hochberg", "holm"]

MEANING = {
    "benjamini_hochberg": "of the differences called real, at most the share alpha is expected to be luck (false discovery rate)",
    "holm": "the chance that even one difference called real is luck is at most alpha (family-wise error rate)",
}


@dataclass(frozen=True, slots=True)
class Adjusted:
    """One family of tests, in the order given."""

    method: Method
    alpha: float
    p_values: tuple[float, ...]
    adjusted: tuple[float, ...]
    """Smallest alpha at which this test is rejected within its family; at most 1."""
    rejected: tuple[bool, ...]


def adjust(p_values: Sequence[float], alpha: float = 0.05, method: Method = "benjamini_hochberg") -> Adjusted:
    """Return the family with its adjusted p-values. Raises ValueError for a p-value outside [0, 1] or NaN, or such an alpha."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError("p-values lie between 0 and 1 and none is missing")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1; got {alpha:g}")
    order = np.argsort(p, kind="stable")
    sizes = np.arange(1, p.size + 1)
    if method == "benjamini_hochberg":
        scaled = np.minimum.accumulate((p[order] * (p.size / sizes))[::-1])[::-1]
    else:
        scaled = np.maximum.accumulate(p[order] * (p.size + 1 - sizes))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(scaled, 1.0)
    return Adjusted(method, alpha, tuple(p.tolist()), tuple(adjusted.tolist()), tuple((adjusted <= alpha).tolist()))
