"""The load generator as a process of its own: pins itself, loads one server, prints one line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from typing import Any

from . import traffic
from .cpu import busy_s, cpu_s
from .h2 import ClosedLoop, Connection, Tally


def percentile_ms(latency_ns: list[int], share: float) -> float:
    """Return a percentile of nanoseconds as milliseconds; sorts in place."""
    latency_ns.sort()
    return latency_ns[min(len(latency_ns) - 1, int(len(latency_ns) * share))] / 1e6 if latency_ns else float("nan")


def _result(tally: Tally, seconds: float) -> dict[str, Any]:
    offered, degraded = traffic.shares(tally.samples)
    return {
        "seconds": seconds,
        "ok": tally.ok,
        "answered": tally.ok,
        "failed": tally.failed,
        "answer_bytes": sum(map(len, tally.samples)) / max(1, len(tally.samples)),
        "samples": len(tally.samples),
        "offered_share": offered,
        "degraded_share": degraded,
        "p50_ms": percentile_ms(tally.latency_ns, 0.5),
        "p99_ms": percentile_ms(tally.latency_ns, 0.99),
    }


def closed(args: argparse.Namespace) -> dict[str, Any]:
    """Keep `--in-flight` calls going; report what the watched processes cost in the measured time."""
    watched = dict(pair.split("=") for pair in args.watch)
    loop = ClosedLoop(args.port, traffic.PATH, traffic.bodies(), args.connections, args.in_flight)
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
    connection = Connection(args.port, traffic.PATH, traffic.bodies(), tally)
    start = time.perf_counter()
    for step in range(args.calls + 200):
        if step == 200:
            tally = connection.tally = Tally()
            start = time.perf_counter()
        connection.send(1)
        while connection.in_flight:
            connection.receive()
        if args.pause_ms:
            time.sleep(args.pause_ms / 1000)
    connection.close()
    return _result(tally, time.perf_counter() - start)


def main() -> None:
    """Run as `python -m tests.bench.load closed|idle --port P`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("closed", "idle"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm-up", type=float, default=1.5)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--pause-ms", type=float, default=2.0)
    parser.add_argument("--watch", action="append", default=[], metavar="LABEL=PID")
    args = parser.parse_args()
    gc.disable()
    json.dump((closed if args.mode == "closed" else idle)(args), sys.stdout)


if __name__ == "__main__":
    main()
