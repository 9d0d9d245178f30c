"""Is the log fit to be measured? Gaps in a writer's sequence, rows that are there twice, arms that answer otherwise, versions, windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import numpy as np
from scipy import stats

from liftgate.measure.log import Log, new_aside, open_log
from liftgate.measure.refusal import Refusal, several

DECISION_COLUMNS = ("decision_id", "decided_at_ms", "bundle_digest", "arm", "degraded", "fallback_reason", "offered", "pseudonym_key_id")
EVENT_COLUMNS = ("event_id", "kind", "decision_id", "occurred_at_ms", "received_at_ms")
SHOWN_GAPS = 10
ALARM_P = 0.001
_MEMORY = "192MB"
"""What DuckDB may hold at once: a larger log takes more time and disk, no more memory."""
DEFINITION = (
    "missing: numbers between a writer's first and last that are in no file; n: decisions by arm, each once; p_value: chi-square of "
    "degraded answers being alike in all arms; open: decided less than the window before the log was read"
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Records of one writer that are in no file: those from `first` to `last`, both missing."""

    stream: str
    writer_id: str
    first: int
    last: int


def measure_quality(directory: Path, events: Path | None, window_ms: int | None = None, read_at_ms: int | None = None) -> dict[str, Any]:
    """Return what the log is like as plain data, with a refusal where nothing should be measured on it. Raises Misused."""
    with new_aside() as aside:
        log = open_log(directory, events, Path(aside), decision_columns=DECISION_COLUMNS, event_columns=EVENT_COLUMNS, memory=_MEMORY)
        return quality_of(log, window_ms, read_at_ms)


def quality_of(log: Log, window_ms: int | None = None, read_at_ms: int | None = None) -> dict[str, Any]:
    """Return what a log is like that is open already, with at least DECISION_COLUMNS and EVENT_COLUMNS."""
    return _Quality(log).report(window_ms, read_at_ms)


def lost_records(log: Log) -> tuple[int, list[Gap]]:
    """Return how many records of the log's writers are in no file, and the first gaps. A writer's first record there is where it began."""
    quality = _Quality(log)
    found = [quality.gaps(name, rows) for name, rows in (("decision", log.decisions), ("event", log.events))]
    return sum(n for n, _ in found), [gap for _, gaps in found for gap in gaps]


def gap_refusal(lost: int, gaps: list[Gap]) -> Refusal | None:
    """Return why a log with gaps is not measured, or None."""
    if not lost:
        return None
    first = gaps[0]
    return Refusal(
        "log_gaps",
        f"{several(lost, 'record was written and is', 'records were written and are')} in no file, "
        f"the first of them numbers {first.first:,} to {first.last:,} of {first.stream} "
        f"writer {first.writer_id[:8]}: whether one arm lost more than another cannot be known",
        "bring the missing segments back (`liftgate log verify` names them); or --allow-gaps, once you know that all arms lost alike",
    )


