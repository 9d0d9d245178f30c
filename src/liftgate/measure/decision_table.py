"""From a log to one row a decision: what was shown, what the model foretold, how likely it was to be shown, and what came of it.

For calibration, drift and off-policy questions. Rows: decisions for treated people in which one offer was drawn, with a closed window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis

from liftgate.measure import attribution, log_inputs
from liftgate.measure.log import Log, new_aside, open_log, time_of, valid
from liftgate.measure.quality import gap_refusal, lost_records
from liftgate.measure.refusal import Refused, several

DECISION_COLUMNS = (
    *attribution.DECISION_COLUMNS, "bundle_digest", "placement_id", "arm", "branch", "mode", "offered", "default_served", "deferred",
    "slot_count", "candidate_offer_id", "candidate_propensity", "slots",
)  # fmt: skip
EVENT_COLUMNS = (*attribution.EVENT_COLUMNS, "received_at_ms")


@dataclass(frozen=True)
class Decisions:
    """What came of it."""

    path: Path
    rows: int
    open_windows: int
    """Decisions left out because their window is still open."""
    read_at_ms: int
    lost_records: int
    explored: int
    """Rows whose offer was drawn by exploration."""
    scored: int
    """Rows whose offer a model had scored."""

    def as_json(self) -> dict[str, Any]:
        """Return what is to be known of the table."""
        names = ("rows", "explored", "scored", "open_windows", "read_at_ms", "lost_records")
        found = {name: getattr(self, name) for name in names}
        return found | {"explored_share": self.explored / self.rows if self.rows else None}


def decision_table(
    directory: Path,
    events: Path | None,
    rule: attribution.Rule,
    target: Path,
    *,
    read_at_ms: int | None = None,
    allow_gaps: bool = False,
    inputs: Sequence[str] = (),
    train: bool = False,
) -> Decisions:
    """Write the table as Parquet.

    Columns: unit, version, placement, branch, offer, decided_at, half (first or second, of the log's time), score (what the model
    foretold of the offer, null where it was not asked), probability (with which the offer was drawn), even (the probability with which
    an even draw among the offers that could be drawn would have taken it), reward, outcome (yes or no: a reward or none), and the inputs
    that are asked for by name (see log_inputs). `train`: only what a model may be trained on: decisions whose exposure was told, and no
    reward for what came late. Raises Misused, and Refused: `log_gaps`, `no_rows`, `open_windows`.
    """
    rule = replace(rule, in_time=rule.in_time or train)
    columns = (*DECISION_COLUMNS, *(log_inputs.COLUMNS if inputs else ()))
    with new_aside() as aside:
        told = (*EVENT_COLUMNS, "late") if rule.in_time else EVENT_COLUMNS
        log = open_log(directory, events, Path(aside), decision_columns=columns, event_columns=told)
        return decisions_of(log, rule, target, read_at_ms=read_at_ms, allow_gaps=allow_gaps, inputs=inputs, exposed=train)


def decisions_of(
    log: Log,
    rule: attribution.Rule,
    target: Path,
    *,
    read_at_ms: int | None = None,
    allow_gaps: bool = False,
    inputs: Sequence[str] = (),
    exposed: bool = False,
) -> Decisions:
    """Write the table of a log that is open already, with at least DECISION_COLUMNS and EVENT_COLUMNS. Raises as `decision_table`.

    `exposed`: only decisions whose exposure was told.
    """
    known = log_inputs.named(log, inputs)
    lost, gaps = lost_records(log)
    if (why := gap_refusal(lost, gaps)) is not None and not allow_gaps:
        raise Refused(why.code, why.why, why.what_to_do)
    latest = [log.fetch(one.max().name("at").as_table())[0]["at"] or 0 for one in (log.decisions.decided_at_ms, log.events.received_at_ms)]
    read_at = read_at_ms or max(latest)
    shown = _drawn(log, (), exposed)
    made = attribution.closed(shown, rule, read_at)
    whole, rows = log.count(shown), log.count(made)
    if not rows:
        raise Refused(
            "open_windows" if whole else "no_rows",
            f"none of {several(whole, 'decision', 'decisions')} has had its window of time yet"
            if whole
            else f"{log.name} has no decision with one drawn offer{' whose exposure was told' if exposed else ''}",
            "read again when the windows have closed, or choose a shorter --window" if whole else "look at --log",
        )
    middle = log.fetch(made.decided_at_ms.median().name("at").as_table())[0]["at"]
    # Counted without the inputs and written with them: they are many, and every query would be built with all of them.
    full = attribution.closed(_drawn(log, known, exposed), rule, read_at) if known else made
    rewarded = full.inner_join(attribution.rewards(log, made, rule), "decision_id")
    table = rewarded.select(
        # A number instead of the pseudonym: the table says which rows are one person's, and not whose.
        unit=ibis.dense_rank().over(ibis.window(order_by=rewarded.person_pseudonym)),
        version=rewarded.bundle_digest,
        placement=rewarded.placement_id,
        branch=rewarded.branch,
        offer=rewarded.offer,
        decided_at=time_of(rewarded.decided_at_ms),
        half=ibis.ifelse(rewarded.decided_at_ms <= middle, "first", "second"),
        score=rewarded.score,
        probability=rewarded.probability,
        even=rewarded.even,
        reward=rewarded.reward.cast("float64"),
        outcome=ibis.ifelse(rewarded.reward != 0, log_inputs.YES, log_inputs.NO),
        **{one.name: rewarded[f"input{i}"] for i, one in enumerate(known)},
    )
    log.backend.to_parquet(table, str(target))
    counted = log.fetch(made.aggregate(explored=(made.branch == "EXPLORE").cast("int64").sum(), scored=made.score.count()))[0]
    return Decisions(target, rows, whole - rows, read_at, lost, counted["explored"], counted["scored"])


def _drawn(log: Log, inputs: Sequence[log_inputs.Input], exposed: bool) -> Any:
    """Return the decisions for treated people with one slot in which an offer, not the default, was drawn.

    Of deferred ones, and with `exposed` of all, those whose exposure was told.
    """
    rows = log.once(log.decisions, "decision_id")
    rows = rows.filter((rows.arm == "TREATMENT") & (rows.mode.fill_null("") == "") & (rows.slot_count == 1))
    rows = rows.filter((rows.offered.length() == 1) & ~rows.default_served & (rows.slots.length() == 1))
    seen = valid(log.events).filter(lambda t: t.kind == "EXPOSURE").select("decision_id").distinct().mutate(seen=True)
    rows = rows.left_join(seen, "decision_id").drop("decision_id_right")
    seen_by_them = rows.seen.fill_null(False)
    rows = rows.filter(seen_by_them if exposed else ~rows.deferred.fill_null(False) | seen_by_them)
    at = rows.candidate_offer_id.index(rows.offered[0])
    rows = rows.mutate(offer=rows.offered[0], place=at).filter(lambda t: t.place >= 0)
    drawn = rows.slots[0]
    score = rows.candidate_propensity[rows.place]
    # Unnested: engines do not agree on functions over arrays.
    each = rows.select("decision_id", p=drawn.unnest()).filter(lambda t: t.p > 0)
    drawable = each.group_by("decision_id").aggregate(drawable=each.count())
    rows = rows.mutate(
        probability=drawn[rows.place],
        score=ibis.ifelse(score - score == 0, score, ibis.null("float64")),
    )
    rows = log_inputs.with_values(rows, inputs, "input")
    kept = ["decision_id", "decided_at_ms", "person_pseudonym", "bundle_digest", "placement_id", "branch", "offer"]
    kept += [f"input{i}" for i in range(len(inputs))]
    rows = rows.select(*kept, "probability", "score").inner_join(drawable, "decision_id")
    return rows.select(*kept, "probability", "score", even=1.0 / rows.drawable)
