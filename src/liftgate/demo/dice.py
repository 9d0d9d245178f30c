"""The simulator's dice: every stream is named, and the same seed gives the same throws on every machine."""

from __future__ import annotations

import numpy as np

Dice = np.random.Generator  # noqa: TID251  # a simulated world may throw dice; decisions may not


def dice(seed: int, *stream: int) -> Dice:
    """Return a generator for one named stream of a seed (0 and up); streams of one seed are independent."""
    return np.random.default_rng([seed, *stream])  # noqa: TID251
