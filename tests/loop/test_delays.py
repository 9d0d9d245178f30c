"""Outcomes that come late: windows that are open are left out, and an estimate does not depend on when the log is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liftgate.measure.experiment import Asked
from tests.loop.holdout_world import TREATED
from tests.loop.ledger import RUNS
from tests.loop.reading import Table, by_run, long, slow, table
from tests.loop.shop import DAY_MS, START_MS
from tests.loop.truth import ARRIVAL_DAYS, WINDOW_DAYS

pytestmark = [slow, long]
EARLY = START_MS + (WINDOW_DAYS + 3) * DAY_MS
"""When those of the first three days have had their window, and the others have not."""
LATE, LATER = (START_MS + (ARRIVAL_DAYS + WINDOW_DAYS + days) * DAY_MS for days in (1, 40))
ASKED = Asked(layer="universal", window_ms=WINDOW_DAYS * DAY_MS, read_at_ms=EARLY)


def test_read_early_it_holds_the_truth_and_read_late_the_same(holdout_log: Path, tmp_path: Path) -> None:
    """Of those whose windows had closed, nothing changes with the date at which the log is read; the early intervals hold the truth."""
    early, late, later = (
        table(holdout_log, replace(ASKED, read_at_ms=at), tmp_path / f"{name}.parquet")
        for name, at in (("early", EARLY), ("late", LATE), ("later", LATER))
    )
    assert 0.3 < early.made.open_windows / late.made.units < 0.5
    by_run(early, "purchase:binary").covers("delayed outcomes", "40 % of windows open", TREATED)
    by_run(late, "purchase:binary").covers("delayed outcomes", "read late", TREATED)
    matured = late.where(pc.field("assigned_at_ms") + ASKED.window_ms <= EARLY, "matured")
    assert _sorted(early).equals(_sorted(matured))
    assert _sorted(late).equals(_sorted(later))
    # The control: the two readings do differ.
    assert not _sorted(early).equals(_sorted(late))


def _sorted(people: Table) -> pa.Table:
    """Return the columns, with the rows in an order of their own."""
    rows = pq.read_table(people.path)
    return rows.sort_by([(name, "ascending") for name in rows.column_names]).combine_chunks()


def test_counting_open_windows_reads_too_little(holdout_log: Path, tmp_path: Path) -> None:
    """The control: with everybody counted by what was known early, the intervals miss the truth far too often, always on the same side."""
    known = tmp_path / "known"
    known.mkdir()
    for path in sorted(holdout_log.glob("event-*.parquet")):
        pq.write_table(pq.read_table(path).filter(pc.field("occurred_at_ms") < EARLY - 5 * DAY_MS), known / path.name)
    naive = table(holdout_log, replace(ASKED, read_at_ms=LATE, allow_gaps=True), tmp_path / "naive.parquet", known)
    wrong = by_run(naive, "purchase:binary")
    wrong.misses("delayed outcomes", "open windows counted", TREATED, -8)
    assert wrong.holds(TREATED) < 0.9 * RUNS
    assert np.mean(wrong.estimate) < 0.75 * TREATED
