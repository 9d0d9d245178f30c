"""What offers chosen earlier in a slate leave to later ones: caps, exclusions and diversity as counters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools


@dataclass(frozen=True, slots=True)
class Limits:
    """C counters over N slates of K offers."""

    room: NDArray[np.int64]
    """[N, C] how many more each counter allows."""
    spends: NDArray[np.int64]
    """[K, C] 1 where choosing the offer is charged to the counter."""
    holds: NDArray[np.int64]
    """[K, C] 1 where the counter holds the offer back when it is full."""

    def beside(self, other: Limits) -> Limits:
        """Return these counters and others."""
        room = np.concatenate([self.room, other.room], axis=1)
        return Limits(room, np.concatenate([self.spends, other.spends], axis=1), np.concatenate([self.holds, other.holds], axis=1))

    def bind(self, allowed: Bools, slot_count: NDArray[np.intp]) -> Bools:
        """Say in whose slate ([N]) a counter could fill up with offers chosen earlier and hold back others; True where in doubt."""
        tight = (self.room > 0) & (self.room < slot_count[:, None])
        if not tight.any():
            return np.zeros(len(allowed), dtype=np.bool_)
        there = allowed.astype(np.int64)
        spending, holding, either = there @ self.spends, there @ self.holds, there @ (self.spends | self.holds)
        idle = (spending < self.room) | (spending == self.room) & (either == spending)
        bound: Bools = np.logical_or.reduce(tight & (spending > 0) & (holding > 0) & (either > 1) & ~idle, axis=1)
        return bound
