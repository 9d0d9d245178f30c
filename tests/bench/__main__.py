"""`python -m tests.bench [--quick] [--only TEXT]`: what a decision costs, beside an empty call and a plain server, and every goal."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import contenders as c
from . import every_guardrail, people, scheduled, shop, traffic
from .cpu import machine
from .echo import echo_round_trip
from .goals import Findings, goals
from .processes import ROOT, BenchError, Running, cores, free_ports, scratch, serving
from .report import Part, parts, show
from .results import keep
from .rounds import Arena, Effort, measure
from .scheduled import Scheduled
from .sides import SIDES

_QUICK = Effort(rounds=2, warm_up_s=1.0, seconds=2.5, calls=500)
_FULL = Effort(rounds=4, warm_up_s=1.0, seconds=3.0, calls=2_000)
_QUICK_OPEN = Scheduled(samples=100_000, most_s=5.0, over_s=4.0, over_rounds=1, generator_s=3.0)
_FULL_OPEN = Scheduled(samples=100_000, most_s=90.0, over_s=8.0, over_rounds=3, generator_s=8.0)
_ARENA = ("open", "overload", "generator", "idle")
_ALL = (*_ARENA, *SIDES)


def main() -> int:
    """Measure, check, print, keep. Returns 1 when an answer was wrong or a part broke; a missed goal is printed, not an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="the contenders that matter most, short rounds, fewer samples (3 to 4 minutes)"
    )
    known = f"parts ({', '.join(_ALL)}) or contenders, these beside E and N0, whose name contains TEXT; may be given more than once"
    parser.add_argument("--only", metavar="TEXT", action="append", help=known)
    parser.add_argument("--rounds", type=int, help="rounds of each contender")
    parser.add_argument("--seconds", type=float, help="measured seconds of each round")
    args = parser.parse_args()
    effort = _QUICK if args.quick else _FULL
    effort = replace(effort, rounds=args.rounds or effort.rounds, seconds=args.seconds or effort.seconds)
    chosen, wanted = _chosen(args.quick, args.only)
    if not (chosen or wanted):
        parser.error(f"--only: nothing is called like that; there are {', '.join([*_ALL, *(one.name for one in c.FULL)])}")
    run = _Run(effort, _QUICK_OPEN if args.quick else _FULL_OPEN, args.quick)
    with suppress(KeyboardInterrupt):
        run.all(chosen, wanted)
    return run.report()


def _chosen(quick: bool, only: list[str] | None) -> tuple[tuple[c.Contender, ...], tuple[str, ...]]:
    """Return contenders and parts."""
    if not only:
        return (c.QUICK if quick else c.FULL), tuple(part for part in _ALL if not (quick and part == "log-scale"))
    wanted = tuple(part for part in _ALL if any(text in part for text in only))
    named = tuple(one for one in c.FULL if any(text in one.name for text in only))
    if named:
        return tuple(one for one in c.FULL if one in (*c.USUAL, *named)), wanted
    # Levels below and above saturation need to know where it is.
    return ((c.NATIVE, c.DEEP) if {"open", "overload", "idle"} & set(wanted) else ()), wanted


