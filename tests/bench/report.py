"""What was measured, as text for a terminal and as Markdown for docs/performance.md: goals first, then everything behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from . import contenders as c
from . import scheduled
from .goals import Findings, Goal, apart, base, goals
from .rounds import Measured
from .tables import Rows

_QUIET = 0.1
"""Cores that others may use."""
_DEGRADED = 0.001
"""Share of answers that may be fallbacks."""
_TITLE = "Goals. E is an empty Decide on the stock grpc.aio server, N0 the plain server."
Part = str | Rows


def parts(all_of: Findings, facts: Mapping[str, Any], more: Sequence[Part] = ()) -> list[Part]:
    """Return machine and configuration, one row a goal, one row a contender, and whatever else was measured; `more` comes last."""
    found: list[Part] = [*_head(facts), goal_rows(goals(all_of)), *_conditions(all_of)]
    rounds = [one for one in all_of.found.values() if one.rounds]
    if rounds:
        found.append(_contenders(rounds, all_of))
        found += _notes(rounds)
    if all_of.levels:
        found.append(scheduled.percentile_rows(all_of.levels))
    if all_of.overload:
        found.append(scheduled.overload_rows(all_of.overload, all_of.saturation))
    if all_of.generator:
        found.append(scheduled.generator_words(all_of.generator))
    if "echo_ms" in facts:
        found.append(_idle(all_of.found, facts))
    return [*found, *more]


def show(console: Console, told: Sequence[Part]) -> str:
    """Print, and return the same as Markdown."""
    for part in told:
        console.print(part.rich() if isinstance(part, Rows) else part, highlight=False)
    return "\n\n".join(part.markdown() if isinstance(part, Rows) else part for part in told) + "\n"


def goal_rows(all_goals: Sequence[Goal], title: str = _TITLE) -> Rows:
    """Return target beside measured, met or missed."""
    rows = []
    for goal in all_goals:
        sign = "<= " if goal.at_most else ">= "
        spread = "" if goal.low is None or goal.high is None or goal.low == goal.high else f"{_number(goal.low)} to {_number(goal.high)}"
        stretch = "" if goal.stretch is None else f"{sign}{goal.stretch:,g}"
        measured = "-" if goal.measured is None else _number(goal.measured)
        rows.append([goal.what, measured, spread, f"{sign}{goal.target:,g}", stretch, goal.verdict])
    return Rows(title, ["", "measured", "of the rounds", "target", "stretch", ""], rows)


def _number(value: float) -> str:
    return format(value, ",.0f" if abs(value) >= 100 else ".2f")


def _head(facts: Mapping[str, Any]) -> list[str]:
    machine, effort, cores = facts["machine"], facts["effort"], facts["cores"]
    versions = ", ".join(f"{name} {version}" for name, version in machine.items() if name not in ("processor", "kernel"))
    took = f", {facts['took_s'] / 60:.0f} minutes" if "took_s" in facts else ""
    return [
        f"`{facts['command']}`, {facts['at']}{took}, commit {facts['commit']}. {machine['processor']}, Linux {machine['kernel']}, load "
        f"average before {facts['load_average_before']}.",
        versions,
        f"{effort['rounds']} interleaved rounds of {effort['seconds']:g} s after {effort['warm_up_s']:g} s of warm-up: medians, ratios "
        f"taken within a round; closed loop, {effort['in_flight']} in flight on {effort['connections']} connections unless a row says "
        "otherwise; "
        f"{facts['people']:,} people; server on core {cores['server']}, load, store and collector of traces on core "
        f"{cores['load_and_store']}. CPU is user + system of the server's process tree; the store's stands beside it and is in no ratio. "
        f"The store's budgets are {c.PATIENT_MS} ms in the closed loop, so that no decision becomes a fallback, and 8 ms in the open one.",
    ]


def _contenders(rounds: Sequence[Measured], all_of: Findings) -> Rows:
    e = base(all_of.found)
    heads = [
        "",
        "CPU us",
        "of the rounds",
        "x E",
        "per second",
        "a core's worth",
        "p50 ms",
        "p99 ms",
        "store us",
        "answers",
        "log B",
        "spans",
    ]
    rows = []
    for one in rounds:
        last, spread = one.rounds[-1], sorted(r["cpu_us"]["server"] for r in one.rounds)
        row = [
            one.contender.label,
            f"{one.cpu_us:.0f}",
            f"{spread[0]:.0f}-{spread[-1]:.0f}",
            f"{one.cpu_us / e.cpu_us:.2f}" if e else "",
            f"{one.per_s:,.0f}",
            f"{1e6 / one.cpu_us:,.0f}",
            f"{last['p50_ms']:.1f}",
            f"{last['p99_ms']:.1f}",
        ]
        if one.contender.decides:
            logged = f"{last['log_bytes'] / last['answered']:,.0f}"
            row += [f"{one.store_us:.0f}", f"{one.answered:,}", logged, f"{last['spans']:,}"]
        else:
            row += ["", f"{one.answered:,}", "", ""]
        rows.append(row)
    title = "Closed loop, per request (a decision, for DecideBatch; its p50 and p99 are a call's). Percentiles are those of a full server."
    return Rows(title + (f" E: {e.contender.label}." if e else ""), heads, rows)


def _notes(rounds: Sequence[Measured]) -> list[str]:
    """Return what has to be known to read the table."""
    fastest = max(rounds, key=lambda one: one.per_s)
    generator = max(r["cpu_us"]["generator"] for r in fastest.rounds)
    degraded = max(r["degraded_share"] for one in rounds for r in one.rounds)
    lines = [
        f"The generator took {generator:.1f} us of its own core a request at {fastest.per_s:,.0f}/s. Every answer had grpc-status 0 and "
        f"a message with a decision or a reason, and every decision is in the log; at most {degraded:.2%} of a round's answers were "
        "fallbacks."
    ]
    two = next((one for one in rounds if one.contender.two_cores), None)
    if two:
        shares = sorted(two.rounds[-1]["by_process"].values())[-2:]
        lines.append(f"Of the CPU of two workers the busier one used {max(shares) / max(sum(shares), 1e-9):.0%} in the last round.")
    lines += [f"{one.contender.label}: a round broke and was run again: {why.splitlines()[0]}" for one in rounds for why in one.failures]
    return lines


def _conditions(all_of: Findings) -> list[str]:
    rounds = [r for one in all_of.found.values() for r in one.rounds]
    if not rounds:
        return []
    others = sorted(r["others_cores"] for r in rounds)
    degraded = max(r["degraded_share"] for r in rounds)
    middle = others[len(others) // 2]
    lines = [f"Other processes of this machine used {middle:.2f} cores in the median round, {others[-1]:.2f} at most."]
    if middle > _QUIET or degraded > _DEGRADED:
        lines.append("THE MACHINE WAS NOT QUIET, OR BUDGETS RAN OUT: these figures are not to be quoted.")
    return lines + [f"{part} broke: {why.splitlines()[0]}" for part, why in all_of.failures.items()]


def _idle(found: Mapping[str, Measured], facts: Mapping[str, Any]) -> Rows:
    pauses = facts["effort"]["pauses_ms"]
    heads = ["", *[f"{what}, {apart(pause_ms)}" for pause_ms in pauses for what in ("p50 ms", "p99 ms")]]
    singles = [(one.contender.label, one.idle) for one in found.values() if one.idle]
    rows = []
    for label, took in [*singles, ("bare TCP echo between the two cores", facts["echo_ms"])]:
        rows.append([label, *[f"{took[pause_ms][what]:.2f}" for pause_ms in pauses for what in ("p50_ms", "p99_ms")]])
    return Rows(f"Idle server, {facts['effort']['calls']:,} single calls on one connection.", heads, rows)
