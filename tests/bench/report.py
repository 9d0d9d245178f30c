"""What was measured beside what was to be reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from . import contenders as c
from .rounds import Measured

_QUIET = 0.1
"""Cores that others may use."""
_DEGRADED = 0.001
"""Share of answers that may be fallbacks."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of the goals."""

    what: str
    measured: float
    target: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.measured <= self.target if self.at_most else self.measured >= self.target


def base(found: Mapping[str, Measured]) -> Measured | None:
    """Return E: the cheaper of the empty stock servers, so that ratios are quoted to the harder one."""
    empties = [found[one.name] for one in (c.E_ASYNCIO, c.E_UVLOOP) if one.name in found]
    return min(empties, key=lambda one: one.cpu_us) if empties else None


def goals(found: Mapping[str, Measured]) -> list[Goal]:
    """Return every goal that the measured contenders allow to judge."""
    return list(_goals(found))


def _goals(found: Mapping[str, Measured]) -> Iterator[Goal]:
    e, native, n0 = base(found), found.get(c.NATIVE.name), found.get(c.N0.name)
    if e:
        for contender, target in ((c.NATIVE, 0.6), (c.NATIVE_100, 0.8), (c.GRPCIO, 2.0)):
            if contender.name in found:
                yield Goal(f"CPU: {contender.label} / E", found[contender.name].cpu_us / e.cpu_us, target, at_most=True)
    if native and n0:
        yield Goal("CPU: N0 / Liftgate, native, 20 offers", n0.cpu_us / native.cpu_us, 4.0, at_most=False)
    if native and native.idle:
        yield Goal("idle server, one call, p50, ms", native.idle["p50_ms"], 0.8, at_most=True)
    if native:
        yield Goal("decisions/s on one core, native, 20 offers", native.per_s, 8_000, at_most=False)
    if c.NATIVE_500.name in found and c.NATIVE_10.name in found:
        yield Goal(
            "CPU: 500 offers / 10 offers, native", found[c.NATIVE_500.name].cpu_us / found[c.NATIVE_10.name].cpu_us, 4.0, at_most=True
        )
    if native and c.FSYNC.name in found:
        yield Goal("CPU: fsync log / write log", found[c.FSYNC.name].cpu_us / native.cpu_us, 1.1, at_most=True)
    if native and c.BARE.name in found:
        yield Goal(
            "decisions/s: everything on / async log, no traces, no metrics", native.per_s / found[c.BARE.name].per_s, 0.9, at_most=False
        )


def print_report(console: Console, found: Mapping[str, Measured], facts: Mapping[str, Any]) -> None:
    """Print machine and configuration, one line a contender, one line a goal."""
    machine, effort = facts["machine"], facts["effort"]
    versions = ", ".join(f"{name} {version}" for name, version in machine.items() if name not in ("processor", "kernel"))
    console.print(
        f"[bold]{machine['processor']}[/], Linux {machine['kernel']}, {facts['at']}, load before {facts['load_average_before']}",
        highlight=False,
    )
    console.print(versions, highlight=False)
    console.print(
        f"{effort['rounds']} interleaved rounds of {effort['seconds']:g} s after {effort['warm_up_s']:g} s of warm-up, medians; "
        f"closed loop, {effort['in_flight']} in flight on {effort['connections']} connections; {facts['people']:,} people; server on core "
        f"{facts['cores']['server']}, load and store on core {facts['cores']['load_and_store']}. "
        "CPU is user + system of the server's process tree; the store's stands beside it and is in no ratio.",
        highlight=False,
    )
    e = base(found)
    table = Table(title=f"E = {e.contender.label}" if e else None, title_justify="left")
    for name in ("", "CPU us/request", "of the rounds", "store us", "requests/s", "x E", "p50 ms", "p99 ms", "answers", "offered", "log B"):
        table.add_column(name, justify="left" if not name else "right")
    for one in found.values():
        last, spread = one.rounds[-1], sorted(r["cpu_us"]["server"] for r in one.rounds)
        table.add_row(
            one.contender.label,
            f"{one.cpu_us:.1f}",
            f"{spread[0]:.0f}-{spread[-1]:.0f}",
            f"{one.store_us:.1f}" if one.contender.decides else "",
            f"{one.per_s:,.0f}",
            f"{one.cpu_us / e.cpu_us:.2f}" if e else "",
            f"{last['p50_ms']:.2f}",
            f"{last['p99_ms']:.2f}",
            f"{one.answered:,}",
            f"{last['offered_share']:.1%}" if one.contender.decides else "",
            f"{last['log_bytes'] / last['answered']:.0f}" if one.contender.decides else "",
        )
    console.print(table)
    fastest = max(found.values(), key=lambda one: one.per_s)
    generator = max(r["cpu_us"]["generator"] for r in fastest.rounds)
    console.print(
        f"generator: {generator:.1f} us of its own core a request at {fastest.per_s:,.0f}/s; every answer had grpc-status 0 and a message.",
        highlight=False,
    )
    others = sorted(r["others_cores"] for one in found.values() for r in one.rounds)
    degraded = max(r["degraded_share"] for one in found.values() for r in one.rounds)
    console.print(
        f"other processes of this machine used {others[len(others) // 2]:.2f} cores in the median round, {others[-1]:.2f} at most; "
        f"at most {degraded:.1%} of a round's answers were degraded.",
        highlight=False,
    )
    if others[len(others) // 2] > _QUIET or degraded > _DEGRADED:
        console.print("[bold red]The machine was not quiet, or budgets ran out: these figures are not to be quoted.[/]")
    calls = f"idle server, {effort['calls']:,} single calls {effort['pause_ms']:g} ms apart"
    singles = [(one.contender.label, one.idle) for one in found.values() if one.idle]
    for label, took in [*singles, ("bare TCP echo between the two cores", facts["echo_ms"])]:
        console.print(f"{calls}: {label}: p50 {took['p50_ms']:.2f} ms, p99 {took['p99_ms']:.2f} ms", highlight=False)
    verdicts = Table(title="Goals", title_justify="left")
    for name in ("", "measured", "target", ""):
        verdicts.add_column(name, justify="left" if not name else "right")
    for goal in goals(found):
        digits = ",.0f" if goal.measured >= 100 else ".2f"
        verdicts.add_row(
            goal.what,
            format(goal.measured, digits),
            ("<= " if goal.at_most else ">= ") + f"{goal.target:,g}",
            "[green]met[/]" if goal.met else "[bold red]missed[/]",
        )
    console.print(verdicts)
