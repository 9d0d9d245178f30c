"""Which decisions of a log are in an experiment, in which arm, of what unit, and what shares were planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from liftgate.measure import unit_table
from liftgate.measure.experiment_outcomes import OF_EVENTS
from liftgate.measure.log import Log
from liftgate.measure.refusal import Misused, Refused

HELD_OUT, TREATED = "holdout", "treatment"
Planned = Mapping[str, Mapping[str, float]]
"""By bundle, by arm: the part of all units."""
_SAME = 1e-9
_MOST = 10_000  # rows of bundle, arm and share


@dataclass(frozen=True)
class Arms:
    """Decisions that are in an arm, which stands in their column `group`."""

    rows: Any
    unit: str
    """The column of what was randomised."""
    planned: Planned
    """Empty: the log does not say."""
    layer: str = ""
    """Whose arms they are; empty: of no one layer, but everybody held out and everybody treated."""
    choice: tuple[str, ...] = ()
    """Where none was named and the log has several: the layers to choose from."""

    @property
    def kind(self) -> str:
        """What a unit is: person, account, session or visitor."""
        return self.unit.removesuffix("_pseudonym")

    def shares(self, units: Mapping[str, int]) -> tuple[str, ...]:
        """Return ARM=WEIGHT over all bundles: the shares of each, by the units that it assigned."""
        total: dict[str, float] = {}
        for version, n in units.items():
            for arm, share in self.planned.get(version, {}).items():
                total[arm] = total.get(arm, 0.0) + share * n / sum(units.values()) if self.changed else share
        return tuple(sorted(f"{arm}={weight:.9g}" for arm, weight in total.items()))

    def shares_within(self) -> tuple[str, ...]:
        """Return version=VERSION:ARM=WEIGHT for every bundle; none where all had the same shares."""
        by_arm = ((version, arm, share) for version, shares in self.planned.items() for arm, share in sorted(shares.items()))
        return tuple(f"version={version}:{arm}={share:.9g}" for version, arm, share in by_arm) if self.changed else ()

    @property
    def changed(self) -> bool:
        """Whether another bundle had other shares."""
        return len({tuple(sorted(shares.items())) for shares in self.planned.values()}) > 1


def in_arms(log: Log, layer: str, placement: str) -> Arms:
    """Return the decisions of a layer's arms. Raises Misused, Refused.

    `layer` empty: the log's one holdout of everything, or the one layer it has; of several, treatment and everybody held out, unplanned.
    """
    rows = log.decisions.filter(log.decisions.mode.fill_null("") == "")
    if placement:
        rows = rows.filter(rows.placement_id == placement)
    # One row an assignment: engines do not agree on functions over arrays.
    flat = rows.mutate(one=rows.assignments.unnest())
    choice: tuple[str, ...] = ()
    if not layer:
        layer, choice = _meant(log, flat)
    if not layer:
        held = ibis.cases((rows.arm == "HOLDOUT", HELD_OUT), (rows.arm == "TREATMENT", TREATED))
        return Arms(rows.mutate(group=held).filter(lambda t: t.group.notnull()), "person_pseudonym", {}, "", choice)
    mine = flat.filter(flat.one.layer == layer)
    if not log.count(mine.limit(1)):
        named = sorted(row["layer"] for row in log.fetch(flat.select(layer=flat.one.layer).distinct().limit(50)))
        raise Misused(f"no decision of {log.name} is in a layer {layer!r}; it has {', '.join(named) or 'none'}")
    rows = mine.mutate(group=mine.one.arm, share=mine.one.share, kind=mine.one.unit.fill_null(""))
    unit = _unit_of(log, layer, rows)
    if unit != "person_pseudonym":
        unit_table.require_whole_units(layer, unit.removesuffix("_pseudonym"), **log.fetch(rows.aggregate(unit_table.counted(rows)))[0])
    # People held out of everything are shown nothing in either arm; in a holdout of everything they are what is compared.
    held = rows.filter(rows.group == HELD_OUT)
    if not log.count(held.limit(1)) or log.count(held.filter(held.arm != "HOLDOUT").limit(1)):
        rows = rows.filter(rows.arm == "TREATMENT")
    shares = planned(log.fetch(rows.select("group", "share", version=rows.bundle_digest).distinct().limit(_MOST)))
    return Arms(rows, unit, shares, layer)


def _meant(log: Log, flat: Any) -> tuple[str, tuple[str, ...]]:
    """Return the layer that is meant where none is named, or (empty) those to choose from: of everything's holdouts, else of all."""
    held = flat.one.arm == HELD_OUT
    rows = flat.select(layer=flat.one.layer, held=held.cast("int64"), shown=(held & (flat.arm != "HOLDOUT")).cast("int64"))
    found = log.fetch(rows.group_by("layer").aggregate(held=rows.held.sum(), shown=rows.shown.sum()))
    universal = [row["layer"] for row in found if row["held"] and not row["shown"]]
    meant = sorted(universal or [row["layer"] for row in found])
    return (meant[0], ()) if len(meant) == 1 else ("", tuple(meant))


