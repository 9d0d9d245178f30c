"""`python -m tests.bench [--quick]`: what a decision costs, beside an empty call and a plain server."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import contenders, events, people, read_your_writes, rules, shop, traffic
from .cpu import machine
from .echo import echo_round_trip
from .goals import goals
from .processes import ROOT, BenchError, Running, cores, scratch
from .report import print_report
from .rounds import Arena, Effort, Measured, measure

_QUICK = Effort(rounds=2, warm_up_s=1.0, seconds=2.5, calls=1_000)
_FULL = Effort(rounds=3, warm_up_s=1.5, seconds=4.0, calls=3_000)
_RESULTS = ROOT / "bench" / "results"


def main() -> int:
    """Measure, check, print, keep. Returns 1 when an answer was wrong; a missed goal is printed, not an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the rows that matter most, two short rounds (about a minute)")
    parser.add_argument("--only", metavar="TEXT", help="contenders whose name contains TEXT, beside E and N0")
    parser.add_argument("--rounds", type=int, help="rounds of each contender")
    parser.add_argument("--seconds", type=float, help="measured seconds of each round")
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    effort = _QUICK if args.quick else _FULL
    effort = replace(effort, rounds=args.rounds or effort.rounds, seconds=args.seconds or effort.seconds)
    chosen: tuple[contenders.Contender, ...] = contenders.QUICK if args.quick else contenders.FULL
    if args.only:
        usual = (contenders.E_ASYNCIO, contenders.E_UVLOOP, contenders.N0)
        chosen = tuple(one for one in contenders.FULL if one in usual or args.only in one.name)
    try:
        found, facts = _run(chosen, effort, console)
    except BenchError as error:
        console.print(f"[bold red]nothing to print:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    text = print_report(console, found, facts)
    few, many = rules.measure(rounds=1 if args.quick else rules.ROUNDS)
    console.print(rules.table(few, many))
    facts["rules"] = [asdict(few), asdict(many)]
    told = events.measure(rounds=1 if args.quick else 3)
    console.print(events.table(told))
    facts["events"] = [asdict(one) for one in told]
    seen = read_your_writes.measure(200 if args.quick else 1000)
    console.print(read_your_writes.words(seen), highlight=False)
    facts["read_your_writes"] = asdict(seen)
    _keep(found, facts, text, console)
    return 0


def _run(chosen: tuple[contenders.Contender, ...], effort: Effort, console: Console) -> tuple[dict[str, Measured], dict[str, Any]]:
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {load_core})
        folder = Path(name)
        shops = folder / "shops"
        for offers in (10, 20, 100, 500):
            shop.write(shops / str(offers), offers)
        stored = people.image(shop.compiled(shops / "20"))
        arena = Arena(folder, shops, Running(valkey.port, valkey.pid), stored, server_core, load_core)
        before = os.getloadavg()[0]
        with console.status("starting") as status:
            found = measure(arena, chosen, effort, status.update)
            echo = {}
            for pause_ms in effort.pauses_ms:
                for contender in (contenders.E_ASYNCIO, contenders.N0, contenders.NATIVE):
                    if contender.name in found:
                        status.update(f"idle server: {contender.label}")
                        found[contender.name].idle[pause_ms] = arena.idle(contender, effort, pause_ms)
                echo[pause_ms] = echo_round_trip(server_core, load_core, min(effort.calls, 1_000), pause_ms)
    facts = {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine(),
        "load_average_before": round(before, 2),
        "cores": {"server": server_core, "load_and_store": load_core},
        "effort": asdict(effort),
        "people": traffic.PEOPLE,
        "echo_ms": echo,
    }
    return found, facts


def _keep(found: dict[str, Measured], facts: dict[str, Any], text: str, console: Console) -> None:
    _RESULTS.mkdir(parents=True, exist_ok=True)
    path = _RESULTS / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
    raw = {name: {"label": one.contender.label, "rounds": one.rounds, "idle": one.idle} for name, one in found.items()}
    path.write_text(json.dumps({**facts, "goals": [asdict(goal) for goal in goals(found)], "contenders": raw}, indent=1))
    path.with_suffix(".md").write_text(text)
    console.print(f"raw counts of every round: {path.relative_to(ROOT)}; the same tables in Markdown beside it", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
