"""A log of one policy, and what another bundle would have done in it: the table that off-policy estimates are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liftgate.app.counterfactual import write_counterfactual
from liftgate.app.replaying import Having
from liftgate.bundle.difference import Written
from liftgate.measure import attribution, ope
from liftgate.measure.log import new_aside, open_log
from liftgate.measure.simulate import DECISION_COLUMNS, EVENT_COLUMNS
from liftgate.replay.again import Again
from liftgate.replay.counterfactual import Counterfactual
from liftgate.replay.read import NotedDamage
from tests.loop.shop import DAY_MS, START_MS, Shop
from tests.loop.truth import ARRIVAL_DAYS, CATALOG, HEAD, chances, people

PEOPLE = 1_000
HOLDOUT = "layers:\n  universal: {kind: holdout, salt: off-policy, share: 0.1, answer: none}\n"
BUNDLE = HEAD + CATALOG + HOLDOUT
RULE = attribution.Rule("purchase", DAY_MS)
READ_AT = START_MS + (ARRIVAL_DAYS + 2) * DAY_MS


async def walk_off_policy_world(folder: Path, runs: range) -> Path:
    """Walk everybody; whoever is shown an offer sees it, and buys within the hour or not at all."""
    shop = Shop(folder, BUNDLE, runs.start)
    for run in runs:
        some = people(run, PEOPLE, START_MS, "off-policy")
        decisions = [one for walk in await shop.decide("visit", some.names, some.kinds, some.moments) for one in walk.decisions]
        shown = [shop.live.bundle.offers[one.offered[0]].offer_id if one.offered else "" for one in decisions]
        bought = np.flatnonzero(some.dice.random(PEOPLE) < chances(some, shown))
        moments = some.moments.tolist()
        await shop.happened.append(
            [shop.event("purchase", some.names[i], moments[i] + 1_000, 1.0, decisions[i].decision_id) for i in bought]
        )
    return await shop.close()


@dataclass(frozen=True)
class Target:
    """A log's decisions under another bundle, with what came of them."""

    table: Path
    """As `liftgate replay --bundle --out` writes it."""
    found: Counterfactual
    again: Again
    rows: pa.Table
    """The same for treated people, with their rewards."""

    def runs(self) -> Iterator[tuple[ope.Logged, pa.Table]]:
        """Yield each run's decisions."""
        run = self.rows["decided_at_ms"].to_numpy() % 1000
        columns = {name: self.rows[name].to_numpy() for name in ("reward", "logged_probability", "target_probability", "unsupported")}
        unit = self.rows["unit"].combine_chunks().dictionary_encode().indices.to_numpy()
        for r in np.unique(run):
            mine = np.flatnonzero(run == r)
            yield ope.Logged(**{name: one[mine] for name, one in columns.items()}, cluster=unit[mine]), self.rows.take(pa.array(mine))


def target_of(log: Path, given: Written, folder: Path) -> Target:
    """Replay the log under a bundle, and join what came of each decision."""
    again: Again
    having = Having(log, folder, given, lambda kind, name, said: again.found.note(kind, name, said))
    again = Again(having)
    path = folder / f"{given.bundle.digest[:8]}.parquet"
    found = write_counterfactual(log, having, given, path, NotedDamage(again.found), again, lambda n: None)
    with new_aside() as aside:
        opened = open_log(log, None, Path(aside), decision_columns=DECISION_COLUMNS, event_columns=EVENT_COLUMNS)
        treated = opened.decisions.filter(opened.decisions.arm == "TREATMENT").select("decision_id", "decided_at_ms", "person_pseudonym")
        rewards = opened.backend.to_pyarrow(attribution.rewards(opened, attribution.closed(treated, RULE, READ_AT), RULE))
    rows = pq.read_table(path).drop_columns(["reward"]).join(rewards, "decision_id", join_type="inner").sort_by("decision_id")
    return Target(path, found, again, rows)
