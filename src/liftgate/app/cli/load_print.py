"""What a load test came to, for a person to read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from liftgate.app.counted import counted
from liftgate.load.plot import heat_map
from liftgate.load.result import LATE_MS, Times

_SHOWN = ("p50", "p90", "p99", "p99.9", "max")
_WIDEST = 110
_MARGIN = 12
_MOST_CAUSES = 8


def show(found: Mapping[str, Any], start_ns: Times, latency_ns: Times) -> None:
    """Print counts, latencies, the plot and what the generator itself did."""
    # A pipe has no width of its own, and a table that is squeezed into 80 columns loses its heads.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDEST + _MARGIN)
    for line in (_asked(found), *_counts(found)):
        console.print(line, soft_wrap=True)
    if len(found.get("steps", ())) > 1:
        console.print(_steps(found["steps"]))
    if found["latency_ms"]:
        console.print(Text("latency  ", style="bold") + Text(_percentiles(found["latency_ms"])), soft_wrap=True)
    if "deadline_ms" in found:
        share = found["within_deadline"] / max(1, found["sent"])
        console.print(Text(f"within {found['deadline_ms']:g} ms  {found['within_deadline']:,} of {found['sent']:,} ({share:.2%})"))
    plain = "utf" not in (console.encoding or "").lower()
    for row in heat_map(start_ns, latency_ns, max(20, min(console.width, _WIDEST) - _MARGIN), plain=plain):
        console.print(Text(row), overflow="crop", no_wrap=True)
    for line in _generator(found):
        console.print(line, soft_wrap=True)


def _asked(found: Mapping[str, Any]) -> Text:
    if found["mode"] == "closed":
        calls = counted(found["in_flight"], "call")
        what = f"closed loop, {calls} in flight: what the server can do at most; latencies hide the queue before it"
    else:
        limit = f", at most {found['in_flight']} in flight" if found["in_flight"] else ""
        seed = f", seed {found['seed']}" if found["arrivals"] == "poisson" else ""
        what = f"open loop, {found['arrivals']} arrivals{seed}{limit}; latency counts from when a request was due"
    return Text(
        f"{found['target']}  {counted(found['people'], 'person', 'people')}, {counted(found['connections'], 'connection')}, {what}",
        style="dim",
    )


def _counts(found: Mapping[str, Any]) -> list[Text]:
    bad = found["sent"] - found["ok"]
    lines = [
        Text.assemble(
            ("requests ", "bold"),
            f"{found['sent']:,} in {found['seconds']:g} s, ",
            (f"{found['ok']:,} good replies", "green" if not bad else ""),
            f", {found['per_s']:,.0f}/s" + (", ended early" if found.get("interrupted") else ""),
        )
    ]
    if found["ok"]:
        reasons = ", ".join(f"{name} {count:,}" for name, count in found["reasons"].items())
        degraded = f", {found['degraded']:,} degraded" if found["degraded"] else ""
        lines.append(Text(f"         {found['offered']:,} with an offer{degraded}: {reasons}"))
    if found["reasons"].get("UNKNOWN_PERSON", 0) > found["ok"] / 2:
        words = (
            "         most of these people are not in the store: such decisions read no features and cost less; --people FILE names others"
        )
        lines.append(Text(words, style="yellow"))
    causes = list(found["failed"].items())
    lines += [Text(f"         {count:,} failed: {cause}", style="red") for cause, count in causes[:_MOST_CAUSES]]
    if len(causes) > _MOST_CAUSES:
        lines.append(Text(f"         and {len(causes) - _MOST_CAUSES} other causes (--json has them)", style="red"))
    return lines


def _percentiles(ms: Mapping[str, float]) -> str:
    return "   ".join(f"{name} {_ms(ms[name])}" for name in _SHOWN) + " ms"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _steps(steps: list[Mapping[str, Any]]) -> Table:
    table = Table(*("rate/s", "for s", "sent", "good", "answered/s", *_SHOWN, ""), box=None, header_style="dim")
    for column in table.columns:
        column.justify = "right"
    for one in steps:
        ms = one["latency_ms"]
        table.add_row(
            *(f"{one['rate']:,.0f}", f"{one['duration_s']:g}", f"{one['sent']:,}", f"{one['ok']:,}", f"{one['per_s']:,.0f}"),
            *(_ms(ms[name]) if ms else "" for name in _SHOWN),
            "" if one["kept_up"] else Text("fell behind", style="red"),
        )
    return table


def _generator(found: Mapping[str, Any]) -> list[Text]:
    own = found["generator"]
    cost = f"{own['cpu_us_a_reply']:g} us of CPU a reply"
    late = own.get("lateness_ms")
    if not late:
        return [Text(f"generator  {cost}", style="dim")]
    lines = [
        Text(f"generator  sent late by p50 {_ms(late['p50'])}, p99 {_ms(late['p99'])}, max {_ms(late['max'])} ms; {cost}", style="dim")
    ]
    if late["p99"] > LATE_MS:
        words = (
            f"the generator was late itself (p99 above {LATE_MS:g} ms): part of these latencies is its own; give it a core, or ask for less"
        )
        lines.append(Text(words, style="yellow"))
    if own["held_back"]:
        held = counted(own["held_back"], "request")
        words = f"{held} could not be sent when due: the server took no more. The wait is in the latencies above"
        lines.append(Text(words, style="yellow"))
    return lines
