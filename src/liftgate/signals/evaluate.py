"""Stored states to feature values, many people at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.errors import BadInput
from liftgate.domain.feature import STEPS
from liftgate.domain.input import Floats, InputType
from liftgate.domain.offer import Indices
from liftgate.signals.cell import CELL, CELLS, REGISTERS, estimate, readable
from liftgate.signals.plan import FeaturePlan
from liftgate.signals.series import Keeps

_MICROS = 1e6
_NO_MOMENT = np.iinfo(np.int64).min
_NONE: Indices = np.zeros(0, dtype=np.intp)


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
        self._place_of, self._mask = _places([each.series_id for each in series])
        self._size = np.array([each.bucket_ms for each in series], dtype=np.int64)
        self._span = np.array([each.buckets - 1 for each in series], dtype=np.int64)
        keeps = [each.keeps for each in series]
        # The moment of a cell is its slot, its value, or none: latest values are judged by their own time.
        self._by_value = np.array([each in (Keeps.SET, Keeps.REGISTERS) for each in keeps], dtype=np.bool_)
        # Their slot is 0, which is before any bucket: no moment is too old for them.
        self._always = np.array([each in (Keeps.LATEST_AT, Keeps.LATEST) for each in keeps], dtype=np.bool_)
        self._firsts = np.array([each in (Keeps.FIRST_AT, Keeps.FIRST) for each in keeps], dtype=np.bool_)
        self._decays = np.array([each.decays for each in series], dtype=np.bool_)
        self._any = (bool(self._by_value.any()), bool(self._firsts.any()), bool(self._decays.any()))
        self._weights = np.exp2(-np.arange(int(self._span.max(initial=0)) + 1) / STEPS)
        place = {each.series_id: i for i, each in enumerate(series)}
        self._of = [[place[each.series_id] for each in own] for own in plan.of_definition]
        self._plain = _columns(plan, self._of, ("count", "sum", "distinct"))
        self._plain_scale = np.array([_MICROS if plan.definitions[d].aggregate == "sum" else 1.0 for d in self._plain[0].tolist()])
        self._ratios = _columns(plan, self._of, ("mean", "rate"))
        self._ratio_scale = np.array([_MICROS if plan.definitions[d].aggregate == "mean" else 1.0 for d in self._ratios[0].tolist()])
        self._singles = _columns(plan, self._of, ("last", "first", "recency"))
        singles = [plan.definitions[d] for d in self._singles[0].tolist()]
        self._window_ms = np.array([np.inf if one.aggregate == "first" else one.window_ms for one in singles])
        self._recent = [(i, one) for i, one in enumerate(singles) if one.aggregate == "recency"]
        self._distinct = [d for d, one in enumerate(plan.definitions) if one.aggregate == "distinct"]

    def __call__(self, states: Sequence[bytes | None], now_ms: NDArray[np.int64]) -> Values:
        """Return the values of N people at [N] moments from what is stored of them; None: nothing is."""
        n, s = len(states), len(self._ids)
        good = [raw is not None and readable(raw) for raw in states]
        broken = [i for i, raw in enumerate(states) if raw is not None and not good[i]]
        raws = [raw if fine and raw is not None else b"" for raw, fine in zip(states, good, strict=True)]
        cells = np.frombuffer(b"".join(raws), CELLS)
        row = np.repeat(np.arange(n), [len(raw) // CELL.size for raw in raws])
        ids, value = cells["series"], cells["value"]
        place = self._place_of[ids & self._mask]
        moment = cells["slot"].astype(np.int64)
        if self._any[0]:
            by_value = np.flatnonzero(self._by_value[place])
            moment[by_value] = value[by_value]
        flat = row * s + place
        # A live batch has one moment for everybody.
        now_bucket = (now_ms[:1] if (now_ms == now_ms[0]).all() else now_ms)[:, None] // self._size
        oldest = np.where(self._always, 0, now_bucket - self._span)
        live = moment >= (oldest[0][place] if len(oldest) == 1 else oldest.ravel()[flat])
        live &= self._ids[place] == ids
        # What does not count goes into a column of its own.
        flat = np.where(live, flat, n * s)
        newest = np.full(n * s + 1, _NO_MOMENT, dtype=np.int64)
        np.maximum.at(newest, flat, moment)
        weight = value
        if self._any[0]:
            weight = value.copy()
            weight[by_value] = 1.0
        if self._any[1]:
            first = np.full(n * s + 1, np.iinfo(np.int64).max)
            np.minimum.at(first, flat, moment)
            weight = np.where(self._firsts[place] & (moment != first[flat]), 0.0, weight)
        decayed = np.flatnonzero(self._decays[place] & live) if self._any[2] else _NONE
        if decayed.size:
            flats, slots = flat[decayed], moment[decayed]
            # In one order, whatever order cells lie in: then the rounding is the same too.
            order = np.lexsort((slots, flats))
            flats, slots, decayed = flats[order], slots[order], decayed[order]
            now_at = now_bucket[0][place[decayed]] if len(now_bucket) == 1 else now_bucket.ravel()[flats]
            weights = value[decayed] * self._weights[np.maximum(now_at - slots, 0)]
            flat[decayed] = n * s
        total: Floats = np.bincount(flat, weights=weight, minlength=n * s + 1).astype(np.float64, copy=False)
        if decayed.size:
            total += np.bincount(flats, weights=weights, minlength=n * s + 1)
        found = self._values(total[:-1].reshape(n, s), newest[:-1].reshape(n, s), now_ms)
        if self._any[0]:
            self._estimate(found, states, good, np.broadcast_to(oldest, (n, s)))
        if broken:
            found.value[broken] = found.at_s[broken] = np.nan
        found.stored[:] = good
        return found

    def _values(self, total: Floats, newest: NDArray[np.int64], now_ms: NDArray[np.int64]) -> Values:
        n, d = len(total), len(self._of)
        value, at_s = np.full((n, d), np.nan), np.empty((n, d))
        now_s = (now_ms / 1000.0)[:, None]
        # At the beginning of the newest bucket: at most one bucket too old, never too fresh. Without an event it is of now.
        newest_s = np.where(newest == _NO_MOMENT, -np.inf, np.minimum(newest * (self._size / 1000.0), now_s))
        columns, a, b = self._plain
        if columns.size:
            value[:, columns] = total[:, a] / self._plain_scale
            at_s[:, columns] = newest_s[:, a]
        columns, a, b = self._ratios
        if columns.size:
            over = total[:, b] * self._ratio_scale
            value[:, columns] = np.divide(total[:, a], over, out=np.full(over.shape, np.nan), where=over != 0)
            at_s[:, columns] = np.maximum(newest_s[:, a], newest_s[:, b])
        columns, a, b = self._singles
        if columns.size:
            times, values = total[:, a], total[:, b]
            live = (newest[:, a] != _NO_MOMENT) & (times > now_ms[:, None] - self._window_ms)
            for i, definition in self._recent:
                ago = np.maximum(now_ms - times[:, i], 0.0) / definition.unit_ms
                values[:, i] = np.floor(ago) if definition.input.type is InputType.INT else ago
            value[:, columns] = np.where(live, values, np.nan)
            at_s[:, columns] = np.where(live, np.minimum(times / 1000.0, now_s), -np.inf)
        np.copyto(at_s, now_s, where=at_s == -np.inf)
        return Values(value, at_s, np.zeros(n, dtype=np.bool_))

    def _estimate(self, found: Values, states: Sequence[bytes | None], good: Sequence[bool], oldest: NDArray[np.int64]) -> None:
        """Put estimates where more distinct values were seen than are counted exactly."""
        for index in self._distinct:
            definition, own = self._plan.definitions[index], self._of[index]
            for row in np.flatnonzero(found.value[:, index] > definition.exact_up_to).tolist():
                raw = states[row]
                if raw is None or not good[row]:
                    continue
                cells = np.frombuffer(raw, CELLS)
                cells = cells[cells["value"] >= oldest[row, own[0]]]
                hashes, registers = (cells["slot"][cells["series"] == self._ids[each]] for each in own)
                live = np.union1d(hashes % REGISTERS, registers)
                found.value[row, index] = max(estimate(len(live)), definition.exact_up_to + 1)


def _columns(plan: FeaturePlan, of: Sequence[Sequence[int]], aggregates: Sequence[str]) -> tuple[Indices, Indices, Indices]:
    """Return the definitions of some kinds, and the first and the last series of each."""
    chosen = [d for d, one in enumerate(plan.definitions) if one.aggregate in aggregates]
    columns = (chosen, [of[d][0] for d in chosen], [of[d][-1] for d in chosen])
    return tuple(np.array(column, dtype=np.intp) for column in columns)  # type: ignore[return-value]


def _places(ids: Sequence[int]) -> tuple[Indices, np.uint32]:
    """Return a table from the last bits of an id to its place, and the mask of those bits: as few as keep the ids apart."""
    bits = next((b for b in range(1, 17) if len({each & (1 << b) - 1 for each in ids}) == len(ids)), 0)
    if not bits:
        raise BadInput("some features from events cannot be told apart: change a window")
    table = np.zeros(1 << bits, dtype=np.intp)
    for place, each in enumerate(ids):
        table[each & (1 << bits) - 1] = place
    return table, np.uint32((1 << bits) - 1)
