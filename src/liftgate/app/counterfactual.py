"""A log under its own bundles and under another: the table of what that one would have done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liftgate.app.replaying import Having
from liftgate.bundle.difference import Written
from liftgate.replay.again import Again
from liftgate.replay.counterfactual import Counterfactual, Table, rows_of, unknowable
from liftgate.replay.read import NotedDamage, read_log
from liftgate.replay.redecide import Redecider


def write_counterfactual(
    log: Path, having: Having, given: Written, out: Path, damage: NotedDamage, again: Again, advance: Callable[[int], None]
) -> Counterfactual:
    """Decide the log again under its own bundles and under `given`, and write the table; `advance` is told how many decisions are done."""
    found = Counterfactual(given.bundle.digest)
    models = having.models(given.bundle)
    redeciders: dict[str, Redecider] = {}
    with Table(out) as table:
        for logged in read_log(log, damage):
            own, same = again.add(logged)
            had = again.redecider(logged.bundle_digest)
            if isinstance(had, str) or own is None:
                why = had if isinstance(had, str) else "its own bundle does not give what the log says"
                table.write(unknowable(logged, why, found))
            else:
                if logged.bundle_digest not in redeciders:
                    redeciders[logged.bundle_digest] = Redecider(given.bundle, models, had.bundle)
                table.write(rows_of(logged, same, own, redeciders[logged.bundle_digest], found))
            advance(logged.n)
    return found
