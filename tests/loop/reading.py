"""A log with many runs in it, read as the measuring side reads it: intervals by run, how many hold the truth, and the weights' mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liftgate.measure.experiment import Asked, Made, experiment_table
from liftgate.measure.lift import measure_lift
from liftgate.measure.lift_question import Question, metric_of
from liftgate.record.parquet import read_batches
from tests.loop.ledger import FULL, HOLD, MISS, Row, needed, note
from tests.loop.shop import DAY_MS, Floats


@dataclass(frozen=True)
class Table:
    """An experiment's table, one row a person, with the run of each."""

    path: Path
    made: Made

    def where(self, mask: Any, name: str) -> Table:
        """Return the rows for which `mask`, an Arrow expression, holds."""
        target = self.path.with_name(f"{self.path.stem}-{name}.parquet")
        pq.write_table(pq.read_table(self.path).filter(mask), target)
        return Table(target, self.made)

    def columns(self) -> Mapping[str, Any]:
        """Return its columns as arrays."""
        table = pq.read_table(self.path)
        return {name: table[name].to_numpy() for name in table.column_names}


def table(directory: Path, asked: Asked, target: Path, events: Path | None = None) -> Table:
    """Make the experiment's table of a log, with three columns more of each person: run, score (20 runs), and half of the day."""
    made = experiment_table(directory, events, asked, target)
    rows = pq.read_table(target)
    at = rows["assigned_at_ms"].to_numpy()
    rows = rows.append_column("run", pc.cast(pa.array(at % 1000), pa.string()))
    rows = rows.append_column("score", pc.cast(pa.array(at % 1000 // 20), pa.string()))
    pq.write_table(rows.append_column("noon", pa.array(np.where(at // (DAY_MS // 2) % 2, "after", "before"))), target)
    return Table(target, made)


@dataclass(frozen=True)
class Found:
    """Intervals of one estimator over all runs."""

    estimate: Floats
    low: Floats
    high: Floats
    refused: tuple[str, ...]
    """Codes of what runs were refused with."""

    @property
    def runs(self) -> int:
        """How many there were, refused ones too."""
        return len(self.estimate) + len(self.refused)

    def holds(self, truth: float) -> int:
        """Return how many intervals hold a value; a refused run's does not."""
        return int(((self.low <= truth) & (truth <= self.high)).sum())

    def covers(self, loop: str, reading: str, truth: float) -> None:
        """Assert that as many intervals hold the truth as they promise, and that the runs together are not off it."""
        self.note(loop, reading, truth, HOLD)
        held, off = self.holds(truth), self.mean_error(truth)
        assert held >= needed(self.runs), (loop, reading, held, self.runs, self.refused)
        assert abs(off) < 4, (loop, reading, off)

    def misses(self, loop: str, reading: str, truth: float, by: float) -> None:
        """Assert of a control that the runs together are off the truth by this many standard errors: downwards where `by` is below 0."""
        self.note(loop, reading, truth, MISS)
        off = self.mean_error(truth)
        assert off * np.sign(by) > abs(by), (loop, reading, off)

    def note(self, loop: str, reading: str, truth: float, must: str) -> None:
        """Put it into the table."""
        mean = float(self.estimate.mean())
        note(Row(loop, reading, self.runs, must, self.holds(truth), truth, mean, self.mean_error(truth), len(self.refused)))

    def mean_error(self, truth: float) -> float:
        """Return by how many standard errors the mean of all runs' estimates is off."""
        return float((self.estimate.mean() - truth) / (self.estimate.std(ddof=1) / np.sqrt(len(self.estimate))))


def together(several: Sequence[Found]) -> Found:
    """Return the intervals of several tables as one."""
    estimate, low, high = (np.concatenate([getattr(one, name) for one in several]) for name in ("estimate", "low", "high"))
    return Found(estimate, low, high, tuple(code for one in several for code in one.refused))


def by_run(table: Table, metric: str, control: str = "holdout", arm: str = "treatment", by: str = "run", **options: Any) -> Found:
    """Measure the lift of one metric in each run (`by` score: in twenty runs together); `options` are those of `Question`."""
    report = measure_lift(question(table, metric, control, segments=(by,), **options))
    assert report["refusal"] is None, report["refusal"]
    return found([one for one in report["results"] if one["segment"] and one["arm"] == arm])


def question(table: Table, metric: str, control: str = "holdout", **options: Any) -> Question:
    """Return the question that the command asks of the table of a log."""
    given = {"unit": "row", "arm": "arm", "shares": table.made.shares, "period": "version"} | options
    return Question(table=str(table.path), control=control, metrics=(metric_of(metric),), **given)


def found(results: Sequence[Mapping[str, Any]]) -> Found:
    """Return answers as arrays."""
    said = [one for one in results if one["refusal"] is None]
    refused = tuple(one["refusal"]["code"] for one in results if one["refusal"] is not None)
    estimate, low, high = (np.array([one[name] for one in said], dtype=np.float64) for name in ("estimate", "ci_low", "ci_high"))
    return Found(estimate, low, high, refused)


def check_weights(directory: Path, name: str) -> None:
    """Assert that importance weights of an even target over the logged vectors have mean 1 within three standard errors, in every slot."""
    for slot, sample in enumerate(weights(directory)):
        check_mean_one(sample, f"{name}, slot {slot + 1}")


def check_mean_one(sample: Floats, name: str) -> None:
    """Assert that weights have mean 1 within three standard errors."""
    off = float((sample.mean() - 1) / (sample.std(ddof=1) / np.sqrt(len(sample))))
    note(Row("importance weights", name, len(sample), truth=1.0, mean=float(sample.mean()), off=off))
    assert abs(off) < 3, (name, off)


def weights(directory: Path, of_slot: int | None = None) -> list[Floats]:
    """Return by slot the weights of drawing evenly from what could be drawn. `of_slot`: read every slot by this one's vector."""
    parts: dict[int, list[Floats]] = {}
    wanted = ["placement_id", "candidate_offer_id", "slots", "offered", "would_offer", "default_served", "would_offer_default"]
    for batch in read_batches(directory, "decision", wanted):
        names = batch.column("candidate_offer_id").slice(0, 1).to_pylist()[0]
        index = {offer: k for k, offer in enumerate(names)}
        slots = len(batch.column("slots").slice(0, 1).to_pylist()[0])
        vectors = batch.column("slots").flatten().flatten().to_numpy().reshape(batch.num_rows, slots, len(names))
        offered, would, *defaults = (
            batch.column(one).to_pylist() for one in ("offered", "would_offer", "default_served", "would_offer_default")
        )
        chosen = np.full((batch.num_rows, slots), -1)
        for row, (shown, hidden, a, b) in enumerate(zip(offered, would, *defaults, strict=True)):
            if not (a or b):
                picked = hidden or shown
                chosen[row, : len(picked)] = [index[offer] for offer in picked]
        for slot in range(slots):
            rows = np.flatnonzero(chosen[:, slot] >= 0)
            vector = vectors[rows, slot if of_slot is None else of_slot]
            with np.errstate(divide="ignore"):
                parts.setdefault(slot, []).append(1 / (vector > 0).sum(axis=1) / vector[np.arange(len(rows)), chosen[rows, slot]])
    return [np.concatenate(parts[slot]) for slot in sorted(parts)]


slow = pytest.mark.slow
long = pytest.mark.timeout(3600 if FULL else 300)
