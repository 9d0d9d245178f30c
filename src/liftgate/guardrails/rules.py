"""Conditions over offers: each distinct condition is evaluated once a batch, then spread over the offers that it governs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftgate.bundle.compiled import Rule
from liftgate.domain.batch import Batch, Codes
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES

FEW = 4
"""Up to so many people are judged row by row: there plain numbers cost less than columns."""


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

    def evaluate(self, batch: Batch, true: Reason | int, unknown: Reason | int, false: Reason | int) -> Codes:
        """Return [N, R + 1] what each condition says, as the code given for it; the last column, no rule, always PASSES."""
        if self._by_row and batch.n <= FEW:
            return self._row_by_row(batch, int(true), int(unknown), int(false))
        codes: Codes = np.full((batch.n, len(self._conditions) + 1), PASSES, dtype=np.uint8)
        now_ms = batch.now_ms.astype(np.float64)
        for r, condition in enumerate(self._conditions):
            holds, cannot_be_told = condition.evaluate(batch.inputs, now_ms)
            codes[:, r] = np.where(holds, np.uint8(true), np.where(cannot_be_told, np.uint8(unknown), np.uint8(false)))
        return codes

    def _row_by_row(self, batch: Batch, true: int, unknown: int, false: int) -> Codes:
        found = []
        for inputs, now_ms in zip(batch.inputs.tolist(), batch.now_ms.tolist(), strict=True):
            row = []
            for condition in self._conditions:
                holds, cannot_be_told = condition.evaluate_row(inputs, float(now_ms))
                row.append(true if holds else unknown if cannot_be_told else false)
            row.append(PASSES)
            found.append(row)
        return np.array(found, dtype=np.uint8)
