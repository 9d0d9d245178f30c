"""A holdout that grows with the season: pooled, the season reads as an effect; within each period, it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.measure.experiment import Asked
from liftgate.measure.lift import measure_lift
from tests.loop.ledger import RUNS
from tests.loop.parts import walked
from tests.loop.reading import Table, by_run, check_weights, long, question, slow, table
from tests.loop.shop import DAY_MS, START_MS, Shop
from tests.loop.truth import CATALOG, EFFECT, HEAD, SHARE, VALUES, by_kind, people

pytestmark = [slow, long]
PEOPLE, WEEK_MS = 500, 7 * DAY_MS
LAYERS = "layers:\n  universal: {{kind: holdout, salt: allocation, share: {share}, answer: none}}\n"
PERIODS = ((0.2, 0.15), (0.6, 0.45))
"""The holdout's share, and P(a purchase) of who is shown nothing: the season is good when many are held out."""
TRUTH = sum(SHARE[kind] * p * EFFECT[offer] for kind, vector in by_kind(VALUES).items() for offer, p in vector.items())


async def walk(folder: Path, runs: range) -> Path:
    """Walk two weeks, the second under a bundle that holds out more."""
    shop = Shop(folder, HEAD + CATALOG + LAYERS.format(share=PERIODS[0][0]), runs.start)
    for period, (share, base) in enumerate(PERIODS):
        shop.take(HEAD + CATALOG + LAYERS.format(share=share))
        for run in runs:
            some = people(run, PEOPLE, START_MS + period * WEEK_MS, f"season-{period}")
            decisions = [one for walk in await shop.decide("visit", some.names, some.kinds, some.moments) for one in walk.decisions]
            effect = [EFFECT[shop.live.bundle.offers[one.offered[0]].offer_id] if one.offered else 0.0 for one in decisions]
            bought = np.flatnonzero(some.dice.random(PEOPLE) < base + np.array(effect))
            moments = some.moments.tolist()
            await shop.happened.append([shop.event("purchase", some.names[i], moments[i] + 1_000) for i in bought])
    return await shop.close()


@pytest.fixture(scope="module")
def seasons(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Give both weeks' people against the holdout."""
    folder = tmp_path_factory.mktemp("loop")
    log = walked("changed allocation", walk, shared / "allocation", RUNS)
    check_weights(log, "changed allocation")
    return table(log, Asked(layer="universal", window_ms=DAY_MS, read_at_ms=START_MS + 3 * WEEK_MS), folder / "people.parquet")


def test_within_periods_it_holds_the_truth(seasons: Table) -> None:
    """Compared within each period (the bundle in force), the intervals hold what was planted."""
    assert seasons.made.versions == 2
    by_run(seasons, "purchase:binary", strata=("version",), shares=("unknown",)).covers("changed allocation", "within periods", TRUTH)


def test_pooled_it_is_refused_and_would_be_wrong(seasons: Table) -> None:
    """The control: pooled over periods the intervals miss the truth, and the gate does not let it come to that."""
    report = measure_lift(question(seasons, "purchase:binary", shares=("unknown",)))
    assert report["refusal"]["code"] == "changed_allocation"
    naive = by_run(seasons, "purchase:binary", shares=("unknown",), period="")
    naive.misses("changed allocation", "pooled, were it not refused", TRUTH, -8)
    assert naive.holds(TRUTH) < 0.5 * RUNS