def planned(rows: Sequence[Mapping[str, Any]]) -> Planned:
    """Return what was planned from rows of version, group and share; nothing where the log does not say.

    Nothing, too, where the part of all units that is in the layer changed: who came before and was in no arm may come in later, and the
    arms that they come into are not those of the shares.
    """
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        arms = found.setdefault(row["version"], {})
        if not row["share"] or arms.setdefault(row["group"], row["share"]) != row["share"]:
            return {}
    covered = [sum(shares.values()) for shares in found.values()]
    return found if found and max(covered) - min(covered) < _SAME else {}


def first_of(rows: Any, unit: str, inputs: Sequence[str], score: bool) -> Any:
    """Return one row a unit: what its first decision was, how many it had, and whether any had an offer.

    `rows` have group, number, place, key and hit (0 or 1), the inputs named, and where asked a score.
    """
    # The first that is scored: engines differ in whether they pass over a null.
    scored = {"score": rows.score.argmin(rows.decided_at_ms, where=(rows.hit == 1) & rows.score.notnull())} if score else {}
    whose = {} if unit in OF_EVENTS else {"person_pseudonym": rows.person_pseudonym.min()}
    return rows.group_by(unit).aggregate(
        arm=rows.group.min(),
        other=rows.group.max(),
        assigned_at_ms=rows.decided_at_ms.min(),
        number=rows.number.argmin(rows.decided_at_ms),
        place=rows.place.argmin(rows.decided_at_ms),
        decisions=rows.count(),
        triggered=rows.hit.max(),
        key=rows.key.min(),
        **{name: rows[name].argmin(rows.decided_at_ms) for name in inputs},
        **scored,
        **whose,
    )


def score_of(rows: Any, would: Any) -> Any:
    """Return what the model foretold of the first offer of a decision, less what it foretold without it; null where no model did."""
    at = rows.candidate_offer_id.index(would[0])
    alone = rows.candidate_untreated_propensity.length() > 0
    score = rows.candidate_propensity[at] - ibis.ifelse(alone, rows.candidate_untreated_propensity[at], 0.0)
    return ibis.ifelse((would.length() > 0) & (at >= 0) & (score - score == 0), score, ibis.null("float64"))


def _unit_of(log: Log, layer: str, rows: Any) -> str:
    """Return the column of what the layer randomised. Raises Refused where records do not say which one."""
    kinds = {row["kind"] or "person" for row in log.fetch(rows.select("kind").distinct())}
    if len(kinds) > 1:
        why = f"it randomises {' and '.join(sorted(kinds))}, which cannot be counted together"
    else:
        unit = f"{kinds.pop()}_pseudonym"
        nobody = rows.filter(rows[unit].isnull() | (rows[unit] == ibis.literal(b"", "binary"))) if unit not in OF_EVENTS else None
        if nobody is None or not (lost := log.count(nobody)):
            return unit
        why = f"{lost:,} of its decisions do not say which {unit.removesuffix('_pseudonym')} they belong to"
    raise Refused(
        "unit_without_events",
        f"layer {layer!r} cannot be measured: {why}",
        "measure the time in which every record says it, with --since and --until; or give a table of your own, in which outcomes stand "
        "beside that unit: --table",
    )
