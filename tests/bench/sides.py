"""Parts of `make bench` that need no arena: many rules, events, reading one's own events, and measuring a large log."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from . import events, read_your_writes, rules
from .goals import Goal
from .processes import ROOT, BenchError
from .report import Part
from .tables import Rows, rows_of


@dataclass(frozen=True, slots=True)
class Side:
    """What a part found."""

    parts: list[Part]
    goals: list[Goal]
    raw: Any = field(default=None)


def many_rules(quick: bool) -> Side:
    """Conditions that no two offers share."""
    few, many = rules.measure(rounds=1 if quick else rules.ROUNDS)
    goal = Goal(
        "CPU: 500 offers with 1,996 conditions / 10 offers", rules.GOAL, None, at_most=True, measured=many.all_us / few.all_us, why=""
    )
    return Side([rows_of(rules.table(few, many))], [goal], [asdict(few), asdict(many)])


def event_rate(quick: bool) -> Side:
    """Events a second on one core."""
    told = events.measure(rounds=1 if quick else 3)
    best = max(told, key=lambda one: one.features)
    what = f"events/s on one core, batches of {events.BATCH}, {best.features} features from events"
    goal = Goal(what, events.GOAL, None, at_most=False, measured=best.per_s, why="")
    return Side([rows_of(events.table(told))], [goal], [asdict(one) for one in told])


def own_events(quick: bool) -> Side:
    """From an event to the decision that sees it."""
    seen = read_your_writes.measure(200 if quick else 1000)
    what = "from an event to the Decide that sees it, at half of saturation: p99, ms"
    goal = Goal(what, read_your_writes.GOAL_MS, None, at_most=True, measured=seen.p99_ms, why="")
    return Side([read_your_writes.words(seen)], [goal], asdict(seen))


def large_log(quick: bool) -> Side:
    """Memory of measuring 10^7 decisions beside 10^6 (quick: 10^6 beside 10^5)."""
    return log_of(1_000_000 if quick else 10_000_000)


def log_of(most: int) -> Side:
    """Memory of measuring a log of so many decisions beside one of a tenth."""
    found = []
    for decisions in (most // 10, most):
        # In a process of its own: the memory of children is known as the largest of them all.
        command = [sys.executable, "-m", "tests.bench.log_scale", "--decisions", str(decisions)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise BenchError(f"measuring {decisions:,} decisions ended with {done.returncode}:\n{done.stderr[-1000:]}")
        rows = [line for line in done.stdout.splitlines() if line.startswith("| duckdb |")]
        engine, _, *rest = (cell.strip() for cell in rows[-1].strip("| ").split("|"))
        found.append([engine, *rest])
    heads = ["engine", "decisions", "events", "time", "CPU", "peak memory", "lift"]
    made = Rows("`liftgate measure lift --log` over a log (two outcomes, window 7 days), in a process of its own.", heads, found)
    few_mb, many_mb = (float(row[5].removesuffix(" MB").replace(",", "")) for row in found)
    # "Flat" in numbers: ten times the rows may not even double the memory.
    what = f"peak memory of measuring {most:,} decisions / {most // 10:,}"
    goal = Goal(what, 2.0, None, at_most=True, measured=many_mb / few_mb, why="")
    return Side([made], [goal], found)


SIDES: dict[str, Callable[[bool], Side]] = {
    "rules": many_rules,
    "events": event_rate,
    "read-your-writes": own_events,
    "log-scale": large_log,
}
