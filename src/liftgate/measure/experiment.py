"""From a log to an experiment table: one row a person (or what else a layer randomises), one rule for every arm.

assigned    the moment of the unit's first decision in the layer
outcome     every event of the unit in [assigned, assigned + window), whatever was shown: the same rule for both arms
dropped     units whose window is still open at `read_at`, in every arm alike
triggered   an offer (one of `offers`, where they are named) was chosen in some decision, shown or withheld: computed alike in all arms
exposed     an exposure was reported in the window
score       what the model foretold of the first offer that was chosen, shown or withheld
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis

from liftgate.measure import experiment_outcomes as outcomes
from liftgate.measure import log_inputs, unit_table
from liftgate.measure.engine import one_file
from liftgate.measure.experiment_arms import HELD_OUT, TREATED, Arms, first_of, in_arms, score_of
from liftgate.measure.log import Log, new_aside, open_log, time_of, valid
from liftgate.measure.quality import gap_refusal, lost_records
from liftgate.measure.refusal import Refused

__all__ = ["DECISION_COLUMNS", "EVENT_COLUMNS", "HELD_OUT", "SCORE_COLUMNS", "TREATED", "Asked", "Made", "experiment_table", "table_of"]
DECISION_COLUMNS = (
    "decision_id", "decided_at_ms", "person_pseudonym", "pseudonym_key_id", "placement_id", "bundle_digest", "arm", "assignments",
    "branch", "account_pseudonym", "session_pseudonym", "visitor_pseudonym", unit_table.PERSONAL, "mode", "offered", "default_served",
    "would_offer", "would_offer_default",
)  # fmt: skip
SCORE_COLUMNS = ("candidate_offer_id", "candidate_propensity", "candidate_untreated_propensity")
"""What `Asked.score` reads besides."""
EVENT_COLUMNS = ("event_id", "kind", "person_pseudonym", "account_pseudonym", "occurred_at_ms", "received_at_ms", "value", "reason")
KINDS = ("EXPOSURE", "CLICK", "PURCHASE")
_DAY_MS = 86_400_000
_MEMORY = "192MB"
"""Enough for a part of the units; a million decisions and ten million take the same."""
MOST_PARTS = 32
"""Each reads all decisions again; beyond this many, what does not fit goes to disk."""
_DECISION_BYTES, _INPUT_BYTES = 60, 16
"""What a decision, and an input of it, takes where first decisions are sought; more than that is on disk."""
_TOUCH_BYTES = 150
"""What a decision takes beside the events of its person."""
_UNIT_BYTES, _DONE_BYTES, _SUM_BYTES = 150, 110, 24
"""What a unit takes in joins, one that did something besides, and each sum of it: measured with 8 to 48 sums, 50,000 to 500,000 units."""
_KNOWN = (
    "arm",
    "version",
    "placement",
    "assigned_at",
    "assigned_at_ms",
    "decisions",
    "triggered",
    "exposed",
    "purchase_again",
    "net_value",
)


@dataclass(frozen=True)
class Asked:
    """What the table is to hold."""

    layer: str = ""
    """The layer whose arms are compared; empty: see experiment_arms.in_arms."""
    window_ms: int = 7 * _DAY_MS
    before_ms: int = 0
    """Length of the time before assignment over which covariates count; 0: no covariates."""
    placement: str = ""
    offers: tuple[str, ...] = ()
    """The trigger asks for one of these; empty: any offer."""
    since_ms: int | None = None
    until_ms: int | None = None
    """Of first decisions: who came earlier is out, with all that followed."""
    read_at_ms: int | None = None
    """None: the latest moment in the log."""
    allow_gaps: bool = False
    """Go on although records are missing."""
    inputs: tuple[str, ...] = ()
    """Inputs of the person's first decision that become columns, as texts: see log_inputs."""
    groups: tuple[str, ...] = ()
    """Columns to group by; those that the table would not have are inputs, too."""
    score: bool = False
    """Add the column `score`."""


