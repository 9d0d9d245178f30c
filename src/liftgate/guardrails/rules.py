"""Conditions over offers: each distinct condition is evaluated once a batch, then spread over the offers that it governs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftgate.bundle.compiled import Rule
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.offer import Indices


class Rules:
    """The rules of one section. An offer may have several (its group's and its own): they lie in layers of at most one each."""

    def __init__(self, rules: Sequence[Rule], offers: int) -> None:
        self._conditions = [rule.condition for rule in rules]
        of_offer: list[list[int]] = [[] for _ in range(offers)]
        for r, rule in enumerate(rules):
            for offer in rule.offers.tolist():
                of_offer[offer].append(r)
        none = len(rules)
        self.layers: tuple[Indices, ...] = tuple(
            np.array([found[depth] if depth < len(found) else none for found in of_offer], dtype=np.intp)
            for depth in range(max(map(len, of_offer), default=0))
        )
        """Each [K]: the offer's rule in this layer; one past the last: none."""

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def evaluate(self, batch: Batch) -> tuple[Bools, Bools]:
        """Return ([N, R + 1] true, [N, R + 1] unknown); the last column, no rule, is neither."""
        shape = (batch.n, len(self._conditions) + 1)
        true, unknown = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        now_ms = batch.now_ms.astype(np.float64)
        for r, condition in enumerate(self._conditions):
            true[:, r], unknown[:, r] = condition.evaluate(batch.inputs, now_ms)
        return true, unknown
