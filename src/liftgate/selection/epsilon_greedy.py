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
    explore = allowed * (epsilon / np.maximum(np.add.reduce(allowed, axis=1, dtype=np.float64), _ONE))[:, None]
    masked = np.where(allowed, expected, _LEAST)
    top = masked == np.maximum.reduce(masked, axis=1, keepdims=True)
    top &= allowed
    exploit = top * ((_ONE - epsilon) / np.maximum(np.add.reduce(top, axis=1, dtype=np.float64), _ONE))[:, None]
    return explore, exploit


_ONE, _LEAST = np.array(1.0), np.array(-np.inf)
