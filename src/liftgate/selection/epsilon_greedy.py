"""Epsilon-greedy as a whole probability vector (Sutton and Barto, Reinforcement Learning, 2nd ed., section 2.2)."""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats


def epsilon_greedy(expected: Floats, allowed: Bools, epsilon: Floats) -> tuple[Floats, Floats]:
    """Return the vector's two parts, explore and exploit, each [N, K].

    Explore spreads `epsilon` [N] evenly over the allowed offers; exploit shares the rest evenly among those of highest
    `expected` value. Together a row sums to 1, or to 0 where nothing is allowed; offers that are not allowed have 0.
    """
    count = allowed.sum(axis=1)
    some = np.maximum(count, 1)
    explore = allowed * (epsilon / some)[:, None]
    masked = np.where(allowed, expected, -np.inf)
    top = allowed & (masked == masked.max(axis=1)[:, None])
    exploit = top * ((1.0 - epsilon) / np.maximum(top.sum(axis=1), 1))[:, None]
    return explore, exploit
