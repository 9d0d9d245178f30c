"""Conditions over offers: each distinct condition is evaluated once a batch, then spread over the offers that it governs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle, Condition, Rule
from liftgate.bundle.conditions import ColumnCondition
from liftgate.bundle.conditions_fused import FusedConditions
from liftgate.bundle.conditions_row import JudgeAll, judge_all
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.guardrails.base import PASSES, Tally

FEW = 3
"""Up to so many conditions one after the other are cheaper than together."""
FEW_JUDGEMENTS = 40
"""Up to so many pairs of a person and a condition are judged one by one: there plain numbers cost less than columns."""


class Judgements:
    """Conditions, each distinct one once, and the cheapest way to judge them for a batch of any size."""

    def __init__(self, conditions: Sequence[Condition], false: int, true: int, unknown: int) -> None:
        """`false`, `true`, `unknown`: codes, 0 to 255."""
        self._conditions = conditions
        columns = [condition for condition in conditions if isinstance(condition, ColumnCondition)]
        self._fused = FusedConditions(columns) if FEW < len(conditions) == len(columns) else None
        by_row = bool(columns) and len(columns) == len(conditions) and all(column.by_row for column in columns)
        self._few = FEW_JUDGEMENTS // len(columns) if by_row else 0
        """Up to so many people are judged one by one."""
        self._by_row = [column.program.by_row for column in columns]
        self._judge: JudgeAll | None = None
        self._codes = false, true, unknown
        self._false, self._true, self._unknown = (np.array(code, dtype=np.uint8) for code in self._codes)

    def __len__(self) -> int:
        return len(self._conditions)

    def evaluate(self, inputs: Floats, now_ms: NDArray[np.int64]) -> Codes | None:
        """Return [R + 1, N] codes from [N, I] inputs and [N] times, the last row 0; None: all are 0."""
        times = now_ms.astype(np.float64)
        if len(inputs) <= self._few:
            judge = self._judge
            if judge is None:
                judge = self._judge = judge_all(self._by_row, *self._codes)
            rows = list(map(judge, inputs.tolist(), times.tolist()))
            return np.array(rows, dtype=np.uint8).T if any(map(any, rows)) else None
        codes = np.zeros((len(self) + 1, len(inputs)), dtype=np.uint8)
        true, unknown = self._truths(inputs, times)
        codes[:-1] = np.where(true, self._true, np.where(unknown, self._unknown, self._false))
        return codes if codes.any() else None

    def _truths(self, inputs: Floats, now_ms: Floats) -> tuple[Bools, Bools]:
        """Return ([R, N] true, [R, N] unknown)."""
        if self._fused is not None:
            return self._fused.evaluate(inputs, now_ms)
        shape = (len(self._conditions), len(inputs))
        true, unknown = np.empty(shape, dtype=np.bool_), np.empty(shape, dtype=np.bool_)
        for r, condition in enumerate(self._conditions):
            true[r], unknown[r] = condition.evaluate(inputs, now_ms)
        return true, unknown


class Rules:
    """The conditions of one section. An offer may have two: its group's, which is judged first, and its own."""

    def __init__(
        self, bundle: Bundle, section: str, false: Reason | None, true: Reason | None, unknown: Reason, excusable: bool = False
    ) -> None:
        """`false`, `true`: the reason where a condition is false, where it is true; None: the offer passes.

        `excusable`: for rows that are excused it only notes, as in shadow.
        """
        self._bundle, self._excusable = bundle, excusable
        rules: Sequence[Rule] = getattr(bundle, section)
        against = [PASSES if reason is None else int(reason) for reason in (false, true, unknown)]
        self._judgements = Judgements([rule.condition for rule in rules], *against)
        shadow = bundle.shadow
        layers = (
            (_layer([rule.inherited for rule in rules], len(bundle.offers)), shadow.inherited.get(section)),
            (_layer([rule.own for rule in rules], len(bundle.offers)), shadow.own.get(section)),
        )
        self._layers = [(layer, in_shadow) for layer, in_shadow in layers if (layer < len(rules)).any()]

    def __bool__(self) -> bool:
        return len(self._judgements) > 0

    def judge(self, batch: Batch, tally: Tally | None) -> Tally | None:
        """Note the objections of the section; without any the tally, which may be none yet, is left as it is."""
        codes = self._judgements.evaluate(batch.inputs, batch.now_ms)
        if codes is None:
            return tally
        if tally is None:
            tally = Tally(batch, self._bundle)
        for layer, in_shadow in self._layers:
            if self._excusable and batch.excused is not None:
                # [N, 1] or [N, K].
                in_shadow = batch.excused[:, None] if in_shadow is None else batch.excused[:, None] | in_shadow
            tally.object_with(codes.take(layer, axis=0).T, in_shadow)
        return tally


def _layer(governed: Sequence[Indices], offers: int) -> Indices:
    """Return [K]: the offer's rule; one past the last: none."""
    layer = np.full(offers, len(governed), dtype=np.intp)
    for r, its in enumerate(governed):
        layer[its] = r
    return layer
