"""The load generator as a process of its own: pins itself, loads one server, prints one line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from typing import Any

from liftgate.load.closed_loop import ClosedLoop
from liftgate.load.connection import Peer
from liftgate.load.connections import Connections
from liftgate.load.frames import request_headers
from liftgate.load.result import percentiles_ms, times
from liftgate.load.tally import Tally

from . import load_batch, load_open, traffic
from .cpu import busy_s, cpu_s

_PATIENCE_NS = 10_000_000_000


def peer(port: int, deadline_ms: float | None = None) -> Peer:
    """Return the server under test."""
    return Peer.find("127.0.0.1", port, request_headers(f"127.0.0.1:{port}", traffic.PATH, deadline_ms))


def opened(args: argparse.Namespace) -> dict[str, Any]:
    """Send a schedule."""
    return load_open.opened(args, peer(args.port, args.deadline_ms or None))


def _result(tally: Tally, seconds: float) -> dict[str, Any]:
    offered, degraded = traffic.shares(tally.samples)
    latency_ms = percentiles_ms(times(tally.latency_ns))
    return {
        "seconds": seconds,
        "ok": tally.ok,
        "answered": tally.ok,
        "failed": tally.failed,
        "answer_bytes": sum(map(len, tally.samples)) / max(1, len(tally.samples)),
        "samples": len(tally.samples),
        "offered_share": offered,
        "degraded_share": degraded,
        "p50_ms": latency_ms.get("p50"),
        "p99_ms": latency_ms.get("p99"),
    }


def closed(args: argparse.Namespace) -> dict[str, Any]:
    """Keep `--in-flight` calls going; report what the watched processes cost in the measured time."""
    watched = dict(pair.split("=") for pair in args.watch)
    loop = ClosedLoop(peer(args.port), traffic.bodies(), args.connections, args.in_flight)
    first = loop.run(args.warm_up)
    before = {label: cpu_s(int(pid)) for label, pid in watched.items()}
    busy, own, start = busy_s(), time.process_time(), time.perf_counter()
    tally = loop.run(args.seconds)
    seconds, own, busy = time.perf_counter() - start, time.process_time() - own, busy_s() - busy
    after = {label: cpu_s(int(pid)) for label, pid in watched.items()}
    rest = loop.close()
    result = _result(tally, seconds)
    result["answered"] = first.ok + tally.ok + rest.ok
    for cause, count in [*first.failed.items(), *rest.failed.items()]:
        result["failed"][cause] = result["failed"].get(cause, 0) + count
    result["per_s"] = tally.ok / seconds
    result["cpu_us"] = {label: (after[label] - before[label]) / tally.ok * 1e6 for label in watched}
    result["cpu_us"]["generator"] = own / tally.ok * 1e6
    ours = own + sum(after[label] - before[label] for label in watched)
    result["others_cores"] = max(0.0, busy - ours) / seconds
    return result


def idle(args: argparse.Namespace) -> dict[str, Any]:
    """Send one call at a time to a server that has nothing else to do, with a pause between calls."""
    tally = Tally()
    connections = Connections(peer(args.port), traffic.bodies(), tally, 1)
    connections.greet(10.0)
    start = time.perf_counter()
    for step in range(args.calls + 200):
        if step == 200:
            tally = Tally()
            connections.use(tally)
            start = time.perf_counter()
        connections.due(0, 0)
        connections.send(0)
        until = time.perf_counter_ns() + _PATIENCE_NS
        while connections.in_flight and time.perf_counter_ns() < until:
            connections.wait(until)
        if args.pause_ms:
            time.sleep(args.pause_ms / 1000)
    seconds = time.perf_counter() - start
    connections.close()
    return _result(tally, seconds)


def main() -> None:
    """Run as `python -m tests.bench.load closed|idle|open|batch --port P`."""
    modes = {"closed": closed, "idle": idle, "open": opened, "batch": load_batch.batches}
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=modes)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm-up", type=float, default=1.5)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--pause-ms", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deadline-ms", type=float, default=0.0, help="open: sent along, and what goodput is within; 0: none")
    parser.add_argument("--window-ms", type=float, default=0.0, help="open: the slowest request of each such window; 0: none")
    parser.add_argument("--equal", action="store_true", help="open: no real-time priority: others on this core get their share")
    parser.add_argument("--people", type=int, default=256, help="batch: of one call")
    parser.add_argument("--watch", action="append", default=[], metavar="LABEL=PID")
    args = parser.parse_args()
    gc.disable()
    json.dump(modes[args.mode](args), sys.stdout)


if __name__ == "__main__":
    main()
