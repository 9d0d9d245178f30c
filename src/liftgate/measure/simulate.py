"""What another bundle would have earned: a replay's probabilities, the log's outcomes, and off-policy estimates of the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis

from liftgate.measure import attribution, ope, ope_parts, ope_source, ope_trust
from liftgate.measure.log import Log, new_aside, open_log, valid
from liftgate.measure.ope_table import value_decisions, value_source
from liftgate.measure.quality import gap_refusal, lost_records
from liftgate.measure.refusal import Refusal, Refused, several

DECISION_COLUMNS = (*attribution.DECISION_COLUMNS, "arm", "deferred", "mode")
EVENT_COLUMNS = (*attribution.EVENT_COLUMNS, "received_at_ms")
_NUMBERS = ("reward", "logged_probability", "target_probability", "unsupported")
MAX_UNKNOWN = 0.1
"""Largest share of treated decisions of which a replay cannot tell what the other bundle would have done."""


def value_bundle(
    target: Path,
    directory: Path,
    events: Path | None,
    rule: attribution.Rule,
    *,
    read_at_ms: int | None = None,
    max_unknown: float = MAX_UNKNOWN,
    allow_gaps: bool = False,
    limits: ope_trust.Limits | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what the other bundle would have earned a decision, beside what was earned, as plain data.

    `target`: the table of `liftgate replay --bundle --out`, of the same log. Only decisions for treated people count: held-out ones
    are shown nothing under any bundle. A slate is one action: its probability is the joint one of its slots. Raises Misused, Refused.
    """
    with new_aside() as aside:
        log = open_log(directory, events, Path(aside), decision_columns=DECISION_COLUMNS, event_columns=EVENT_COLUMNS)
        lost, gaps = lost_records(log)
        if (why := gap_refusal(lost, gaps)) is not None and not allow_gaps:
            raise Refused(why.code, why.why, why.what_to_do)
        found = _value(log, target, rule, read_at_ms, max_unknown, limits or ope_trust.Limits(), replicates, seed, Path(aside))
        return found | {"lost_records": lost}


def _value(
    log: Log,
    target: Path,
    rule: attribution.Rule,
    read_at_ms: int | None,
    max_unknown: float,
    limits: ope_trust.Limits,
    replicates: int,
    seed: int,
    aside: Path,
) -> dict[str, Any]:
    latest = [log.fetch(one.max().name("at").as_table())[0]["at"] or 0 for one in (log.decisions.decided_at_ms, log.events.received_at_ms)]
    read_at = read_at_ms or max(latest)
    treated = log.once(log.decisions, "decision_id").filter(lambda t: (t.arm == "TREATMENT") & (t.mode.fill_null("") == ""))
    # A deferred decision that no exposure activated was never made: it earned nothing, and that is no outcome.
    seen = valid(log.events).filter(lambda t: t.kind == "EXPOSURE").select("decision_id").distinct().mutate(seen=True)
    treated = treated.left_join(seen, "decision_id").filter(lambda t: ~t.deferred.fill_null(False) | t.seen.fill_null(False))
    treated = treated.select("decision_id", "decided_at_ms", "person_pseudonym")
    made = attribution.closed(treated, rule, read_at)
    whole, done = log.count(treated), log.count(made)
    answer: dict[str, Any] = {
        "what": "simulate",
        "metric": rule.kind + ("_value" if rule.worth else ""),
        "credit": rule.credit,
        "window_ms": rule.window_ms,
        "read_at_ms": read_at,
        "decisions": done,
        "open_windows": whole - done,
    }
    if not done:
        refusal = Refusal(
            "open_windows" if whole else "no_rows",
            f"none of {several(whole, 'decision', 'decisions')} for treated people has had its window of time yet"
            if whole
            else "nobody in the log was treated",
            "read again when the windows have closed, or choose a shorter --window" if whole else "look at --log",
        )
        return answer | {"refusal": refusal}
    rows = _joined(log, target, made, rule)
    because = _counted(log, rows)
    told = _told(rows)
    known = log.count(told)
    unknown = done - known
    answer |= {"unknown": unknown, "unknown_because": because}
    if unknown > max_unknown * done:
        first = next(iter(because), "the replay's table has no row of it")
        refusal = Refusal(
            "unknowable",
            f"of {unknown:,} in {done:,} decisions the log cannot tell what the other bundle would have done, mostly because: {first}. "
            "Those that it can tell of may be other people",
            "change less at a time, or let an experiment tell; --max-unknown allows more where you know that they are alike",
        )
        return answer | {"refusal": refusal}
    if known > ope_source.HELD_ROWS:
        # A text for each unit orders them; a number would have to be given to all of them at once.
        file = aside / "told.parquet"
        log.backend.to_parquet(told, str(file), by=ope_parts.UNIT)
        return value_source(ope_parts.Parted(file), limits, replicates=replicates, seed=seed) | answer
    held = log.backend.to_pyarrow(told.mutate(unit=ibis.dense_rank().over(ibis.window(order_by=told.unit)).cast("int64")))
    coded = held[ope_parts.ACTION].combine_chunks().dictionary_encode()
    logged = ope.Logged(**{name: held[name].to_numpy() for name in _NUMBERS}, cluster=held[ope_parts.UNIT].to_numpy())
    actions = coded.indices.to_numpy().astype("intp"), coded.dictionary.to_pylist()
    return value_decisions(logged, *actions, limits, replicates=replicates, seed=seed) | answer


def _joined(log: Log, target: Path, made: Any, rule: attribution.Rule) -> Any:
    """Return the last slot's row of every decision that the replay's table has, with its reward."""
    table = log.backend.read_parquet(str(target))
    last = table.group_by("decision_id").aggregate(slot=table.slot.max(), unsupported=table.unsupported.max())
    rows = table.drop("reward", "unsupported").inner_join(last, ["decision_id", "slot"])
    return rows.inner_join(attribution.rewards(log, made, rule), "decision_id")


def _told(rows: Any) -> Any:
    """Return what is estimated from, of the decisions of which the replay can tell: numbers, the action and the unit."""
    told = rows.filter(rows.why.fill_null("") == "")
    return told.select(ope_parts.ACTION, ope_parts.UNIT, **{name: told[name].cast("float64") for name in _NUMBERS})


def _counted(log: Log, rows: Any) -> dict[str, int]:
    untold = rows.filter(rows.why.fill_null("") != "")
    counted = log.fetch(untold.group_by("why").aggregate(n=untold.count()))
    return {row["why"]: row["n"] for row in sorted(counted, key=lambda row: (-row["n"], row["why"]))}
