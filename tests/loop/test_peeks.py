"""Fifty looks at an experiment in which nothing happens: whom a fixed interval fools, and whom the sequence does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from liftgate.measure.experiment import Asked
from liftgate.measure.refusal import Refused
from liftgate.measure.sequential import Look, confidence_sequence
from liftgate.measure.sequential_answer import answer_sequence
from liftgate.measure.sequential_table import read_looks
from liftgate.measure.table import open_table
from tests.loop.holdout_world import PEOPLE, TREATED
from tests.loop.ledger import HOLD, MISS, RUNS, Row, note
from tests.loop.reading import Table, long, slow, table
from tests.loop.shop import DAY_MS, START_MS, Floats, Ints
from tests.loop.truth import ARRIVAL_DAYS, WINDOW_DAYS

pytestmark = [slow, long]
LOOKS = 50
ASKED = Asked(layer="universal", window_ms=WINDOW_DAYS * DAY_MS, read_at_ms=START_MS + (ARRIVAL_DAYS + WINDOW_DAYS + 1) * DAY_MS)


@pytest.fixture(scope="module")
def people(holdout_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Give everybody against the holdout."""
    return table(holdout_log, ASKED, tmp_path_factory.mktemp("loop") / "peeks.parquet")


def looks(at: Ints, treated: Floats, outcome: Floats) -> list[Look]:
    """Return what somebody sees who looks at the end of each fiftieth of the time in which people come."""
    found = []
    step = ARRIVAL_DAYS * DAY_MS // LOOKS
    for n in range(1, LOOKS + 1):
        t, c = (outcome[(at - START_MS < n * step) & (treated == side)] for side in (1, 0))
        if min(len(t), len(c)) > 1:
            found.append(Look(str(n), len(t), len(c), t.mean(), c.mean(), t.var(ddof=1), c.var(ddof=1)))
    return found


def _off(estimates: Floats, truth: float) -> float:
    return float((estimates.mean() - truth) / (estimates.std(ddof=1) / np.sqrt(len(estimates))))


def of_runs(people: Table, metric: str) -> list[list[Look]]:
    """Return the looks of every run."""
    columns = people.columns()
    run = columns["assigned_at_ms"] % 1000
    treated = (columns["arm"] == "treatment").astype(float)
    return [looks(columns["assigned_at_ms"][run == r], treated[run == r], columns[metric][run == r].astype(float)) for r in range(RUNS)]


def test_fifty_looks_fool_a_fixed_interval_and_not_the_sequence(people: Table) -> None:
    """Where nothing happens, the fixed interval leaves 0 out at some look in far more than 5 % of runs, the sequence in fewer."""
    sequences = [confidence_sequence(one, PEOPLE, binary=True) for one in of_runs(people, "click")]
    fixed = [any(look.fixed_low > 0 or look.fixed_high < 0 for look in one) for one in sequences]
    wrong = [any(look.excludes_zero for look in one) for one in sequences]
    last = [one[-1].fixed_low > 0 or one[-1].fixed_high < 0 for one in sequences]
    ends = np.array([one[-1].look.estimate for one in sequences])
    for reading, missed, must in (
        ("no effect, fixed interval at every look", fixed, MISS),
        ("no effect, sequence at every look", wrong, HOLD),
        ("no effect, fixed interval, read once", last, HOLD),
    ):
        note(Row(f"{LOOKS} looks", reading, len(missed), must, len(missed) - sum(missed), 0.0, float(ends.mean()), _off(ends, 0.0)))
    assert np.mean(fixed) > 0.1
    assert np.mean(wrong) < 0.05
    assert np.mean(last) < 0.1


def test_the_sequence_holds_a_planted_effect_at_every_look(people: Table) -> None:
    """Where something happens, all fifty intervals of the sequence hold it in 95 % of runs, and most runs may stop before their end."""
    sequences = [confidence_sequence(one, PEOPLE, binary=True) for one in of_runs(people, "purchase")]
    held = sum(all(look.ci_low <= TREATED <= look.ci_high for look in one) for one in sequences)
    stopped = np.mean([any(look.excludes_zero for look in one) for one in sequences])
    ends = np.array([one[-1].look.estimate for one in sequences])
    words = f"may stop in {stopped:.1%}"
    note(
        Row(
            f"{LOOKS} looks",
            "planted, sequence at every look",
            RUNS,
            HOLD,
            held,
            TREATED,
            float(ends.mean()),
            _off(ends, TREATED),
            note=words,
        )
    )
    assert held >= 0.95 * RUNS
    # The control: bounds that are never left would find nothing.
    assert stopped > 0.1


def test_the_looks_are_those_of_the_command(people: Table) -> None:
    """What the command reads from the table is what was read here, and a fixed horizon is not read before its end."""
    alone = people.where(pc.field("run") == "5", "five")
    columns = alone.columns()
    streams = read_looks(
        open_table(str(alone.path)), "row", "arm", "holdout", "click", "assigned_at_ms", f"{ARRIVAL_DAYS * DAY_MS // LOOKS}"
    )
    (mine,) = streams.looks.values()
    theirs = looks(columns["assigned_at_ms"], (columns["arm"] == "treatment").astype(float), columns["click"].astype(float))
    assert [(one.n_treatment, one.n_control) for one in mine][-len(theirs) :] == [(one.n_treatment, one.n_control) for one in theirs]
    assert [one.estimate for one in mine][-5:] == pytest.approx([one.estimate for one in theirs][-5:])
    with pytest.raises(Refused) as refused:
        answer_sequence(streams, None, 2 * PEOPLE, 0.05, people.made.shares)
    assert refused.value.refusal.code == "peeking"
