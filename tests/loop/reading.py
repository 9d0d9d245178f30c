"""A log with many runs in it, read as the measuring side reads it: intervals by run, how many hold the truth, and the weights' mean."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy import stats

from liftgate.measure.experiment import Asked, Made, experiment_table
from liftgate.measure.lift import measure_lift
from liftgate.measure.lift_question import Question, metric_of
from liftgate.record.parquet import read_batches
from tests.loop.shop import DAY_MS, Floats

ALL = os.environ.get("LIFTGATE_TEST_LOOPS") == "all"
RUNS = 500 if ALL else 40
"""Of every loop; 500 with LIFTGATE_TEST_LOOPS=all."""
PROMISE = 0.95
LINES: list[str] = []
"""What the loops found, for the end of pytest's output."""


def needed(runs: int) -> int:
    """Return how many of the intervals must hold the truth: 93 %; of fewer than 400, what chance leaves out once in a thousand times."""
    return int(np.ceil(0.93 * runs)) if runs >= 400 else int(stats.binom.ppf(0.001, runs, PROMISE))


def say(words: str) -> None:
    """Print it at the end."""
    print(words)
    LINES.append(words)


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
    """Make the experiment's table of a log, with two columns more of each person: the run, and the half of the day at which they came."""
    made = experiment_table(directory, events, asked, target)
    rows = pq.read_table(target)
    at = rows["assigned_at_ms"].to_numpy()
    rows = rows.append_column("run", pc.cast(pa.array(at % 1000), pa.string()))
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

    def covers(self, name: str, truth: float) -> None:
        """Assert that as many intervals hold the truth as they promise, and that the runs together are not off it."""
        held, off = self.holds(truth), self.mean_error(truth)
        say(f"{name}: {held} of {self.runs} intervals hold {truth:+.4f} ({held / self.runs:.1%}); all runs off by {off:+.1f} s.e.")
        assert held >= needed(self.runs), (name, held, self.runs, self.refused)
        assert abs(off) < 4, (name, off)

    def mean_error(self, truth: float) -> float:
        """Return by how many standard errors the mean of all runs' estimates is off."""
        return float((self.estimate.mean() - truth) / (self.estimate.std(ddof=1) / np.sqrt(len(self.estimate))))


def together(several: Sequence[Found]) -> Found:
    """Return the intervals of several tables as one."""
    estimate, low, high = (np.concatenate([getattr(one, name) for one in several]) for name in ("estimate", "low", "high"))
    return Found(estimate, low, high, tuple(code for one in several for code in one.refused))


def by_run(table: Table, metric: str, control: str = "holdout", arm: str = "treatment", **options: Any) -> Found:
    """Measure the lift of one metric in each run; `options` are those of `Question`."""
    report = measure_lift(question(table, metric, control, segments=("run",), **options))
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
        error = sample.std(ddof=1) / np.sqrt(len(sample))
        off = (sample.mean() - 1) / error
        say(f"{name}, slot {slot + 1}: mean weight {sample.mean():.4f}, off by {off:+.1f} s.e. ({len(sample):,} draws)")
        assert abs(off) < 3


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
long = pytest.mark.timeout(3600 if ALL else 300)