class _Quality:
    def __init__(self, log: Log) -> None:
        self._log = log

    def report(self, window_ms: int | None, read_at_ms: int | None) -> dict[str, Any]:
        decisions, events = self._log.decisions, self._log.events
        once = self._log.once(decisions, "decision_id")
        lost, gaps = lost_records(self._log)
        n, distinct = self._log.count(decisions), self._log.count(once)
        e, happened = self._log.count(events), self._log.count(self._log.events_once())
        arms = self._arms(once)
        alike = _differs(arms, "degraded")
        versions = self._log.fetch(
            once.group_by("bundle_digest")
            .aggregate(n=once.count(), first_ms=once.decided_at_ms.min(), last_ms=once.decided_at_ms.max())
            .order_by("first_ms")
        )
        latest = max((row["last_ms"] for row in versions), default=0)
        if e:
            latest = max(latest, self._log.fetch(events.received_at_ms.max().name("n").as_table())[0]["n"])
        report: dict[str, Any] = {
            "what": "quality",
            "definition": DEFINITION,
            "n": {name: row["n"] for name, row in arms.items()},
            "p_value": alike,
            "decisions": distinct,
            "repeated_decisions": n - distinct,
            "events": happened,
            "repeated_events": e - happened,
            "orphan_events": self._orphans(),
            "lost_records": lost,
            "gaps": gaps,
            "arms": arms,
            "degraded_p": alike,
            "versions": versions,
            "keys": self._log.count(once.select("pseudonym_key_id").distinct()),
            "read_at_ms": read_at_ms or latest,
            "open_windows": None,
            "warnings": [],
            "refusal": gap_refusal(lost, gaps),
        }
        if window_ms is not None:
            report["open_windows"] = self._log.count(once.filter(once.decided_at_ms + window_ms > report["read_at_ms"]))
        report["warnings"] = _warnings(report)
        return report

    def gaps(self, stream: str, rows: Any) -> tuple[int, list[Gap]]:
        """Return how many sequence numbers are missing between a writer's first and last, and where the first of them are."""
        single = rows.select("writer_id", "sequence").distinct()
        runs = single.group_by("writer_id").aggregate(n=single.count(), low=single.sequence.min(), high=single.sequence.max())
        lacking = [row for row in self._log.fetch(runs) if row["high"] - row["low"] + 1 > row["n"]]
        found: list[Gap] = []
        for row in lacking[:SHOWN_GAPS]:
            mine = single.filter(single.writer_id == row["writer_id"])
            before = mine.sequence.lag().over(ibis.window(order_by="sequence"))
            jumps = mine.mutate(before=before).filter(lambda t: t.sequence > t.before + 1).order_by("sequence").limit(SHOWN_GAPS)
            found += [Gap(stream, row["writer_id"], one["before"] + 1, one["sequence"] - 1) for one in self._log.fetch(jumps)]
        return sum(row["high"] - row["low"] + 1 - row["n"] for row in lacking), found[:SHOWN_GAPS]

    def _arms(self, once: Any) -> dict[str, dict[str, Any]]:
        exposed = self._log.events.filter(self._log.events.kind == "EXPOSURE").select("decision_id").distinct().mutate(seen=1)
        rows = once.left_join(exposed, "decision_id")
        shown = rows.offered.length() > 0
        by = rows.group_by("arm").aggregate(
            n=rows.count(),
            degraded=rows.degraded.cast("int64").sum(),
            offered=shown.cast("int64").sum(),
            exposed=(shown & rows.seen.notnull()).cast("int64").sum(),
        )
        return {row.pop("arm"): row for row in sorted(self._log.fetch(by), key=lambda row: str(row["arm"]))}

    def _orphans(self) -> int:
        """Return how many events name a decision that is in no file."""
        named = self._log.events.filter(self._log.events.decision_id.length() > 0)
        return self._log.count(named.anti_join(self._log.decisions, "decision_id"))


def _differs(arms: dict[str, dict[str, Any]], what: str) -> float | None:
    """Return the p of a chi-square that a share is the same in all arms; None where there is nothing to compare."""
    table = np.array([[row[what], row["n"] - row[what]] for row in arms.values()], dtype=np.float64)
    if len(table) < 2 or not (table.sum(axis=0) > 0).all():
        return None
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def _warnings(report: dict[str, Any]) -> list[str]:
    words = []
    if report["degraded_p"] is not None and report["degraded_p"] < ALARM_P:
        words.append(f"degraded answers are not alike in all arms (p {report['degraded_p']:.2g}): the comparison holds them, too")
    if report["orphan_events"]:
        words.append(
            f"{several(report['orphan_events'], 'event names', 'events name')} a decision that is in no file: "
            "decisions are missing, or events are another log's"
        )
    if len(report["versions"]) > 1:
        words.append(f"{len(report['versions'])} bundles decided: what is compared changed on the way; stratify by version")
    if report["keys"] > 1:
        words.append(f"pseudonyms of {report['keys']} keys: a person under two keys counts as two")
    if report["repeated_events"] or report["repeated_decisions"]:
        twice = several(report["repeated_decisions"], "decision", "decisions"), several(report["repeated_events"], "event", "events")
        words.append(f"{' and '.join(twice)} are there twice and count once")
    return words
