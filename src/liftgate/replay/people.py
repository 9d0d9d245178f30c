"""How many different people, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 1 << 20
"""Pseudonyms kept; up to here the count is exact."""


class People:
    """Counts distinct pseudonyms: exactly up to `MOST`, from the smallest `MOST` of them above (k minimum values, about 0.1 % off).

    Pseudonyms are uniform, so the k-th smallest of all tells how densely they lie.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._smallest: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)
        self.exact = True

    def add(self, pseudonyms: NDArray[np.uint64]) -> None:
        """Count some more; those seen before count once."""
        if len(pseudonyms):
            merged = np.union1d(self._smallest, pseudonyms)
            self.exact &= len(merged) <= self._most
            self._smallest = merged[: self._most]

    @property
    def count(self) -> int:
        """Different people so far."""
        if self.exact:
            return len(self._smallest)
        return round((self._most - 1) * 2.0**64 / float(self._smallest[-1]))
