"""Vectors that follow worth, or weights, in proportion."""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats


def softmax(expected: Floats, allowed: Bools, temperature: float, relative: bool = False) -> Floats:
    """Return [N, K] probabilities in proportion to exp(expected / temperature), 0 where not allowed.

    `temperature` is above 0 and in the unit of `expected`; `relative`: a part of the largest absolute `expected` among the allowed. Rows
    sum to 1, or to 0 where nothing is allowed. An offer some 745 temperatures behind the best has probability 0.
    """
    masked = np.where(allowed, expected, -np.inf)
    best = np.maximum.reduce(masked, axis=1, keepdims=True)
    unit: float | Floats = temperature
    if relative:
        largest = np.maximum.reduce(np.where(allowed, np.abs(expected), 0.0), axis=1, keepdims=True)
        # Nothing is worth anything: all alike.
        unit = temperature * np.where(largest > 0, largest, 1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        odds = np.exp((masked - best) / unit)
    return proportional(odds, allowed)


def proportional(weight: Floats, allowed: Bools) -> Floats:
    """Return [N, K] probabilities in proportion to weights of 0 and more, [K] or [N, K], over the allowed."""
    masked = np.where(allowed, weight, 0.0)
    total = np.add.reduce(masked, axis=1, keepdims=True)
    return masked / np.where(total > 0, total, 1.0)
