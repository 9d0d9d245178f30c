"""Conditions over offers: each distinct condition is evaluated once a batch, then spread over the offers that it governs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
FEW_JUDGEMENTS = 80
"""Up to so many pairs of a person and a condition are judged one by one: there plain numbers cost less than columns."""
FEW_PEOPLE = 12
"""Of no more people than this: columns cost hardly anything more for one person more."""


class Judgements:
    """Conditions, each distinct one once, and the cheapest way to judge them for a batch of any size."""

    def __init__(self, conditions: Sequence[Condition], codes: Sequence[Sequence[int]]) -> None:
        """`codes`: each condition's where it is false, where it is true and where that is unknown, 0 to 255."""
        self._conditions = conditions
        columns = [condition for condition in conditions if isinstance(condition, ColumnCondition)]
        self._fused = FusedConditions(columns) if FEW < len(conditions) == len(columns) else None
        by_row = bool(columns) and len(columns) == len(conditions) and all(column.by_row for column in columns)
        self._few = min(FEW_JUDGEMENTS // len(columns), FEW_PEOPLE) if by_row else 0
        """Up to so many people are judged one by one."""
        self._by_row = [column.program.by_row for column in columns]
        self._judge: JudgeAll | None = None
        self._codes = codes
        # One for all, where they are the same: numpy takes less over that.
        columns_of = codes[:1] if len(set(map(tuple, codes))) == 1 else codes
        self._false, self._true, self._unknown = np.array(columns_of, dtype=np.uint8).reshape(len(columns_of), 3, 1).swapaxes(0, 1)

    def __len__(self) -> int:
        return len(self._conditions)

    def evaluate(self, inputs: Floats, now_ms: NDArray[np.int64]) -> Codes | None:
        """Return [R + 1, N] codes from [N, I] inputs and [N] times, the last row 0; None: all are 0."""
        times = now_ms.astype(np.float64)
        if len(inputs) <= self._few:
            judge = self._judge
            if judge is None:
                judge = self._judge = judge_all(self._by_row, self._codes)
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


@dataclass(frozen=True, slots=True)
class Section:
    """The conditions of one kind, and what they have against offers."""

    name: str
    """As `Bundle` has it."""
    false: Reason | None
    """Where a condition is false; None: the offer passes."""
    true: Reason | None
    unknown: Reason
    excusable: bool = False
    """For rows that are excused it only notes, as in shadow."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """Conditions of a section that offers have of their group, or of their own."""

    rule: Indices
    """[K] the offer's among all conditions; -1: none."""
    in_shadow: Bools | None
    excusable: bool
    first: int
    end: int
    """The section's conditions."""


class Rules:
    """The conditions of some sections. Of each an offer may have two: its group's, which is judged first, and its own."""

    def __init__(self, bundle: Bundle, *sections: Section) -> None:
        """`sections` in the order in which they give reasons."""
        self._bundle, shadow, offers = bundle, bundle.shadow, len(bundle.offers)
        conditions: list[Condition] = []
        codes: list[tuple[int, int, int]] = []
        self._layers: list[_Layer] = []
        for section in sections:
            rules: Sequence[Rule] = getattr(bundle, section.name)
            first, end = len(conditions), len(conditions) + len(rules)
            for governed, in_shadow in (
                ([rule.inherited for rule in rules], shadow.inherited.get(section.name)),
                ([rule.own for rule in rules], shadow.own.get(section.name)),
            ):
                rule = _rule(governed, offers, first)
                if (rule >= 0).any():
                    self._layers.append(_Layer(rule, in_shadow, section.excusable, first, end))
            false, true = (PASSES if reason is None else int(reason) for reason in (section.false, section.true))
            conditions += [rule.condition for rule in rules]
            codes += [(false, true, int(section.unknown))] * len(rules)
        self._judgements = Judgements(conditions, codes)
        self._several = len({layer.first for layer in self._layers}) > 1

    def __bool__(self) -> bool:
        return len(self._judgements) > 0

    def judge(self, batch: Batch, tally: Tally | None) -> Tally | None:
        """Note the objections of the sections; without any the tally, which may be none yet, is left as it is."""
        codes = self._judgements.evaluate(batch.inputs, batch.now_ms)
        if codes is None:
            return tally
        if tally is None:
            tally = Tally(batch, self._bundle)
        for layer in self._layers:
            if self._several and not any(codes[layer.first : layer.end].tobytes()):
                continue
            in_shadow = layer.in_shadow
            if layer.excusable and batch.excused is not None:
                # [N, 1] or [N, K].
                in_shadow = batch.excused[:, None] if in_shadow is None else batch.excused[:, None] | in_shadow
            tally.object_with(codes.take(layer.rule, axis=0).T, in_shadow)
        return tally


def _rule(governed: Sequence[Indices], offers: int, first: int) -> Indices:
    """Return [K]: the offer's rule, counted from `first`; -1: none."""
    found = np.full(offers, -1, dtype=np.intp)
    for r, its in enumerate(governed, start=first):
        found[its] = r
    return found
