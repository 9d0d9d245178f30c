"""From a log to an experiment table: one row a person (or account, where a layer randomises those), one rule for every arm.

assigned    the moment of the person's first decision in the layer
outcome     every event of the person in [assigned, assigned + window), whatever was shown: the same rule for both arms
dropped     people whose window is still open at `read_at`, in every arm alike
triggered   an offer (one of `offers`, where they are named) was chosen in some decision, shown or withheld: computed alike in all arms
exposed     an exposure was reported in the window
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis

from liftgate.measure import log_inputs
from liftgate.measure.log import Log, new_aside, open_log, time_of, valid
from liftgate.measure.quality import gap_refusal, lost_records
from liftgate.measure.refusal import Misused, Refused

HELD_OUT, TREATED = "holdout", "treatment"
DECISION_COLUMNS = (
    "decision_id", "decided_at_ms", "person_pseudonym", "pseudonym_key_id", "placement_id", "bundle_digest", "arm", "assignments",
    "branch", "account_pseudonym", "mode", "offered", "default_served", "would_offer", "would_offer_default",
)  # fmt: skip
EVENT_COLUMNS = ("event_id", "kind", "person_pseudonym", "account_pseudonym", "occurred_at_ms", "received_at_ms", "value", "reason")
KINDS = ("EXPOSURE", "CLICK", "PURCHASE")
_DAY_MS = 86_400_000
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
    """The layer whose arms are compared; empty: treatment against everybody held out."""
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
    """What the log says that was planned, as ARM=WEIGHT; empty: it does not say, or it changed."""

    def as_json(self) -> dict[str, Any]:
        """Return what an answer says of the log that it comes from."""
        names = ("open_windows", "read_at_ms", "versions", "repeated_events", "lost_records")
        return {"log": {"people": self.units, **{name: getattr(self, name) for name in names}}}


def experiment_table(directory: Path, events: Path | None, asked: Asked, target: Path) -> Made:
    """Write the table as Parquet: arm, version, placement, assigned_at(_ms), decisions, triggered, exposed and the columns of each kind.

    Raises Misused, and Refused: `log_gaps`, `no_rows`, `open_windows`, `mixed_keys`, `unit_in_two_groups`.
    """
    columns = (*DECISION_COLUMNS, *(log_inputs.COLUMNS if asked.inputs or asked.groups else ()))
    with new_aside() as aside:
        log = open_log(directory, events, Path(aside), decision_columns=columns, event_columns=EVENT_COLUMNS)
        return table_of(log, asked, target)


def table_of(log: Log, asked: Asked, target: Path) -> Made:
    """Write the table of a log that is open already, with at least DECISION_COLUMNS and EVENT_COLUMNS. Raises as `experiment_table`.

    Where inputs are asked for, with log_inputs.COLUMNS, too.
    """
    return _Making(log, asked).write(target)


class _Making:
    def __init__(self, log: Log, asked: Asked) -> None:
        self._log, self._asked = log, asked
        self._unit = "person_pseudonym"
        self._shares: tuple[str, ...] = ()
        self._inputs = log_inputs.named(log, asked.inputs) if asked.inputs else []
        if not set(asked.groups) <= {*_KNOWN}:
            self._inputs += log_inputs.named(log, asked.groups, (*_KNOWN, *self._of_kinds(), *(one.name for one in self._inputs)))

    def write(self, target: Path) -> Made:
        lost, gaps = lost_records(self._log)
        if (why := gap_refusal(lost, gaps)) is not None and not self._asked.allow_gaps:
            raise Refused(why.code, why.why, why.what_to_do)
        people = self._people()
        last = self._one(
            decided=self._log.decisions.decided_at_ms.max(),
            received=self._log.events.received_at_ms.max(),
            keys=self._log.decisions.pseudonym_key_id.nunique(),
        )
        if last["keys"] > 1:
            raise Refused(
                "mixed_keys",
                f"the log has pseudonyms of {last['keys']} keys: one person is several there",
                "measure the time of one key alone, with --since and --until",
            )
        read_at = self._asked.read_at_ms or max(last["decided"] or 0, last["received"] or 0)
        closed = people.filter(people.assigned_at_ms + self._asked.window_ms <= read_at)
        whole, versions = self._log.count(people), self._one(versions=people.version.nunique())["versions"]
        if not whole:
            raise self._nobody()
        units = self._log.count(closed)
        if not units:
            raise Refused(
                "open_windows",
                f"all {whole:,} people had less than their window of time until the log was read: what they will do is not known yet",
                "read again when the windows have closed, or choose a shorter --window",
            )
        events = valid(self._log.once(self._log.events, "event_id"))
        counted = self._log.fetch(events.group_by("kind").aggregate(n=events.count()))
        kinds = tuple(sorted({row["kind"] for row in counted} | set(KINDS)))
        rows = self._with_outcomes(closed, events, kinds)
        self._log.backend.to_parquet(rows, str(target))
        twice = self._log.count(valid(self._log.events)) - sum(row["n"] for row in counted)
        return Made(target, units, whole - units, read_at, tuple(map(str.lower, kinds)), versions, twice, lost, self._shares)

    def _people(self) -> Any:
        """Return one row a person: pseudonym, arm, assigned_at_ms, version and placement (of the first decision), decisions, triggered."""
        asked, rows = self._asked, self._log.decisions
        rows = rows.filter(rows.mode.fill_null("") == "")
        if asked.placement:
            rows = rows.filter(rows.placement_id == asked.placement)
        rows = self._with_arm(rows)
        would = ibis.ifelse(rows.would_offer.length() > 0, rows.would_offer, rows.offered)
        any_offer = (would.length() > 0) & ~ibis.ifelse(rows.would_offer.length() > 0, rows.would_offer_default, rows.default_served)
        hit = any_offer
        if asked.offers:
            named = [would.contains(offer) for offer in asked.offers]
            hit = any_offer & ibis.or_(*named)
        # Numbers instead of digests: 64 characters a person would be most of what is held.
        digests = sorted(row["bundle_digest"] for row in self._log.fetch(rows.select("bundle_digest").distinct()))
        places = sorted(row["placement_id"] for row in self._log.fetch(rows.select("placement_id").distinct()))
        if not digests:
            raise self._nobody()
        number = ibis.cases(*((rows.bundle_digest == one, i) for i, one in enumerate(digests)))
        place = ibis.cases(*((rows.placement_id == one, i) for i, one in enumerate(places)))
        coded = {f"input{i}": log_inputs.code(rows, one) for i, one in enumerate(self._inputs)}
        rows = rows.mutate(hit=hit.cast("int8"), number=number.cast("int32"), place=place.cast("int32"), **coded)
        people = rows.group_by(self._unit).aggregate(
            arm=rows.group.min(),
            other=rows.group.max(),
            assigned_at_ms=rows.decided_at_ms.min(),
            number=rows.number.argmin(rows.decided_at_ms),
            place=rows.place.argmin(rows.decided_at_ms),
            decisions=rows.count(),
            triggered=rows.hit.max(),
            **{name: rows[name].argmin(rows.decided_at_ms) for name in coded},
        )
        two = self._log.count(people.filter(people.arm != people.other))
        if two:
            raise Refused(
                "unit_in_two_groups",
                f"{two:,} people were in two arms of {asked.layer or 'the holdouts'}",
                "a new phase or salt moves people: measure one phase at a time, with --since and --until",
            )
        if asked.since_ms is not None:
            people = people.filter(people.assigned_at_ms >= asked.since_ms)
        if asked.until_ms is not None:
            people = people.filter(people.assigned_at_ms < asked.until_ms)
        version = ibis.cases(*((people.number == i, one) for i, one in enumerate(digests)))
        placement = ibis.cases(*((people.place == i, one) for i, one in enumerate(places)))
        known = {one.name: log_inputs.words(self._log, people, f"input{i}", one) for i, one in enumerate(self._inputs)}
        return people.mutate(version=version, placement=placement, **known).drop("other", "number", "place", *coded)

    def _nobody(self) -> Refused:
        why = f"no decision of {self._log.name} is in the experiment"
        return Refused("no_rows", why, "look at --layer, --placement, --since and --until")

    def _with_arm(self, rows: Any) -> Any:
        """Return the decisions that are in an arm, with it as `group`."""
        layer = self._asked.layer
        if not layer:
            held = ibis.cases((rows.arm == "HOLDOUT", HELD_OUT), (rows.arm == "TREATMENT", TREATED))
            return rows.mutate(group=held).filter(lambda t: t.group.notnull())
        # One row an assignment: engines do not agree on functions over arrays.
        flat = rows.mutate(one=rows.assignments.unnest())
        mine = flat.filter(flat.one.layer == layer)
        if not self._log.count(mine.limit(1)):
            named = sorted(row["layer"] for row in self._log.fetch(flat.select(layer=flat.one.layer).distinct().limit(50)))
            raise Misused(f"no decision of {self._log.name} is in a layer {layer!r}; it has {', '.join(named) or 'none'}")
        rows = mine.mutate(group=mine.one.arm, share=mine.one.share, kind=mine.one.unit.fill_null(""))
        self._unit = self._unit_of(rows)
        # People held out of everything are shown nothing in either arm; in a holdout of everything they are what is compared.
        held = rows.filter(rows.group == HELD_OUT)
        if not self._log.count(held.limit(1)) or self._log.count(held.filter(held.arm != "HOLDOUT").limit(1)):
            rows = rows.filter(rows.arm == "TREATMENT")
        shares = self._log.fetch(rows.select("group", "share").distinct().limit(100))
        if len({row["group"] for row in shares}) == len(shares) and all(row["share"] for row in shares):
            self._shares = tuple(sorted(f"{row['group']}={row['share']:.9g}" for row in shares))
        return rows

    def _unit_of(self, rows: Any) -> str:
        """Return the column of what the layer randomised. Raises Refused where events do not say whose they are."""
        kinds = {row["kind"] or "person" for row in self._log.fetch(rows.select("kind").distinct())}
        if kinds == {"person"}:
            return "person_pseudonym"
        if kinds == {"account"}:
            return "account_pseudonym"
        raise Refused(
            "unit_without_events",
            f"layer {self._asked.layer!r} randomises {' and '.join(sorted(kinds))}, and events do not say which one they belong to",
            "give a table of your own, in which outcomes stand beside that unit: --table; events know people and accounts alone",
        )

    def _of_kinds(self) -> list[str]:
        kinds = {row["kind"].lower() for row in self._log.fetch(self._log.events.select("kind").distinct())} | set(map(str.lower, KINDS))
        return [f"{kind}{end}" for kind in sorted(kinds) for end in ("", "_count", "_value", "_count_before", "_value_before")]

    def _with_outcomes(self, people: Any, events: Any, kinds: Sequence[str]) -> Any:
        asked = self._asked
        mine = events.inner_join(people.select(self._unit, "assigned_at_ms"), self._unit)
        since = mine.occurred_at_ms - mine.assigned_at_ms
        after = (since >= 0) & (since < asked.window_ms)
        before = (since < 0) & (since >= -asked.before_ms)
        sums: dict[str, Any] = {}
        for kind in kinds:
            name, of_kind = kind.lower(), mine.kind == kind
            sums[f"{name}_count"] = (after & of_kind).cast("int64").sum()
            sums[f"{name}_value"] = ibis.ifelse(after & of_kind, mine.value.fill_null(0.0), 0.0).sum()
            if asked.before_ms:
                sums[f"{name}_count_before"] = (before & of_kind).cast("int64").sum()
                sums[f"{name}_value_before"] = ibis.ifelse(before & of_kind, mine.value.fill_null(0.0), 0.0).sum()
        totals = mine.group_by(self._unit).aggregate(**sums)
        joined = people.left_join(totals, self._unit)
        filled = {name: joined[name].fill_null(0).cast("float64") for name in sums}
        flags = {kind.lower(): (joined[f"{kind.lower()}_count"].fill_null(0) > 0).cast("int64") for kind in kinds}
        net = (filled["purchase_value"] - filled["refund_value"]) if "refund_value" in filled else filled["purchase_value"]
        joined = joined.mutate(assigned_at=time_of(joined.assigned_at_ms))
        flags["purchase_again"] = (joined.purchase_count.fill_null(0) > 1).cast("int64")
        known = ("arm", "version", "placement", *(one.name for one in self._inputs))
        known = (*known, "assigned_at", "assigned_at_ms", "decisions", "triggered")
        return joined.select(*known, exposed=flags["exposure"], **flags, **filled, net_value=net)

    def _one(self, **aggregates: Any) -> dict[str, Any]:
        return {name: self._log.fetch(value.name(name).as_table())[0][name] for name, value in aggregates.items()}
