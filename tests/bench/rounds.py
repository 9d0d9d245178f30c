"""Interleaved rounds: every contender once, then every contender again, each on a store as good as new."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from . import people
from .contenders import Contender, Place
from .processes import BenchError, Running, free_ports, load, serving

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

    def idle(self, contender: Contender, effort: Effort, pause_ms: float) -> dict[str, Any]:
        """Measure single calls on an idle server."""

        def one(server: Running) -> dict[str, Any]:
            return load(self.load_core, "idle", "--port", str(server.port), "--calls", str(effort.calls), "--pause-ms", str(pause_ms))

        return self._with(contender, one)

    def round(self, contender: Contender, effort: Effort) -> dict[str, Any]:
        """Measure one contender once, loaded to saturation."""

        def one(server: Running) -> dict[str, Any]:
            return load(
                self.load_core,
                "closed",
                *("--port", str(server.port), "--seconds", str(effort.seconds), "--warm-up", str(effort.warm_up_s)),
                *("--in-flight", str(effort.in_flight), "--connections", str(effort.connections)),
                *("--watch", f"server={server.pid}", "--watch", f"store={self.store.pid}"),
            )

        return self._with(contender, one)

    def _with(self, contender: Contender, measure: Callable[[Running], dict[str, Any]]) -> dict[str, Any]:
        """Start the contender on an empty log and a fresh store, measure, end it. Raises BenchError on answers that offer nothing."""
        people.restore(self.store.port, self.stored)
        log = self.folder / "log"
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir()
        place = Place(*free_ports(), self.store.port, self.shops, log)
        with serving(contender.command(place), place.port, self.server_core, self.folder / f"{contender.name}.out") as server:
            result = measure(server)
        if result["offered_share"] < _LEAST_OFFERED:
            raise BenchError(f"{contender.label}: only {result['offered_share']:.0%} of the answers offer something")
        if contender.decides:
            result["log_bytes"] = sum(path.stat().st_size for path in log.rglob("*") if path.is_file())
            if result["log_bytes"] < result["answered"] * 100:
                raise BenchError(f"{contender.label}: answered {result['answered']} times and logged {result['log_bytes']} bytes")
        return result


def measure(arena: Arena, contenders: Sequence[Contender], effort: Effort, tell: Callable[[str], None]) -> dict[str, Measured]:
    """Run all rounds, interleaved; return them by contender's name."""
    found = {contender.name: Measured(contender) for contender in contenders}
    for number in range(effort.rounds):
        for contender in contenders:
            tell(f"round {number + 1} of {effort.rounds}: {contender.label}")
            found[contender.name].rounds.append(arena.round(contender, effort))
    return found
