"""A log that lost records of one arm: refused, run by run; and what would be read if it were not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from liftgate.measure.experiment import Asked, experiment_table
from liftgate.measure.lift import measure_lift
from liftgate.measure.quality import measure_quality
from liftgate.measure.refusal import Refused
from tests.loop.holdout_world import TREATED
from tests.loop.ledger import FULL, REFUSE, RUNS, Row, note
from tests.loop.reading import by_run, long, question, slow, table
from tests.loop.shop import DAY_MS, START_MS, Bools
from tests.loop.truth import ARRIVAL_DAYS, WINDOW_DAYS

pytestmark = [slow, long]
ASKED = Asked(layer="universal", window_ms=WINDOW_DAYS * DAY_MS, read_at_ms=START_MS + (ARRIVAL_DAYS + WINDOW_DAYS + 1) * DAY_MS)
SHARE = 0.02
MUCH = SHARE if FULL else 5 * SHARE
"""Of fewer people more must be lost for it to show in the split, and in the effect."""
LOGS, FEW = (RUNS, 50) if FULL else (10, 5)
LOOP = "2 % of one arm lost"


def decisions(log: Path) -> pa.Table:
    """Return the whole decision log."""
    return pa.concat_tables([pq.read_table(path) for path in sorted(log.glob("decision-*.parquet"))])


def losses(log: Path, rows: pa.Table, share: float) -> Bools:
    """Say which records are lost: this share of the treated people's, all of them of people who bought."""
    events = pa.concat_tables([pq.read_table(path, columns=["person_pseudonym", "kind"]) for path in sorted(log.glob("event-*.parquet"))])
    kind = np.array(events["kind"].to_pylist())
    bought = set(np.array(events["person_pseudonym"].to_pylist(), dtype=object)[kind == "PURCHASE"].tolist())
    treated = np.array([arm == "TREATMENT" for arm in rows["arm"].to_pylist()])
    busy = treated & np.array([one in bought for one in rows["person_pseudonym"].to_pylist()])
    lost = np.random.default_rng(3).random(len(rows)) < share * treated.sum() / busy.sum()
    return np.asarray(lost & busy, dtype=np.bool_)


def taken(rows: pa.Table, kept: NDArray[np.intp]) -> pa.Table:
    """Return some rows, all of them from one run, which lie together."""
    first, last = int(kept[0]), int(kept[-1])
    mask = np.zeros(last - first + 1, dtype=np.bool_)
    mask[kept - first] = True
    return rows.slice(first, len(mask)).filter(pa.array(mask))


def write(rows: pa.Table, folder: Path) -> Path:
    """Write a log of one sealed segment, in place of what is there."""
    folder.mkdir(exist_ok=True)
    pq.write_table(rows, folder / f"decision-{START_MS}-{'ab' * 16}-000001.parquet")
    return folder


def test_two_percent_lost_of_one_arm_is_refused_in_every_run(holdout_log: Path, tmp_path: Path) -> None:
    """A run's own log is answered when it is whole and refused when 2 % of one arm are gone: the numbers of records have gaps."""
    rows = decisions(holdout_log)
    lost = losses(holdout_log, rows, SHARE)
    run = rows["decided_at_ms"].to_numpy() % 1000
    mine = [np.flatnonzero(run == r) for r in range(LOGS)]
    refused = [refusal(rows, each[~lost[each]], tmp_path / "lossy") == "log_gaps" for each in mine]
    note(Row(LOOP, "a run's own log, numbers with gaps", LOGS, REFUSE, refused=sum(refused)))
    whole = [refusal(rows, each, tmp_path / "whole") for each in mine[:FEW]]
    note(Row(LOOP, "a run's own log, whole", FEW, "be answered", refused=FEW - whole.count("")))
    first = [measure_first(rows, each[:500][~lost[each[:500]]], tmp_path / "first") for each in mine[:FEW]]
    note(Row(LOOP, "the first 500 records, numbers with gaps", FEW, REFUSE, refused=sum(first)))
    assert all(refused)
    assert all(first)
    assert whole == [""] * FEW


def refusal(rows: pa.Table, kept: NDArray[np.intp], folder: Path) -> str:
    """Return the code with which a log of these records is refused, or nothing."""
    try:
        experiment_table(write(taken(rows, kept), folder), None, ASKED, folder.with_suffix(".parquet"))
    except Refused as err:
        return err.refusal.code
    return ""


def measure_first(rows: pa.Table, kept: NDArray[np.intp], folder: Path) -> bool:
    """Say whether the quality of a log of these records alone is refused for gaps."""
    found = measure_quality(write(taken(rows, kept), folder), None)
    return found["refusal"] is not None and found["refusal"].code == "log_gaps"


def test_without_the_gate_it_would_read_wrong(holdout_log: Path, tmp_path: Path) -> None:
    """The control: with gaps allowed and the split unchecked, the same loss reads as less than what was planted."""
    rows = decisions(holdout_log)
    log = write(rows.filter(pa.array(~losses(holdout_log, rows, MUCH))), tmp_path / "lossy")
    asked = Asked(layer="universal", window_ms=ASKED.window_ms, read_at_ms=ASKED.read_at_ms, allow_gaps=True)
    people = table(log, asked, tmp_path / "lossy.parquet", holdout_log)
    wrong = by_run(people, "purchase:binary", shares=("unknown",))
    wrong.misses(LOOP, "were it not refused", TREATED, -3)
    if FULL:
        many = by_run(people, "purchase:binary", by="score", shares=("unknown",))
        many.misses(LOOP, "were it not refused, 20,000 people a run", TREATED, -3)
        assert many.holds(TREATED) < 0.8 * many.runs


def test_a_loss_that_leaves_no_gap_is_seen_in_the_split(holdout_log: Path, tmp_path: Path) -> None:
    """Records that were lost before they had a number leave none out; over all runs the arms then do not come in their planned shares."""
    rows = decisions(holdout_log)
    kept = rows.filter(pa.array(~losses(holdout_log, rows, MUCH)))
    numbers = pa.array(np.arange(len(kept)))
    kept = kept.set_column(kept.schema.get_field_index("sequence"), "sequence", numbers)
    people = table(write(kept, tmp_path / "renumbered"), ASKED, tmp_path / "renumbered.parquet", holdout_log)
    report = measure_lift(question(people, "purchase:binary"))
    assert report["refusal"]["code"] == "sample_ratio_mismatch"
    whole = table(holdout_log, ASKED, tmp_path / "whole.parquet")
    assert measure_lift(question(whole, "purchase:binary"))["refusal"] is None
    (split,) = report["split"]["by_stratum"].values()
    words = f"{len(kept):,} people, {MUCH:.0%} lost, p {split['p_value']:.1g}"
    note(Row(LOOP, "no gap in the numbers: the split of all runs", 1, REFUSE, refused=1, note=words))