@dataclass(frozen=True)
class Made:
    """What came of it."""

    path: Path
    units: int
    open_windows: int
    """People left out because their window is still open."""
    read_at_ms: int
    kinds: tuple[str, ...]
    """Events counted: `<kind>` 0 or 1, `<kind>_count`, `<kind>_value`."""
    versions: int
    """Bundles among first decisions; the table's `version` says which."""
    repeated_events: int
    """Events that were there twice and count once."""
    lost_records: int
    """Records that were written and are in no file."""
    shares: tuple[str, ...]
    """What the log says that was planned, as ARM=WEIGHT, over bundles by the units that each assigned; empty: it does not say."""
    shares_within: tuple[str, ...] = ()
    """The same within each bundle, as version=VERSION:ARM=WEIGHT; empty: it never changed, or the log does not say."""
    unit: str = "person"
    """What a row is: person, account, session or visitor."""
    layer: str = ""
    choice: tuple[str, ...] = ()
    """Whose arms these are, and where nobody said and the log has several, the layers to choose from: see experiment_arms.Arms."""

    def as_json(self) -> dict[str, Any]:
        """Return what an answer says of the log that it comes from."""
        names = ("unit", "open_windows", "read_at_ms", "versions", "repeated_events", "lost_records")
        return {"log": {"people": self.units, "layer": self.layer or None, **{name: getattr(self, name) for name in names}}}


def experiment_table(directory: Path, events: Path | None, asked: Asked, target: Path) -> Made:
    """Write the table as Parquet: arm, version, placement, assigned_at(_ms), decisions, triggered, exposed and the columns of each kind.

    Raises Misused, and Refused: `log_gaps`, `no_rows`, `open_windows`, `mixed_keys`, `unit_in_two_groups`.
    """
    more = (*(log_inputs.COLUMNS if asked.inputs or asked.groups else ()), *(SCORE_COLUMNS if asked.score else ()))
    columns = (*DECISION_COLUMNS, *more)
    with new_aside() as aside:
        log = open_log(directory, events, Path(aside), decision_columns=columns, event_columns=EVENT_COLUMNS, memory=_MEMORY)
        return table_of(log, asked, target)


def table_of(log: Log, asked: Asked, target: Path) -> Made:
    """Write the table of a log that is open already, with at least DECISION_COLUMNS and EVENT_COLUMNS. Raises as `experiment_table`.

    Where inputs are asked for, with log_inputs.COLUMNS, too; for the score with SCORE_COLUMNS.
    """
    with new_aside() as aside:
        return _Making(log, asked, Path(aside)).write(target)