class _Run:
    """One run; what is found stays found when a later part breaks."""

    def __init__(self, effort: Effort, open_effort: Scheduled, quick: bool) -> None:
        self._effort, self._open, self._quick = effort, open_effort, quick
        self._console = Console(width=None if sys.stdout.isatty() else 160)
        self._started = time.monotonic()
        self._findings, self._more, self._raw = Findings(), list[Part](), dict[str, Any]()
        self._server_core, self._load_core = cores()
        self._facts: dict[str, Any] = {
            "command": " ".join(["python -m tests.bench", *sys.argv[1:]]),
            "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "commit": _commit(),
            "machine": machine(),
            "load_average_before": round(os.getloadavg()[0], 2),
            "cores": {"server": self._server_core, "load_and_store": self._load_core},
            "effort": asdict(effort),
            "open_effort": asdict(open_effort),
            "people": traffic.PEOPLE,
        }

    def all(self, chosen: tuple[c.Contender, ...], wanted: tuple[str, ...]) -> None:
        """Run contenders, then parts."""
        if chosen or set(_ARENA) & set(wanted):
            self._part("contenders", lambda: self._arena(chosen, wanted))
        for name in SIDES:
            if name in wanted:
                self._tell(name)
                self._part(name, lambda name=name: self._side(name))  # type: ignore[misc]

    def report(self) -> int:
        """Print and keep everything."""
        self._facts["took_s"] = round(time.monotonic() - self._started)
        told = parts(self._findings, self._facts, self._more)
        text = show(self._console, told)
        path = keep(self._findings, {**self._facts, **self._raw}, text)
        self._console.print(f"raw counts of every round: {path.relative_to(ROOT)}; the same tables in Markdown beside it", highlight=False)
        broken = [one for one in self._findings.found.values() if not one.rounds]
        return 1 if self._findings.failures or broken or not goals(self._findings) else 0

    def _tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._started:6.0f} s  {what}", file=sys.stderr, flush=True)

    def _part(self, name: str, measure_it: Callable[[], None]) -> None:
        try:
            measure_it()
        except Exception as error:  # nobody is there to start the run again: what was measured is worth more than what broke
            self._findings.failures[name] = f"{type(error).__name__}: {error}"
            self._tell(f"{name} broke: {error}")

    def _arena(self, chosen: tuple[c.Contender, ...], wanted: tuple[str, ...]) -> None:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
            os.sched_setaffinity(valkey.pid, {self._load_core})
            folder = Path(name)
            shops, spans, port = folder / "shops", folder / "spans", free_ports()[0]
            for offers in (10, 20, 100, 500):
                shop.write(shops / str(offers), offers)
            shop.write(shops / every_guardrail.NAME, 20, declared=every_guardrail.bundle(20))
            stored = people.image(shop.compiled(shops / "20"))
            collector = [sys.executable, "-m", "tests.bench.collector", "--port", str(port), "--count", str(spans)]
            with serving(collector, port, self._load_core, folder / "collector.out"):
                running = Running(valkey.port, valkey.pid)
                arena = Arena(folder, shops, running, stored, self._server_core, self._load_core, port, spans)
                if chosen:
                    measure(arena, chosen, self._effort, self._tell, self._findings.found)
                for part, function in self._with_arena(arena).items():
                    if part in wanted:
                        self._part(part, function)

    def _with_arena(self, arena: Arena) -> dict[str, Callable[[], None]]:
        found = self._findings

        def levels() -> None:
            found.levels = scheduled.percentiles(arena, self._open, self._saturation(), self._tell)

        def overload() -> None:
            found.overload = scheduled.overload(arena, self._open, self._saturation(), self._tell)

        def generator() -> None:
            found.generator = scheduled.generator(arena, self._open, self._tell)

        return {"open": levels, "overload": overload, "generator": generator, "idle": lambda: self._idle(arena)}

    def _saturation(self) -> float:
        found = [self._findings.found.get(one.name) for one in (c.NATIVE, c.DEEP)]
        rates = [one.per_s for one in found if one is not None and one.rounds]
        if not rates:
            raise BenchError("saturation is not known: no round of Liftgate, native, 20 offers")
        # With few in flight a server that takes more at once is not full yet.
        self._findings.saturation = max(rates)
        return max(rates)

    def _idle(self, arena: Arena) -> None:
        echo = {}
        for pause_ms in self._effort.pauses_ms:
            for contender in (c.E_ASYNCIO, c.N0, c.NATIVE):
                if contender.name in self._findings.found:
                    self._tell(f"idle server: {contender.label}")
                    self._findings.found[contender.name].idle[pause_ms] = arena.idle(contender, self._effort, pause_ms)
            echo[pause_ms] = echo_round_trip(self._server_core, self._load_core, min(self._effort.calls, 1_000), pause_ms)
        self._facts["echo_ms"] = echo

    def _side(self, name: str) -> None:
        side = SIDES[name](self._quick)
        self._more += side.parts
        self._findings.more += side.goals
        self._raw[name.replace("-", "_")] = side.raw


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
