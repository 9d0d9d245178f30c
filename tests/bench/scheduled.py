"""What a schedule shows and a closed loop hides: percentiles below saturation, goodput above it, and the generator by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from liftgate.load.result import LATE_MS

from . import contenders as c
from .rounds import Arena
from .tables import Rows

SHARES = (0.25, 0.5, 0.7, 0.85)
HALF = 0.5
_OVER = 1.5
_DEADLINE_MS = 100.0
"""Of overload: goodput is what came within it."""
_FALLBACKS = 0.01
"""Share of answers that may be fallbacks: percentiles are to be those of decisions."""
_GENERATOR_PER_S = 15_000
_CONNECTIONS = "8"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """How long to measure."""

    samples: int
    """Requests of each level."""
    most_s: float
    """Longest time of a level: below it there are fewer samples."""
    over_s: float
    over_rounds: int
    generator_s: float


def percentiles(arena: Arena, effort: Scheduled, saturation: float, tell: Tell) -> list[dict[str, Any]]:
    """Return one result for each share of saturation, Poisson arrivals, with the budgets that the service comes with."""
    found = []
    for share in SHARES:
        rate = saturation * share
        seconds = min(effort.most_s, effort.samples / rate * 1.02)
        tell(f"percentiles: {share:.0%} of saturation, {rate:,.0f}/s for {seconds:.0f} s")
        flags = ("--rate", f"{rate:.1f}", "--seconds", f"{seconds:.1f}", "--warm-up", "2", "--connections", _CONNECTIONS)
        result = arena.opened(c.AS_SHIPPED, *flags, "--seed", f"{share * 100:.0f}", tolerate=True)
        found.append({"share": share, **result})
    return found


def overload(arena: Arena, effort: Scheduled, saturation: float, tell: Tell) -> list[dict[str, Any]]:
    """Return one result a round of 1.5 times saturation, each request with a deadline."""
    found = []
    for number in range(effort.over_rounds):
        tell(f"overload, round {number + 1} of {effort.over_rounds}: {saturation * _OVER:,.0f}/s")
        flags = ("--rate", f"{saturation * _OVER:.1f}", "--seconds", f"{effort.over_s:g}", "--warm-up", "2", "--connections", _CONNECTIONS)
        # Of equal rank with the store on its core: at this rate it would otherwise leave the store too little to be a store.
        equal = ("--equal", "--deadline-ms", f"{_DEADLINE_MS:g}", "--seed", str(number))
        found.append(arena.opened(c.AS_SHIPPED, *flags, *equal, tolerate=True))
    return found


def generator(arena: Arena, effort: Scheduled, tell: Tell) -> dict[str, Any]:
    """Return what the generator does at 15,000 requests a second against an empty server on the fast transport."""
    tell(f"the generator: {_GENERATOR_PER_S:,}/s against an empty server")
    flags = ("--rate", str(_GENERATOR_PER_S), "--seconds", f"{effort.generator_s:g}", "--warm-up", "1", "--connections", _CONNECTIONS)
    return arena.opened(c.E_NATIVE, *flags, tolerate=True)


def quotable(result: dict[str, Any]) -> str:
    """Return why a level's percentiles prove nothing, or nothing."""
    if not result["lateness_ms"]:
        return "the server took no request when it was due"
    late = result["lateness_ms"]["p99"]
    if late > LATE_MS:
        return f"the generator was late itself, p99 {late:.2f} ms"
    if result["failed"]:
        return f"{sum(result['failed'].values()):,} requests failed"
    if result["degraded_share"] > _FALLBACKS:
        return f"{result['degraded_share']:.1%} of the answers were fallbacks"
    return ""


def percentile_rows(levels: Sequence[dict[str, Any]]) -> Rows:
    """Return a row a level. Percentiles that prove nothing are not shown."""
    heads = ["of saturation", "requests/s", "samples", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "p99/p50", "p99.9/p50"]
    rows = []
    for one in levels:
        ms, why = one["latency_ms"], quotable(one)
        quoted = ["-"] * 7 if why else [f"{ms[name]:.2f}" for name in ("p50", "p90", "p99", "p99.9", "max")]
        ratios = [] if why else [f"{ms['p99'] / ms['p50']:.1f}", f"{ms['p99.9'] / ms['p50']:.1f}"]
        late = " / ".join(f"{one['lateness_ms'][name]:.3f}" for name in ("p50", "p99") if one["lateness_ms"])
        head = [f"{one['share']:.0%}", f"{one['per_s']:,.0f}", f"{one['samples']:,}"]
        rows.append([*head, *quoted, *ratios, late, f"{one['degraded_share']:.2%}", f"{one['others_cores']:.2f}", why])
    title = (
        "Open loop: Poisson arrivals fixed in advance, latency from when a request was due, budgets as the service comes (8 ms). "
        f"Percentiles are shown where the generator's own lateness is at most {LATE_MS:g} ms at p99."
    )
    return Rows(title, [*heads, "late itself, p50 / p99 ms", "degraded", "others, cores", "not proved"], rows)


def overload_rows(rounds: Sequence[dict[str, Any]], saturation: float) -> Rows:
    """Return a row a round."""
    heads = [
        "1.5 x saturation, asked/s",
        f"whole decisions within {_DEADLINE_MS:g} ms, /s",
        "of saturation",
        "answered/s",
        "degraded",
        "refused",
    ]
    rows = []
    for one in rounds:
        refused = sum(one["failed"].values())
        causes = ", ".join(f"{cause[:40]} {count:,}" for cause, count in sorted(one["failed"].items(), key=lambda pair: -pair[1])[:2])
        good = one["goodput_per_s"]
        row = [f"{one['rate']:,.0f}", f"{good:,.0f}", f"{good / saturation:.2f}", f"{one['per_s']:,.0f}", f"{one['degraded_share']:.1%}"]
        rows.append([*row, f"{refused:,}" + (f" ({causes})" if causes else "")])
    return Rows("Overload: fallbacks and late answers are no goodput.", heads, rows)


def generator_words(one: dict[str, Any]) -> str:
    """Return what the generator does, in a sentence."""
    late = one["lateness_ms"] or {"p50": float("nan"), "p99": float("nan")}
    return (
        f"The generator at {one['rate']:,.0f} requests/s, Poisson, against an empty native server: {one['per_s']:,.0f} good replies/s, "
        f"late itself by p50 {late['p50']:.3f}, p99 {late['p99']:.3f} ms, {one['cpu_us']['generator']:.1f} us of its core a request."
    )
