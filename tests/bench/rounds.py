"""Interleaved rounds: every contender once, then every contender again, each on a store as good as new."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from . import people
from .contenders import Contender, Place
from .cpu import cpu_s, tree
from .processes import BenchError, Running, free_ports, load, serving

_FEWEST = 2
_LEAST_OFFERED = 0.5
"""Of the bench's people, 5 % are held out and everyone else is offered something."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    warm_up_s: float
    seconds: float
    calls: int
    """Of the idle server."""
    most_s: float = 480.0
    """No round of all contenders begins later than this, from the second round on."""
    in_flight: int = 64
    connections: int = 4
    pauses_ms: tuple[float, ...] = (0.0, 2.0)
    """Between single calls on an idle server."""


@dataclass(slots=True)
class Measured:
    """All rounds of one contender."""

    contender: Contender
    rounds: list[dict[str, Any]] = field(default_factory=list)
    idle: dict[float, dict[str, Any]] = field(default_factory=dict)
    """Single calls on an idle server, by the pause between them in ms."""
    failures: list[str] = field(default_factory=list)
    """Rounds that broke and were run again, and why."""

    @property
    def cpu_us(self) -> float:
        """Server CPU per request, median of the rounds, us."""
        return float(median(one["cpu_us"]["server"] for one in self.rounds))

    @property
    def store_us(self) -> float:
        """The store's CPU per request, median of the rounds, us. Never part of `cpu_us`."""
        return float(median(one["cpu_us"]["store"] for one in self.rounds))

    @property
    def per_s(self) -> float:
        """Requests per second, median of the rounds."""
        return float(median(one["per_s"] for one in self.rounds))

    @property
    def answered(self) -> int:
        """Good answers in all rounds."""
        return sum(one["ok"] for one in self.rounds)


@dataclass(frozen=True, slots=True)
class Arena:
    """Where rounds happen."""

    folder: Path
    shops: Path
    store: Running
    stored: bytes
    """`people.image`."""
    server_core: int
    load_core: int
    collector_port: int
    spans: Path
    """What the collector has counted so far."""

    def idle(self, contender: Contender, effort: Effort, pause_ms: float) -> dict[str, Any]:
        """Measure single calls on an idle server."""

        def one(server: Running) -> dict[str, Any]:
            return load(self.load_core, "idle", "--port", str(server.port), "--calls", str(effort.calls), "--pause-ms", str(pause_ms))

        return self.serving(contender, one)

    def opened(self, contender: Contender, *flags: str, tolerate: bool = False) -> dict[str, Any]:
        """Measure one contender under a schedule."""

        def one(server: Running) -> dict[str, Any]:
            watch = ("--watch", f"server={server.pid}", "--watch", f"store={self.store.pid}")
            return load(self.load_core, "open", "--port", str(server.port), *watch, *flags, tolerate=tolerate)

        return self.serving(contender, one)

    def round(self, contender: Contender, effort: Effort) -> dict[str, Any]:
        """Measure one contender once, loaded to saturation."""

        def one(server: Running) -> dict[str, Any]:
            return load(
                self.load_core,
                contender.mode,
                *("--port", str(server.port), "--seconds", str(effort.seconds), "--warm-up", str(effort.warm_up_s)),
                *("--in-flight", str(contender.in_flight or effort.in_flight)),
                *("--connections", str(contender.connections or effort.connections)),
                *("--watch", f"server={server.pid}", "--watch", f"store={self.store.pid}"),
            )

        return self.serving(contender, one)

    def serving(self, contender: Contender, measure: Callable[[Running], dict[str, Any]]) -> dict[str, Any]:
        """Start the contender on an empty log and a fresh store, measure, end it. Raises BenchError on answers that offer nothing."""
        people.restore(self.store.port, self.stored)
        log = self.folder / "log"
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir()
        place = Place(*free_ports(), self.store.port, self.shops, log, self.collector_port)
        on = (self.server_core, self.load_core) if contender.two_cores else self.server_core
        before = int(self.spans.read_text())
        with serving(contender.command(place), place.port, on, self.folder / f"{contender.name}.out", contender.says_ready) as server:
            result = measure(server)
            result["by_process"] = {str(pid): cpu_s(pid, below=False) for pid in tree(server.pid)}
        if result["offered_share"] < _LEAST_OFFERED:
            raise BenchError(f"{contender.label}: only {result['offered_share']:.0%} of the answers offer something")
        if contender.decides:
            result["log_bytes"] = sum(path.stat().st_size for path in log.rglob("*") if path.is_file())
            if result["log_bytes"] < result["answered"] * 100:
                raise BenchError(f"{contender.label}: answered {result['answered']} times and logged {result['log_bytes']} bytes")
        # It exports what is left when it ends. Beyond what its queue holds spans are dropped, as OpenTelemetry has it.
        result["spans"] = int(self.spans.read_text()) - before
        if contender.traced and not result["spans"] and result["answered"] * contender.traced > 1:
            raise BenchError(f"{contender.label}: answered {result['answered']} times and no span arrived")
        return result


def measure(
    arena: Arena, contenders: Sequence[Contender], effort: Effort, tell: Callable[[str], None], found: dict[str, Measured]
) -> dict[str, Measured]:
    """Run all rounds, interleaved; add them to `found` by contender's name and return it.

    A round that breaks is run once more; a contender that breaks twice in a row is left out from then on. No round begins after
    `effort.most_s`, but two are always made.
    """
    broken: set[str] = set()
    started = time.monotonic()
    for contender in contenders:
        found[contender.name] = Measured(contender)
    for number in range(effort.rounds):
        if number >= _FEWEST and time.monotonic() - started > effort.most_s:
            tell(f"no time for more than {number} rounds")
            break
        for contender in contenders:
            if contender.name not in broken:
                tell(f"round {number + 1} of {effort.rounds}: {contender.label}")
                if not _round(arena, contender, effort, found[contender.name]):
                    broken.add(contender.name)
    return found


def _round(arena: Arena, contender: Contender, effort: Effort, measured: Measured) -> bool:
    for _ in range(2):
        try:
            measured.rounds.append(arena.round(contender, effort))
            return True
        except (BenchError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            measured.failures.append(str(error))
    return False