class _Making:
    def __init__(self, log: Log, asked: Asked, aside: Path) -> None:
        self._log, self._asked, self._aside = log, asked, aside
        self._decisions = log.count(log.decisions)
        self._inputs = log_inputs.named(log, asked.inputs) if asked.inputs else []
        if not set(asked.groups) <= {*_KNOWN}:
            self._inputs += log_inputs.named(log, asked.groups, (*_KNOWN, *self._of_kinds(), *(one.name for one in self._inputs)))

    def write(self, target: Path) -> Made:
        lost, gaps = lost_records(self._log)
        if (why := gap_refusal(lost, gaps)) is not None and not self._asked.allow_gaps:
            raise Refused(why.code, why.why, why.what_to_do)
        arms = in_arms(self._log, self._asked.layer, self._asked.placement)
        people = self._people(arms)
        decided = self._one(self._log.decisions.decided_at_ms.max())
        received = self._one(self._log.events.received_at_ms.max())
        read_at = self._asked.read_at_ms or max(decided or 0, received or 0)
        closed = people.filter(people.assigned_at_ms + self._asked.window_ms <= read_at)
        every, done = self._by_version(people), self._by_version(closed)
        whole, units = sum(every.values()), sum(done.values())
        if not whole:
            raise self._nobody()
        if not units:
            raise Refused(
                "open_windows",
                f"all {whole:,} {_many(arms)} had less than their window of time until the log was read: what they will do is unknown",
                "read again when the windows have closed, or choose a shorter --window",
            )
        events = valid(self._log.events_once())
        counted = self._log.fetch(events.group_by("kind").aggregate(n=events.count()))
        kinds = tuple(sorted({row["kind"] for row in counted} | set(KINDS)))
        mine = events if arms.unit in outcomes.OF_EVENTS else self._touched(events, arms)
        happened = sum(row["n"] for row in counted)
        sums = len(kinds) * (4 if self._asked.before_ms else 2)
        n = self._log.backend.parts(units * _UNIT_BYTES + min(units, happened) * (_DONE_BYTES + sums * _SUM_BYTES))
        apart = None if mine is events else events
        parts = (
            self._with_outcomes(_part(closed, arms.unit, k, n), _part(mine, arms.unit, k, n), apart, kinds, arms.unit) for k in range(n)
        )
        if n == 1:
            self._log.backend.to_parquet(next(parts), str(target))
        else:
            one_file(self._written("table", parts), target)
        twice = self._log.count(valid(self._log.events)) - happened
        return Made(
            target, units, whole - units, read_at, tuple(map(str.lower, kinds)), len(every), twice, lost, arms.shares(done),
            arms.shares_within(), arms.kind, arms.layer, arms.choice,
        )  # fmt: skip

    def _people(self, arms: Arms) -> Any:
        """Return one row a unit: its pseudonym, arm, assigned_at_ms, version and placement at first, decisions, triggered."""
        asked, rows = self._asked, arms.rows
        would = ibis.ifelse(rows.would_offer.length() > 0, rows.would_offer, rows.offered)
        any_offer = (would.length() > 0) & ~ibis.ifelse(rows.would_offer.length() > 0, rows.would_offer_default, rows.default_served)
        hit = any_offer
        if asked.offers:
            named = [would.contains(offer) for offer in asked.offers]
            hit = any_offer & ibis.or_(*named)
        # Numbers instead of digests: 64 characters a person would be most of what is held.
        digests, places, keys = (self._values(rows, name) for name in ("bundle_digest", "placement_id", "pseudonym_key_id"))
        if not digests:
            raise self._nobody()
        number = ibis.cases(*((rows.bundle_digest == one, i) for i, one in enumerate(digests)))
        place = ibis.cases(*((rows.placement_id == one, i) for i, one in enumerate(places)))
        coded = {f"input{i}": log_inputs.code(rows, one) for i, one in enumerate(self._inputs)}
        key = ibis.cases(*((rows.pseudonym_key_id == one, i) for i, one in enumerate(keys)))
        coded |= {"score": score_of(rows, would)} if asked.score else {}
        rows = rows.mutate(hit=hit.cast("int8"), number=number.cast("int32"), place=place.cast("int32"), key=key.cast("int32"), **coded)
        inputs = [name for name in coded if name != "score"]
        n = self._cut(_DECISION_BYTES + _INPUT_BYTES * len(coded))
        people = self._kept("people", (first_of(_part(rows, arms.unit, k, n), arms.unit, inputs, asked.score) for k in range(n)))
        if asked.since_ms is not None:
            people = people.filter(people.assigned_at_ms >= asked.since_ms)
        if asked.until_ms is not None:
            people = people.filter(people.assigned_at_ms < asked.until_ms)
        found = self._log.fetch(people.aggregate(two=(people.arm != people.other).cast("int64").sum(), keys=people.key.nunique()))[0]
        if found["two"]:
            raise Refused(
                "unit_in_two_groups",
                f"{found['two']:,} {_many(arms)} were in two arms of {asked.layer or 'the holdouts'}",
                "a new phase or salt moves them: measure those who came with it, with --since",
            )
        if found["keys"] > 1:
            raise Refused(
                "mixed_keys",
                f"the log has pseudonyms of {found['keys']} keys: one person is several there",
                "measure who came in the time of one key alone, with --since and --until",
            )
        version = ibis.cases(*((people.number == i, one) for i, one in enumerate(digests)))
        placement = ibis.cases(*((people.place == i, one) for i, one in enumerate(places)))
        known = {one.name: log_inputs.words(self._log, people, f"input{i}", one) for i, one in enumerate(self._inputs)}
        return people.mutate(version=version, placement=placement, **known).drop("other", "number", "place", "key", *inputs)

    def _nobody(self) -> Refused:
        why = f"no decision of {self._log.name} is in the experiment"
        return Refused("no_rows", why, "look at --layer, --placement, --since and --until")

    def _of_kinds(self) -> list[str]:
        kinds = {row["kind"].lower() for row in self._log.fetch(self._log.events.select("kind").distinct())} | set(map(str.lower, KINDS))
        return [f"{kind}{end}" for kind in sorted(kinds) for end in ("", "_count", "_value", "_count_before", "_value_before")]

    def _with_outcomes(self, people: Any, mine: Any, persons: Any, kinds: Sequence[str], unit: str) -> Any:
        """Return people with their sums. `mine`: events by unit; `persons`: by person, where those are not the same."""
        asked = self._asked
        joined = people.left_join(outcomes.sums(mine, people, unit, kinds, window_ms=asked.window_ms), unit)
        if asked.before_ms:
            events, whose = (mine, unit) if persons is None else (persons, "person_pseudonym")
            past = outcomes.sums_before(events, people, unit, whose, kinds, before_ms=asked.before_ms)
            joined = joined.drop(f"{unit}_right").left_join(past, unit)
        ends = ("_count", "_value", *(("_count_before", "_value_before") if asked.before_ms else ()))
        filled = {name: joined[name].fill_null(0).cast("float64") for kind in kinds for name in (f"{kind.lower()}{end}" for end in ends)}
        flags = {kind.lower(): (joined[f"{kind.lower()}_count"].fill_null(0) > 0).cast("int64") for kind in kinds}
        net = (filled["purchase_value"] - filled["refund_value"]) if "refund_value" in filled else filled["purchase_value"]
        joined = joined.mutate(assigned_at=time_of(joined.assigned_at_ms))
        flags["purchase_again"] = (joined.purchase_count.fill_null(0) > 1).cast("int64")
        known = ("arm", "version", "placement", *(one.name for one in self._inputs))
        known = (*known, "assigned_at", "assigned_at_ms", "decisions", "triggered", *(("score",) if asked.score else ()))
        return joined.select(*known, exposed=flags["exposure"], **flags, **filled, net_value=net)

    def _touched(self, events: Any, arms: Arms) -> Any:
        """Return the events of units that no event names."""
        n, person, window_ms = self._cut(_TOUCH_BYTES), "person_pseudonym", self._asked.window_ms
        each = ((_part(events, person, k, n), _part(arms.rows, person, k, n)) for k in range(n))
        return self._kept("touched", (outcomes.touched(*both, arms.unit, window_ms) for both in each))

    def _cut(self, decision_bytes: int) -> int:
        return min(MOST_PARTS, self._log.backend.parts(self._decisions * decision_bytes))

    def _kept(self, name: str, parts: Iterable[Any]) -> Any:
        """Return rows that are written aside, part by part, and read from there."""
        return self._log.backend.read_parquet(self._written(name, parts))

    def _written(self, name: str, parts: Iterable[Any]) -> list[str]:
        paths = []
        for k, part in enumerate(parts):
            paths.append(str(self._aside / f"{name}-{k}.parquet"))
            self._log.backend.to_parquet(part, paths[-1])
        return paths

    def _by_version(self, people: Any) -> dict[str, int]:
        return {row["version"]: row["n"] for row in self._log.fetch(people.group_by("version").aggregate(n=people.count()))}

    def _values(self, rows: Any, column: str) -> list[str]:
        return sorted(row[column] for row in self._log.fetch(rows.select(column).distinct()))

    def _one(self, aggregate: Any) -> Any:
        return self._log.fetch(aggregate.name("one").as_table())[0]["one"]


def _part(rows: Any, unit: str, k: int, n: int) -> Any:
    """Return the rows of one of `n` parts of all units, so that what is held at a time does not grow with the log."""
    return rows if n == 1 else rows.filter((rows[unit].hash() % n + n) % n == k)


def _many(arms: Arms) -> str:
    return "people" if arms.kind == "person" else f"{arms.kind}s"
