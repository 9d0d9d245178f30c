"""Conditions over offers: each distinct condition is evaluated once a batch, then spread over the offers that it governs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftgate.bundle.compiled import Rule
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.offer import Indices


FEW = 4
"""Up to so many people are judged row by row: there plain numbers cost less than columns."""
_NO_RULE = (False, False)


class Rules:
    """The rules of one section. An offer may have several (its group's and its own): they lie in layers of at most one each."""

    def __init__(self, rules: Sequence[Rule], offers: int) -> None:
        self._conditions = [rule.condition for rule in rules]
        self._by_row = all(condition.by_row for condition in self._conditions)
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
        if self._by_row and batch.n <= FEW:
            return self._row_by_row(batch)
        shape = (batch.n, len(self._conditions) + 1)
        true, unknown = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        now_ms = batch.now_ms.astype(np.float64)
        for r, condition in enumerate(self._conditions):
            true[:, r], unknown[:, r] = condition.evaluate(batch.inputs, now_ms)
        return true, unknown

    def _row_by_row(self, batch: Batch) -> tuple[Bools, Bools]:
        found = [
            [*[condition.evaluate_row(inputs, now_ms) for condition in self._conditions], _NO_RULE]
            for inputs, now_ms in zip(batch.inputs.tolist(), batch.now_ms.astype(np.float64).tolist(), strict=True)
        ]
        both: Bools = np.array(found, dtype=np.bool_)
        return both[:, :, 0], both[:, :, 1]
