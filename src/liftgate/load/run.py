"""One run against one server, from connecting to its result."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from liftgate.load import open_loop, result
from liftgate.load.closed_loop import ClosedLoop
from liftgate.load.connection import Peer
from liftgate.load.connections import Connections
from liftgate.load.ctrl_c import CtrlC
from liftgate.load.result import Times
from liftgate.load.schedule import Schedule
from liftgate.load.tally import Tally

GREETING_S = 10.0
DRAIN_S = 10.0
_WARM_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is over."""

    data: dict[str, Any]
    """Counts, latencies in ms, and what the generator itself did; ready for JSON."""
    start_ns: Times
    """[ok] when each request with a good reply was due, from the run's start; closed loop: when it was sent."""
    latency_ns: Times
    """[ok] from then until its reply was read."""


def open_run(
    peer: Peer,
    bodies: Iterator[bytes],
    schedule: Schedule,
    connections: int,
    in_flight: int | None = None,
    deadline_ms: float | None = None,
) -> Outcome:
    """Send a schedule, on time whatever the server does. Raises Unreachable when there is nothing to load."""
    tally, connections = Tally(), min(connections, in_flight or connections)
    lines = Connections(peer, bodies, tally, connections, in_flight)
    lines.greet(GREETING_S)
    with _Undisturbed() as cpu, CtrlC() as ctrl_c:
        ran = open_loop.run(lines, schedule, DRAIN_S, ctrl_c)
    took_s = ran.ended_ns / 1e9
    start, latency = result.times(tally.start_ns) - ran.start_ns, result.times(tally.latency_ns)
    data = {
        "arrivals": schedule.arrivals,
        "seed": schedule.seed,
        "seconds": round(took_s, 3),
        "interrupted": ran.interrupted,
        **result.answers(tally, deadline_ms, ran.sent),
        "per_s": round(float(((start + latency) < ran.ended_ns).sum()) / max(took_s, 1e-9), 1),
        "steps": result.steps(tally, schedule, ran.start_ns, ran.sent, ran.ended_ns),
        "generator": {**result.generator(tally), "cpu_us_a_reply": _cpu_us(cpu.seconds, tally)},
    }
    return Outcome(data, start, latency)


def closed_run(
    peer: Peer, bodies: Iterator[bytes], seconds: float, connections: int, in_flight: int, deadline_ms: float | None = None
) -> Outcome:
    """Keep calls in flight for that long, after half a second of warm-up. Ctrl-C ends it early and keeps what came. Raises Unreachable."""
    loop = ClosedLoop(peer, bodies, min(connections, in_flight), in_flight)
    with CtrlC() as ctrl_c:
        with _Undisturbed() as cpu:
            first = loop.run(_WARM_UP_S, ctrl_c)
            cpu.start, start_ns = time.process_time(), time.perf_counter_ns()
            tally = loop.run(seconds, ctrl_c)
            took = (time.perf_counter_ns() - start_ns) / 1e9
        rest = loop.close()
    for other in (first, rest):
        for cause, count in other.failed.items():
            tally.fail(cause, count)
    data = {
        "seconds": round(took, 3),
        "interrupted": ctrl_c.asked,
        **result.answers(tally, deadline_ms, tally.ok + sum(tally.failed.values())),
        "per_s": round(tally.ok / max(took, 1e-9), 1),
        "generator": {"cpu_us_a_reply": _cpu_us(cpu.seconds, tally)},
    }
    return Outcome(data, result.times(tally.start_ns) - start_ns, result.times(tally.latency_ns))


def _cpu_us(seconds: float, tally: Tally) -> float:
    """Return CPU a request that ended, well or not."""
    return round(seconds / max(1, tally.ok + sum(tally.failed.values())) * 1e6, 2)


class _Undisturbed:
    """No garbage collection while it lasts; `seconds` of CPU were used."""

    seconds = 0.0

    def __enter__(self) -> _Undisturbed:
        self._collected = gc.isenabled()
        gc.disable()
        self.start = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.process_time() - self.start
        if self._collected:
            gc.enable()
