"""Logged decisions that are too many to be held at once: read a part at a time from a file in order of units, in memory of one size.

What is added up over the parts is what `ope`, `ope_trust` and `resample` take of arrays in memory, and so are the answers (to rounding);
only which units share a bundle of the bootstrap is drawn otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liftgate.measure import ope, ope_trust
from liftgate.measure.refusal import Refusal
from liftgate.measure.resample import MOST_BUNDLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROWS = 250_000
"""Decisions of a part, and what is left of the last unit of the part before."""
UNIT, ACTION = "unit", "action"
"""Columns of the file besides those of `ope.Logged`."""
_NUMBERS = tuple(one.name for one in fields(ope.Logged) if one.name != "cluster")


@dataclass(frozen=True)
class Parted:
    """Decisions in a Parquet file with the columns of `ope.Logged` that there are, ACTION, and UNIT where it is sorted by units."""

    file: Path
    rows: int = ROWS
    _actions: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def has_model(self) -> bool:
        """Whether predicted rewards are there."""
        return {"q_logged", "q_target"} <= set(pq.read_schema(self.file).names)

    def parts(self) -> Iterator[tuple[ope.Logged, NDArray[np.int64]]]:
        """Yield decisions with each one's action as a number; all decisions of a unit are in one part.

        Raises ValueError where the file is not in order of units: a unit in two parts would count as two.
        """
        rest: list[pa.RecordBatch] = []
        last = None
        with pq.ParquetFile(self.file) as file:
            by_unit = UNIT in file.schema_arrow.names
            for batch in file.iter_batches(self.rows):
                if not by_unit:
                    yield self._read(pa.Table.from_batches([batch]))
                    continue
                units = batch.column(UNIT)
                if not _in_order(units) or (last is not None and units[0].as_py() < last):
                    raise ValueError(f"{self.file.name} is not in order of {UNIT}")
                last = units[-1].as_py()
                changes = np.flatnonzero(_changes(units))
                if len(changes) == 0 and rest and units[0].equals(rest[-1].column(UNIT)[0]):
                    rest.append(batch)
                    continue
                cut = int(changes[-1]) + 1 if len(changes) else 0
                if whole := [one for one in (*rest, batch.slice(0, cut)) if one.num_rows]:
                    yield self._read(pa.Table.from_batches(whole))
                rest = [batch.slice(cut)]
        if rest:
            yield self._read(pa.Table.from_batches(rest))

    def _read(self, rows: pa.Table) -> tuple[ope.Logged, NDArray[np.int64]]:
        # A sum is a decimal in the file of some engines, and a decimal would be an object.
        numbers = {name: rows[name].cast(pa.float64()).to_numpy() for name in _NUMBERS if name in rows.column_names}
        unit = rows[UNIT].combine_chunks().dictionary_encode().indices.to_numpy() if UNIT in rows.column_names else None
        made = rows[ACTION].combine_chunks().fill_null("(missing)").dictionary_encode()
        places = np.array([self._actions.setdefault(name, len(self._actions)) for name in made.dictionary.to_pylist()], dtype=np.int64)
        return ope.Logged(**numbers, cluster=unit), places[made.indices.to_numpy()]

    def refused(self) -> tuple[int, Refusal | None]:
        """Return how many decisions there are, and why their columns cannot be used at all."""
        faults: Counter[tuple[str, str]] = Counter()
        n = 0
        for logged, _ in self.parts():
            n += len(logged.reward)
            faults.update(ope_trust.faults(logged))
        return n, ope_trust.judge_faults(faults, n)

    def diagnosed(self, clip: float) -> ope_trust.Diagnostics:
        """Return the diagnostics of the weights."""
        n = pq.ParquetFile(self.file).metadata.num_rows
        top = max(1, n // 100)
        sums, heaviest, clipped, most = np.zeros(4), np.zeros(0), 0, 0.0
        unsupported: float | None = None
        for logged, _ in self.parts():
            w = logged.weight
            rewarded = w[logged.reward != 0]
            sums += [w.sum(), w @ w, rewarded.sum(), rewarded @ rewarded]
            clipped, most = clipped + int((w > clip).sum()), max(most, float(w.max()))
            heaviest = np.concatenate([heaviest, w])
            if len(heaviest) > top:
                heaviest = np.partition(heaviest, len(heaviest) - top)[-top:].copy()
            if logged.unsupported is not None:
                unsupported = (unsupported or 0.0) + float(logged.unsupported.sum())
        units = self.units(clip, clip)
        slope = ope.weight_slope(sums[0] / n)
        spread = float(units.squared(slope[None, :])[0])
        return ope_trust.Diagnostics(
            n=n,
            units=units.n,
            ess=_effective(sums[0], sums[1]),
            ess_share=_effective(sums[0], sums[1]) / n,
            ess_rewarded=_effective(sums[2], sums[3]),
            max_weight=most,
            mean_weight=float(sums[0]) / n,
            mean_weight_se=float(np.sqrt(spread * units.n / (units.n - 1))) / n if units.n > 1 else float("inf"),
            top_1_percent_share=float(heaviest.sum() / sums[0]) if sums[0] else 0.0,
            clipped_share=clipped / n,
            unsupported=None if unsupported is None else unsupported / n,
        )

    def rewards(self) -> Floats:
        """Return the smallest and the largest reward."""
        ends = [(float(logged.reward.min()), float(logged.reward.max())) for logged, _ in self.parts()]
        return np.array([min(low for low, _ in ends), max(high for _, high in ends)])

    def support(self) -> list[ope_trust.ActionSupport]:
        """Return how each action is covered, the largest share under the target first."""
        tally: dict[int, list[Any]] = {}
        n = 0
        for logged, index in self.parts():
            n += len(index)
            for place, of in enumerate(ope_trust.tallied(logged, index, len(self._actions))):
                had = tally.setdefault(place, [0, 0.0, 0.0, np.inf])
                tally[place] = [had[0] + of[0], had[1] + of[1], had[2] + of[2], min(had[3], of[3])]
        return ope_trust.supports([tally[place] for place in self._actions.values()], list(self._actions), n)

    def units(self, clip: float, switch: float) -> Units:
        """Return what is estimated from."""
        n, total = 0, np.zeros(ope.COLUMNS)
        for logged, _ in self.parts():
            units = ope.unit_totals(logged, clip, switch)
            n, total = n + len(units), total + units.sum(axis=0)
        return Units(self, clip, switch, n, total / n)


@dataclass(frozen=True, slots=True)
class Units:
    """Totals by unit, never all at once."""

    source: Parted
    clip: float
    switch: float
    n: int
    mean: Floats

    def squared(self, slopes: Floats) -> Floats:
        """Return for each slope the sum over units of the squared influence."""
        found = np.zeros(len(slopes))
        for logged, _ in self.source.parts():
            found += (((ope.unit_totals(logged, self.clip, self.switch) - self.mean) @ slopes.T) ** 2).sum(axis=0)
        return found

    def bundled(self, seed: int) -> Floats:
        """Return units in at most MOST_BUNDLES random bundles of nearly equal size."""
        dice = np.random.default_rng([seed, 1])  # noqa: TID251  # seeded: the same rows, the same answer
        k, done = min(MOST_BUNDLES, self.n), 0
        made = np.zeros((k, ope.COLUMNS))
        for logged, _ in self.source.parts():
            units = ope.unit_totals(logged, self.clip, self.switch)
            place = (done + dice.permutation(len(units))) % k
            done += len(units)
            made += np.column_stack([np.bincount(place, weights=column, minlength=k) for column in units.T])
        return made


def _changes(column: Any) -> NDArray[np.bool_]:
    """Return of each row but the last whether the next one has another value."""
    codes = column.dictionary_encode().indices.to_numpy()
    return np.asarray(codes[1:] != codes[:-1])


def _in_order(column: Any) -> bool:
    return bool(pc.all(pc.less_equal(column.slice(0, len(column) - 1), column.slice(1))).as_py())


def _effective(total: float, squares: float) -> float:
    return float(total**2 / squares) if squares else 0.0
