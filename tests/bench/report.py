"""What was measured, as text for a terminal and as Markdown for docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from .goals import apart, base, goals
from .rounds import Measured

_QUIET = 0.1
"""Cores that others may use."""
_DEGRADED = 0.001
"""Share of answers that may be fallbacks."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table: the first column is text, the others are numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left")
        for i, head in enumerate(self.heads):
            table.add_column(head, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines: list[Sequence[str]] = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        return "\n".join([f"{self.title}\n", *["| " + " | ".join(line) + " |" for line in lines]])


def print_report(console: Console, found: Mapping[str, Measured], facts: Mapping[str, Any]) -> str:
    """Print machine and configuration, one line a contender, one line a goal; return the same as Markdown."""
    parts: list[str | _Rows] = [*_head(facts), _contenders(found), *_conditions(found), _idle(found, facts), _verdicts(found)]
    for part in parts:
        console.print(part.rich() if isinstance(part, _Rows) else part, highlight=False)
    return "\n\n".join(part.markdown() if isinstance(part, _Rows) else part for part in parts) + "\n"


def _head(facts: Mapping[str, Any]) -> list[str]:
    machine, effort, cores = facts["machine"], facts["effort"], facts["cores"]
    versions = ", ".join(f"{name} {version}" for name, version in machine.items() if name not in ("processor", "kernel"))
    return [
        f"{machine['processor']}, Linux {machine['kernel']}, {facts['at']}, load before {facts['load_average_before']}",
        versions,
        f"{effort['rounds']} interleaved rounds of {effort['seconds']:g} s after {effort['warm_up_s']:g} s of warm-up, medians; "
        f"closed loop, {effort['in_flight']} in flight on {effort['connections']} connections; {facts['people']:,} people; server on core "
        f"{cores['server']}, load and store on core {cores['load_and_store']}. CPU is user + system of the server's process tree; "
        "the store's stands beside it and is in no ratio.",
    ]


def _contenders(found: Mapping[str, Measured]) -> _Rows:
    e = base(found)
    heads = ["", "CPU us/request", "of the rounds", "x E", "requests/s", "p50 ms", "p99 ms", "store us", "answers", "offered", "log B"]
    rows = []
    for one in found.values():
        last, spread = one.rounds[-1], sorted(r["cpu_us"]["server"] for r in one.rounds)
        row = [
            one.contender.label,
            f"{one.cpu_us:.0f}",
            f"{spread[0]:.0f}-{spread[-1]:.0f}",
            f"{one.cpu_us / e.cpu_us:.2f}" if e else "",
            f"{one.per_s:,.0f}",
            f"{last['p50_ms']:.1f}",
            f"{last['p99_ms']:.1f}",
        ]
        if one.contender.decides:
            logged = f"{last['log_bytes'] / last['answered']:,.0f}"
            row += [f"{one.store_us:.0f}", f"{one.answered:,}", f"{last['offered_share']:.1%}", logged]
        else:
            row += ["", f"{one.answered:,}", "", ""]
        rows.append(row)
    return _Rows(f"E is the cheaper empty call on the stock server: {e.contender.label}." if e else "", heads, rows)


def _conditions(found: Mapping[str, Measured]) -> list[str]:
    fastest = max(found.values(), key=lambda one: one.per_s)
    generator = max(r["cpu_us"]["generator"] for r in fastest.rounds)
    others = sorted(r["others_cores"] for one in found.values() for r in one.rounds)
    degraded = max(r["degraded_share"] for one in found.values() for r in one.rounds)
    lines = [
        f"The generator took {generator:.1f} us of its own core a request at {fastest.per_s:,.0f}/s; every answer had grpc-status 0 "
        f"and a message. Other processes of this machine used {others[len(others) // 2]:.2f} cores in the median round, "
        f"{others[-1]:.2f} at most; at most {degraded:.1%} of a round's answers were degraded."
    ]
    if others[len(others) // 2] > _QUIET or degraded > _DEGRADED:
        lines.append("THE MACHINE WAS NOT QUIET, OR BUDGETS RAN OUT: these figures are not to be quoted.")
    return lines


def _idle(found: Mapping[str, Measured], facts: Mapping[str, Any]) -> _Rows:
    pauses = facts["effort"]["pauses_ms"]
    heads = ["", *[f"{what}, {apart(pause_ms)}" for pause_ms in pauses for what in ("p50 ms", "p99 ms")]]
    singles = [(one.contender.label, one.idle) for one in found.values() if one.idle]
    rows = []
    for label, took in [*singles, ("bare TCP echo between the two cores", facts["echo_ms"])]:
        rows.append([label, *[f"{took[pause_ms][what]:.2f}" for pause_ms in pauses for what in ("p50_ms", "p99_ms")]])
    return _Rows(f"Idle server, {facts['effort']['calls']:,} single calls on one connection.", heads, rows)


def _verdicts(found: Mapping[str, Measured]) -> _Rows:
    rows = []
    for goal in goals(found):
        measured = format(goal.measured, ",.0f" if goal.measured >= 100 else ".2f")
        target = ("<= " if goal.at_most else ">= ") + f"{goal.target:,g}"
        rows.append([goal.what, measured, target, "met" if goal.met else "missed"])
    return _Rows("Goals.", ["", "measured", "target", ""], rows)
