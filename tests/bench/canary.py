"""How long this machine itself stands still: a sleeper on each core, before all others in line, that notes when it was woken late.

What delays it is not the service but the machine: stolen time, interrupts, other sleepers of that rank.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time

_EVERY_S = 0.002
_PRIORITY = 50
_MOST = 100_000


def watch(core: int, least_ms: float) -> list[tuple[float, float]]:
    """Sleep until SIGTERM; return when (Unix time, ms) and by how much (ms) it was late, where that was at least `least_ms`."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    late: list[tuple[float, float]] = []
    while not stop and len(late) < _MOST:
        before = time.monotonic()
        time.sleep(_EVERY_S)
        over_ms = (time.monotonic() - before - _EVERY_S) * 1e3
        if over_ms >= least_ms:
            late.append((round(time.time() * 1e3, 1), round(over_ms, 2)))
    return late


def main() -> None:
    """Run as `python -m tests.bench.canary --core C`; prints JSON when told to end. Needs leave for real-time priority."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--least-ms", type=float, default=2.0)
    args = parser.parse_args()
    json.dump(watch(args.core, args.least_ms), sys.stdout)


if __name__ == "__main__":
    main()
