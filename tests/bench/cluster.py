"""A Cluster of three primaries under load, one killed: `python -m tests.bench.cluster`. What callers see, second by second.

The killed primary has a replica, which the others make a primary in its place; `--no-replica`: nobody takes over. The load is open: no
caller waits for another's answer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import redis.cluster
from rich.console import Console

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import KEY_BYTES
from liftgate.load import open_loop
from liftgate.load.connection import Peer
from liftgate.load.connections import Connections
from liftgate.load.frames import request_headers
from liftgate.load.schedule import Step, plan
from liftgate.load.tally import Tally
from liftgate.v1 import decision_pb2
from tests.contract.cluster import Cluster

from . import contenders, people, shop, traffic
from .contenders import Place
from .cpu import machine
from .processes import ROOT, cores, free_ports, scratch, serving
from .tables import Rows

_BEFORE_S, _AFTER_S = 6.0, 14.0
_PATIENCE_S = 10.0


@dataclass(slots=True)
class Seconds(Tally):
    """Keeps of every reply when its request was due, how long it took, and whether it is a fallback."""

    degraded: list[bool] = field(default_factory=list)

    def reply(self, verdict: str, message: bytes, start_ns: int, sent_ns: int, now_ns: int) -> None:
        """Count a call that ended."""
        before = self.ok
        Tally.reply(self, verdict, message, start_ns, sent_ns, now_ns)
        if self.ok > before:
            self.degraded.append(decision_pb2.DecideResponse.FromString(message[5:]).degraded)


def measure(rate: float, replica: bool, met: bool = True) -> dict[str, Any]:
    """Load for 20 s, kill a primary after 6; return rows by second and all that failed. `met`: everybody was decided about before."""
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="cluster-", dir=scratch()) as name, Cluster(3) as cluster:
        folder = Path(name)
        shop.write(folder / "20", 20)
        _fill(cluster, folder / "20", met)
        nodes = [*cluster.nodes, *([cluster.replicate(cluster.nodes[2])] if replica else [])]
        for node in nodes:
            os.sched_setaffinity(node.pid, {load_core})
        (folder / "log").mkdir()
        place = Place(*free_ports(), cluster.nodes[0].port, folder, folder / "log")
        command = contenders.liftgate("native", 20, budgets=True).command(place)
        command[command.index("--redis") + 1] = cluster.url
        with serving(command, place.port, server_core, folder / "output"):
            os.sched_setaffinity(0, {load_core})
            tally = Seconds()
            to = Peer.find("127.0.0.1", place.port, request_headers(f"127.0.0.1:{place.port}", traffic.PATH, None))
            connections = Connections(to, traffic.bodies(), tally, 8)
            connections.greet(_PATIENCE_S)
            schedule = plan([Step(rate, _BEFORE_S + _AFTER_S)], "poisson", 1)
            killing = threading.Timer(_BEFORE_S, os.kill, (cluster.nodes[2].pid, signal.SIGKILL))
            killing.start()
            ran = open_loop.run(connections, schedule, _PATIENCE_S)
            killing.join()
            connections.close()
    second = (np.frombuffer(tally.start_ns, dtype=np.int64) - ran.start_ns) // 1_000_000_000
    latency_ms, degraded = np.frombuffer(tally.latency_ns, dtype=np.int64) / 1e6, np.array(tally.degraded)
    rows = []
    for at in range(int(_BEFORE_S + _AFTER_S)):
        mine = second == at
        if mine.any():
            p50, p99 = np.percentile(latency_ms[mine], (50, 99))
            rows.append({"second": at, "answers": int(mine.sum()), "fallbacks": float(degraded[mine].mean()), "p50_ms": p50, "p99_ms": p99})
    return {"rate": rate, "replica": replica, "met": met, "killed_after_s": _BEFORE_S, "failed": tally.failed, "seconds": rows}


def _fill(cluster: Cluster, folder: Path, met: bool) -> None:
    """Store everybody, each on their server; who was met before has a key."""
    client = redis.cluster.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    pipe = client.pipeline()  # type: ignore[no-untyped-call]
    for words in people.packed(shop.compiled(folder)):
        pipe.execute_command(*words)
    for number in range(traffic.PEOPLE if met else 0):
        pipe.execute_command("SET", redis_keys.person_key(traffic.person_id(number)), os.urandom(KEY_BYTES))
    pipe.execute()
    client.close()


def main() -> int:
    """Measure, print, keep. Returns 1 when a call failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.cluster", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    parser.add_argument("--no-replica", action="store_true", help="nobody takes over the killed server's people")
    parser.add_argument(
        "--unmet", action="store_true", help="nobody was met before: their keys have to be made, and while a server is away cannot be"
    )
    args = parser.parse_args()
    load = os.getloadavg()[0]
    found = measure(args.rate, not args.no_replica, not args.unmet)
    seconds = [[str(value) if isinstance(value, int) else f"{value:.2f}" for value in row.values()] for row in found["seconds"]]
    title = f"{args.rate:,.0f}/s over a Cluster of three, one killed in second {_BEFORE_S:.0f}; failed: {found['failed'] or 'none'}"
    table = Rows(title, ("second", "answers", "share of fallbacks", "p50 ms", "p99 ms"), seconds)
    Console(width=None if sys.stdout.isatty() else 120).print(table.rich())
    results = ROOT / "bench" / "results"
    results.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    (results / f"cluster-{stamp}.json").write_text(json.dumps({**found, "machine": machine(), "load_average_before": load}, indent=1))
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
