"""Stored states to feature values, many people at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.feature import STEPS, Definition
from liftgate.domain.input import Floats
from liftgate.signals.cell import CELL, CELLS, REGISTERS, estimate, readable
from liftgate.signals.plan import FeaturePlan
from liftgate.signals.series import Keeps

_MICROS = 1e6
_NO_MOMENT = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Values:
    """What D features are for N people."""

    value: Floats
    """[N, D] column numbers, NaN: there is none."""
    at_s: Floats
    """[N, D] when the newest event that the value rests on happened, seconds; now, where it rests on none; NaN with a state that cannot
    be read."""
    stored: NDArray[np.bool_]
    """[N] a readable state is there."""


class Evaluation:
    """Reads the states of one plan. Pure after construction."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan = plan
        series = plan.series
        self._ids = np.array([each.series_id for each in series], dtype=np.uint32)
        self._size = np.array([each.bucket_ms for each in series], dtype=np.int64)
        self._span = np.array([each.buckets - 1 for each in series], dtype=np.int64)
        keeps = [each.keeps for each in series]
        # The moment of a cell is its slot, its value, or none: latest values are judged by their own time.
        self._by_value = np.array([each in (Keeps.SET, Keeps.REGISTERS) for each in keeps], dtype=np.bool_)
        self._timeless = np.array([each in (Keeps.LATEST_AT, Keeps.LATEST) for each in keeps], dtype=np.bool_)
        self._firsts = np.array([each in (Keeps.FIRST_AT, Keeps.FIRST) for each in keeps], dtype=np.bool_)
        self._decays = np.array([each.decays for each in series], dtype=np.bool_)
        self._any = (bool(self._by_value.any()), bool(self._firsts.any()), bool(self._decays.any()))
        self._weights = np.exp2(-np.arange(int(self._span.max(initial=0)) + 1) / STEPS)
        place = {each.series_id: i for i, each in enumerate(series)}
        self._of = [[place[each.series_id] for each in own] for own in plan.of_definition]
        simple = [d for d, definition in enumerate(plan.definitions) if definition.aggregate in ("count", "sum")]
        self._simple = np.array(simple, dtype=np.intp)
        self._simple_series = np.array([self._of[d][0] for d in simple], dtype=np.intp)
        self._scale = np.array([_MICROS if plan.definitions[d].aggregate == "sum" else 1.0 for d in simple])
        self._others = [d for d in range(len(plan.definitions)) if d not in set(simple)]

    def __call__(self, states: Sequence[bytes | None], now_ms: NDArray[np.int64]) -> Values:
        """Return the values of N people at [N] moments from what is stored of them; None: nothing is."""
        n, s = len(states), len(self._ids)
        good = [raw is not None and readable(raw) for raw in states]
        broken = [i for i, raw in enumerate(states) if raw is not None and not good[i]]
        joined = b"".join([raw for raw, fine in zip(states, good, strict=True) if fine and raw is not None])
        lengths = [len(raw) // CELL.size if fine and raw is not None else 0 for raw, fine in zip(states, good, strict=True)]
        cells = np.frombuffer(joined, CELLS)
        now_bucket = now_ms[:, None] // self._size
        oldest = now_bucket - self._span
        place = np.searchsorted(self._ids, cells["series"])
        place[place == s] = 0
        row = np.repeat(np.arange(n), lengths)
        slot, value = cells["slot"].astype(np.int64), cells["value"].astype(np.float64)
        by_value = self._by_value[place]
        moment = np.where(by_value, value, slot).astype(np.int64) if self._any[0] else slot
        live = (moment >= oldest[row, place]) | self._timeless[place]
        live &= self._ids[place] == cells["series"]
        row, place, slot, value, moment = row[live], place[live], slot[live], value[live], moment[live]
        flat = row * s + place
        newest: NDArray[np.int64] = np.full(n * s, _NO_MOMENT, dtype=np.int64)
        np.maximum.at(newest, flat, moment)
        weight = value
        if self._any[0]:
            weight = np.where(self._by_value[place], 1.0, weight)
        if self._any[1]:
            first = np.full(n * s, np.iinfo(np.int64).max)
            np.minimum.at(first, flat, slot)
            weight = np.where(self._firsts[place] & (slot != first[flat]), 0.0, weight)
        if self._any[2]:
            # In one order, whatever order cells lie in: then the rounding is the same too.
            order = np.lexsort((slot, flat))
            flat, weight, place, slot, row = flat[order], weight[order], place[order], slot[order], row[order]
            age = np.clip(now_bucket[row, place] - slot, 0, len(self._weights) - 1)
            weight = np.where(self._decays[place], weight * self._weights[age], weight)
        total: Floats = np.bincount(flat, weights=weight, minlength=n * s).astype(np.float64, copy=False).reshape(n, s)
        found = self._values(total, newest.reshape(n, s), now_ms)
        if self._any[0]:
            self._estimate(found, states, good, oldest)
        if broken:
            found.value[broken] = found.at_s[broken] = np.nan
        found.stored[:] = good
        return found

    def _values(self, total: Floats, newest: NDArray[np.int64], now_ms: NDArray[np.int64]) -> Values:
        n, d = len(total), len(self._of)
        value, now_s = np.full((n, d), np.nan), now_ms / 1000.0
        some = newest != _NO_MOMENT
        # At the beginning of the newest bucket: at most one bucket too old, never too fresh.
        newest_s = np.where(some, np.minimum(newest * self._size / 1000.0, now_s[:, None]), now_s[:, None])
        at_s = np.empty((n, d))
        if self._simple.size:
            value[:, self._simple] = total[:, self._simple_series] / self._scale
            at_s[:, self._simple] = newest_s[:, self._simple_series]
        for index in self._others:
            definition, own = self._plan.definitions[index], self._of[index]
            a, b = own[0], own[-1]
            if definition.aggregate in ("mean", "rate"):
                over = total[:, b] * _MICROS if definition.aggregate == "mean" else total[:, b]
                np.divide(total[:, a], over, out=value[:, index], where=over != 0)
                at_s[:, index] = np.where(some[:, a], newest_s[:, a], newest_s[:, b])
                if definition.aggregate == "rate":
                    at_s[:, index] = np.where(some[:, a] & some[:, b], np.maximum(newest_s[:, a], newest_s[:, b]), at_s[:, index])
            elif definition.aggregate == "distinct":
                value[:, index], at_s[:, index] = total[:, a], newest_s[:, a]
            else:
                value[:, index], at_s[:, index] = _single(definition, total[:, a], total[:, b], some[:, a], now_ms)
        return Values(value, at_s, np.zeros(n, dtype=np.bool_))

    def _estimate(self, found: Values, states: Sequence[bytes | None], good: Sequence[bool], oldest: NDArray[np.int64]) -> None:
        """Put estimates where more distinct values were seen than are counted exactly."""
        for index in self._others:
            definition, own = self._plan.definitions[index], self._of[index]
            if definition.aggregate != "distinct":
                continue
            for row in np.flatnonzero(found.value[:, index] > definition.exact_up_to).tolist():
                raw = states[row]
                if raw is None or not good[row]:
                    continue
                cells = np.frombuffer(raw, CELLS)
                cells = cells[cells["value"] >= oldest[row, own[0]]]
                hashes, registers = (cells["slot"][cells["series"] == self._ids[each]] for each in own)
                live = np.union1d(hashes % REGISTERS, registers)
                found.value[row, index] = max(estimate(len(live)), definition.exact_up_to + 1)


def _single(
    definition: Definition, times: Floats, values: Floats, some: NDArray[np.bool_], now_ms: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return value and time of a feature that rests on one event."""
    live = some & (times > now_ms - definition.window_ms) if definition.aggregate != "first" else some
    if definition.aggregate == "recency":
        number = np.maximum(now_ms - times, 0.0) / definition.unit_ms
        values = np.floor(number) if definition.input.type.value == "int" else number
    now_s = now_ms / 1000.0
    return np.where(live, values, np.nan), np.where(live, np.minimum(times / 1000.0, now_s), now_s)
