"""From one event to the Decide that sees it, beside the decisions of others. `python -m tests.bench.read_your_writes`

An offer is shown to those alone who viewed a product within the hour, by a feature that events keep. Each probe tells one view of a person
who has none, and asks for a decision as soon as the event is acknowledged. An answer without the offer is an error, not a late one; one
for which the store was away counts as never.

First the server's saturation is measured (64 calls in flight, always), then a share of that rate is sent as a Poisson process, probes
counted in, each call when it is due whatever the server does. Times are from when the event was due. The server has one core; the store,
the load and the probes share the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.domain.consent import document

from .cpu import cpu_s
from .events import FEATURES
from .probes import Probed, probe
from .processes import BenchError, cores, free_ports, pinned, scratch, serving

GOAL_MS = 5.0
"""Of the 99th percentile, at half load."""
SHARES = (0.25, 0.5)
"""Of saturation."""
PROBES_PER_S = 100
_CROWD = 20_000
_BUNDLE = """
bundle: signals
currency: EUR
time_zone: UTC
profile_purpose: personalization
purposes: {{personalization: {{}}}}
signals: {{product_view: {{}}}}
event_properties: {{category: {{type: string}}, price: {{type: float}}}}
features:{features}
offers:
  after-view: {{value: 1.0, suitable_if: profile.views_1h >= 1}}
placements: {{home: {{offers: all, select: {{policy: greedy}}}}}}
"""


@dataclass(frozen=True, slots=True)
class AtLoad:
    """What was measured at one share of saturation; times in ms."""

    share: float
    load_per_s: float
    """Decisions of others answered meanwhile."""
    busy: float
    """Share of its core that the server used."""
    told_p50_ms: float
    told_p99_ms: float
    """From when the event was due to its acknowledgement: whatever is decided from then on sees it."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    """From when the event was due to having the decision that sees it: two calls, one after the other."""
    never: int
    """Probes whose decision was degraded: the store did not answer in time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured."""

    probes: int
    """At each load."""
    saturation_per_s: float
    loads: tuple[AtLoad, ...]
    """One for each of `SHARES`."""

    @property
    def p99_ms(self) -> float:
        """Event to decision at half load."""
        return self.loads[-1].p99_ms


async def _consent(url: str, names: list[str]) -> None:
    client = connect(url, 10_000)
    agreed = document({"personalization": {"status": "granted", "given_at_ms": 1}})
    for first in range(0, len(names), 1000):
        await client.call([("SET", redis_keys.consent(name), agreed) for name in names[first : first + 1000]])
    await client.close()


def _load(core: int, port: int, *how: str) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "liftgate.app.cli.main", "load", "--target", f"127.0.0.1:{port}"),
        *("--placement", "home", "--people", str(_CROWD), "--json", *how),
    ]
    return subprocess.Popen(pinned(core, command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _told(load: subprocess.Popen[bytes]) -> dict[str, float]:
    raw, _ = load.communicate()
    if load.returncode:
        raise BenchError(f"the load ended with {load.returncode}")
    found: dict[str, float] = json.loads(raw)
    return found


def measure(probes: int = 1000, seconds: float = 3.0) -> Seen:
    """Return how long it takes from an event to the decision that sees it."""
    server_core, other_core = cores()
    usual, dice = os.sched_getaffinity(0), random.Random(1)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {other_core})
        os.sched_setaffinity(0, {other_core})
        try:
            folder = Path(name) / "bundle"
            folder.mkdir()
            (folder / "bundle.yaml").write_text(_BUNDLE.format(features=FEATURES), encoding="utf-8")
            port, metrics_port = free_ports()
            command = [
                *(sys.executable, "-m", "liftgate.app.cli.main", "serve", "--bundle", str(folder)),
                *("--redis", f"redis://127.0.0.1:{valkey.port}/0", "--log", str(Path(name) / "log"), "--port", str(port)),
                *("--workers", "1", "--metrics-port", str(metrics_port), "--lame-duck-s", "0"),
                *("--pseudonym-key", "0123456789abcdef0123456789abcdef"),
            ]
            with serving(command, port, server_core, Path(name) / "output") as server:
                saturated = _told(_load(other_core, port, "--closed", "--duration", f"{seconds}s"))["per_s"]
                loads = []
                for share in SHARES:
                    people = [f"probe-{share}-{n}" for n in range(probes)]
                    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                        runner.run(_consent(valkey.url, people))
                    rate = max(saturated * share - 2 * PROBES_PER_S, 1.0)
                    crowd = _load(other_core, port, "--rate", f"{rate:.0f}", "--duration", f"{probes / PROBES_PER_S + 3:.0f}s")
                    time.sleep(2.0)  # the load is on its way by then
                    due = sorted(dice.randrange(round(probes / PROBES_PER_S * 1e9)) for _ in people)
                    before, began = cpu_s(server.pid), time.perf_counter()
                    found = probe(port, people, due, "product_view", "after-view")
                    busy = (cpu_s(server.pid) - before) / (time.perf_counter() - began)
                    loads.append(_at(share, _told(crowd)["per_s"], busy, found))
        finally:
            os.sched_setaffinity(0, usual)
    return Seen(probes, saturated, tuple(loads))


def _at(share: float, per_s: float, busy: float, found: Probed) -> AtLoad:
    told = [_quantile(found.told_ms, q) for q in (0.5, 0.99)]
    seen = [_quantile(found.seen_ms, q) for q in (0.5, 0.99, 1.0)]
    return AtLoad(share, per_s, busy, told[0], told[1], seen[0], seen[1], seen[2], found.seen_ms.count(float("inf")))


def _quantile(ascending: list[float], q: float) -> float:
    return ascending[min(len(ascending) - 1, int(q * len(ascending)))]


def words(seen: Seen) -> str:
    """Return the figures in sentences."""
    verdict = "met" if seen.p99_ms <= GOAL_MS else "MISSED"
    lines = [
        f"Event to the decision that sees it ({seen.probes:,} probes at each load; saturation {seen.saturation_per_s:,.0f} decisions/s):"
    ]
    for one in seen.loads:
        goal = f" (goal <= {GOAL_MS:g}: {verdict})" if one is seen.loads[-1] else ""
        lines.append(
            f"  at {one.share:.0%} ({one.load_per_s:,.0f}/s beside it, core {one.busy:.0%} busy): p50 {one.p50_ms:.2f} ms, p99 "
            f"{one.p99_ms:.2f} ms{goal}, worst {one.max_ms:.2f} ms (inf: fallbacks, {one.never}, the store was late); "
            f"of it until the acknowledgement "
            f"p50 {one.told_p50_ms:.2f}, p99 {one.told_p99_ms:.2f} ms"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.read_your_writes", description=__doc__)
    parser.add_argument("--probes", type=int, default=1000)
    Console(width=140, highlight=False).print(words(measure(parser.parse_args().probes)))


if __name__ == "__main__":
    main()
