"""The open loop of the bench: a Poisson schedule fixed in advance, latency from when a request was due."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from liftgate.load import open_loop, punctual
from liftgate.load.connection import Peer
from liftgate.load.connections import Connections
from liftgate.load.result import percentiles_ms, times
from liftgate.load.schedule import Step, plan
from liftgate.load.tally import Tally

from . import traffic
from .cpu import busy_s, cpu_s

_DRAIN_S = 10.0


def opened(args: argparse.Namespace, peer: Peer) -> dict[str, Any]:
    """Send `--rate` for `--seconds` after a warm-up at the same rate that counts for nothing but answers."""
    watched = dict(pair.split("=") for pair in args.watch)
    schedule = plan([Step(args.rate, args.warm_up), Step(args.rate, args.seconds)], "poisson", args.seed)
    first = int((schedule.due_ns < args.warm_up * 1e9).sum())
    tally = Tally()
    connections = Connections(peer, traffic.bodies(), tally, args.connections)
    connections.greet(10.0)
    realtime = not args.equal and punctual.ask(connections)
    before = {label: cpu_s(int(pid)) for label, pid in watched.items()}
    busy, own, began = busy_s(), time.process_time(), time.perf_counter()
    ran = open_loop.run(connections, schedule, _DRAIN_S)
    took, own, busy = time.perf_counter() - began, time.process_time() - own, busy_s() - busy
    spent = {label: cpu_s(int(pid)) - before[label] for label, pid in watched.items()}
    # When the measured part began, on the clock that others note their doings by.
    began_ms = (time.time_ns() - time.perf_counter_ns() + ran.start_ns) / 1e6 + args.warm_up * 1e3
    start, latency = times(tally.start_ns) - ran.start_ns, times(tally.latency_ns)
    counted = start >= args.warm_up * 1e9
    ends = (args.warm_up + args.seconds) * 1e9
    mine = latency[counted]
    offered, degraded = _shares(tally)
    in_time = int((mine <= args.deadline_ms * 1e6).sum()) if args.deadline_ms else len(mine)
    answered = max(1, tally.ok)
    return {
        "rate": args.rate,
        "seconds": args.seconds,
        "sent": ran.sent - first,
        "ok": int(counted.sum()),
        "answered": tally.ok,
        "failed": tally.failed,
        "samples": int(counted.sum()),
        "offered_share": offered,
        "degraded_share": degraded,
        "per_s": float((counted & (start + latency < ends)).sum()) / args.seconds,
        # A fallback is an answer, not a decision: none of them counts as goodput, late or not.
        "goodput_per_s": max(0.0, in_time - degraded * len(mine)) / args.seconds,
        "latency_ms": percentiles_ms(mine),
        "over_20_ms": int((mine > 20e6).sum()),
        "lateness_ms": percentiles_ms(times(tally.lateness_ns)[first:]),
        "held_back": tally.held,
        "realtime": realtime,
        "cpu_us": {**{label: one / answered * 1e6 for label, one in spent.items()}, "generator": own / answered * 1e6},
        "others_cores": max(0.0, busy - own - sum(spent.values())) / took,
        "began_ms": began_ms,
        "worst_by_window_ms": _worst_by_window(start[counted] - int(args.warm_up * 1e9), mine, args.window_ms),
    }


def _shares(tally: Tally) -> tuple[float, float]:
    """Return the shares of good answers that offer something and that are degraded."""
    counts = tally.answers.items()
    return tuple(sum(n for kind, n in counts if kind[i]) / max(1, tally.ok) for i in (1, 2))  # type: ignore[return-value]


def _worst_by_window(start: Any, latency: Any, window_ms: float) -> list[float]:
    """Return the slowest latency in ms of the requests due in each window of so many ms, from the end of the warm-up; 0 ms: nothing."""
    if not window_ms or not len(start):
        return []
    window = (start // int(window_ms * 1e6)).astype(np.int64)
    worst = np.zeros(int(window.max()) + 1)
    np.maximum.at(worst, window, latency / 1e6)
    return [round(float(one), 2) for one in worst]
