"""From one event to the Decide that sees it, while the server is at half of its saturation. `python -m tests.bench.read_your_writes`

An offer is shown to those alone who viewed a product within the hour, by a feature that events keep. Each probe tells one view of a person
who has none, and asks for a decision as soon as the event is acknowledged. An answer without the offer is an error, not a late one; one
for which the store was away counts as never.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import uvloop
from rich.console import Console

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.domain.consent import document
from liftgate.v1.decision_pb2 import DecideRequest, DecideResponse
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse

from .events import FEATURES
from .processes import BenchError, cores, free_ports, scratch, serving

GOAL_MS = 5.0
"""Of the 99th percentile."""
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
class Seen:
    """What was measured."""

    probes: int
    saturation_per_s: float
    load_per_s: float
    """Decisions of others meanwhile."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    """From sending the event to having the decision that sees it: two calls, one after the other."""
    never: int
    """Probes whose decision was degraded: the store did not answer in time."""


async def _consent(url: str, names: list[str]) -> None:
    client = connect(url, 10_000)
    agreed = document({"personalization": {"status": "granted", "given_at_ms": 1}})
    for first in range(0, len(names), 1000):
        await client.call([("SET", redis_keys.consent(name), agreed) for name in names[first : first + 1000]])
    await client.close()


async def _probe(target: str, probes: int, pause_s: float) -> list[float]:
    channel = grpc.aio.insecure_channel(target)
    tell = channel.unary_unary("/liftgate.v1.EventService/Record")
    ask = channel.unary_unary("/liftgate.v1.DecisionService/Decide")
    took = []
    for n in range(probes):
        name = f"probe-{n}"
        event = Event(event_id=f"view-{n}", kind=EventKind.EVENT_KIND_CUSTOM, name="product_view", person_id=name)
        told, asked = (
            RecordRequest(events=[event]).SerializeToString(),
            DecideRequest(person_id=name, placement_id="home").SerializeToString(),
        )
        began = time.perf_counter()
        taken = RecordResponse.FromString(await tell(told, timeout=10))
        answer = DecideResponse.FromString(await ask(asked, timeout=10))
        took.append(math.inf if answer.degraded else (time.perf_counter() - began) * 1000)
        shown = [slot.offer_id for slot in answer.slots]
        if not answer.degraded and ((taken.accepted, taken.uncounted) != (1, 0) or shown != ["after-view"]):
            raise BenchError(f"probe {n}: the event was answered with {taken}, the decision with {answer}")
        await asyncio.sleep(pause_s)
    await channel.close()
    return took


def _load(core: int, port: int, *how: str) -> subprocess.Popen[bytes]:
    command = [
        *("taskset", "-c", str(core), sys.executable, "-m", "liftgate.app.cli.main", "load", "--target", f"127.0.0.1:{port}"),
        *("--placement", "home", "--people", str(_CROWD), "--json", *how),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _told(load: subprocess.Popen[bytes]) -> dict[str, float]:
    raw, _ = load.communicate()
    found: dict[str, float] = json.loads(raw)
    return found


def measure(probes: int = 1000, seconds: float = 3.0) -> Seen:
    """Return how long it takes from an event to the decision that sees it."""
    server_core, other_core = cores()
    usual = os.sched_getaffinity(0)
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
            with (
                serving(command, port, server_core, Path(name) / "output"),
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                runner.run(_consent(valkey.url, [f"probe-{n}" for n in range(probes)]))
                saturated = _told(_load(other_core, port, "--closed", "--duration", f"{seconds}s"))["per_s"]
                pause_s = 0.01
                crowd = _load(other_core, port, "--rate", f"{saturated / 2:.0f}", "--duration", f"{probes * (pause_s + 0.005) + 3:.0f}s")
                time.sleep(2.0)
                took = sorted(runner.run(_probe(f"127.0.0.1:{port}", probes, pause_s)))
                load = _told(crowd)
        finally:
            os.sched_setaffinity(0, usual)
    at = [took[min(len(took) - 1, int(share * len(took)))] for share in (0.5, 0.99)]
    return Seen(
        probes, saturated, load["per_s"], at[0], at[1], max((one for one in took if one < math.inf), default=math.inf), took.count(math.inf)
    )


def words(seen: Seen) -> str:
    """Return the figures in a sentence."""
    verdict = "met" if seen.p99_ms <= GOAL_MS else "MISSED"
    return (
        f"Event to the decision that sees it ({seen.probes:,} probes beside {seen.load_per_s:,.0f} decisions/s, of "
        f"{seen.saturation_per_s:,.0f} at saturation): p50 {seen.p50_ms:.2f} ms, p99 {seen.p99_ms:.2f} ms (goal <= {GOAL_MS:g}: "
        f"{verdict}), worst {seen.max_ms:.2f} ms, never {seen.never}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.read_your_writes", description=__doc__)
    parser.add_argument("--probes", type=int, default=1000)
    Console(width=140, highlight=False).print(words(measure(parser.parse_args().probes)))


if __name__ == "__main__":
    main()
