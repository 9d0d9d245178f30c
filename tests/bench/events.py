"""Events a second on one core: batches of 50 through the wire into the log, caps and ten features. `python -m tests.bench.events`

A real server pinned to one core; the store and the caller share the other. Everything is on: consent is read for every event, exposures
count against a cap, each event is in the log before it is acknowledged. Every answer is checked; a wrong or an uncounted event is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc.aio
import uvloop
from rich.console import Console
from rich.table import Table

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.domain.consent import document
from liftgate.v1.event_service_pb2 import Event, EventKind, PropertyValue, RecordRequest, RecordResponse

from .cpu import cpu_s
from .processes import BenchError, cores, free_ports, scratch, serving

BATCH = 50
AT_ONCE = 6
"""Calls in flight."""
PEOPLE = 20_000
GOAL = 15_000
_BUNDLE = """
bundle: events
currency: EUR
time_zone: UTC
profile_purpose: personalization
purposes: {{personalization: {{}}}}
signals: {{product_view: {{}}}}
event_properties: {{category: {{type: string}}, price: {{type: float}}}}
events: {{late_after: 7d}}
features:{features}
offers:
  gift: {{value: 1.0, caps: [{{max: 500, per: 7d, counts: exposure}}]}}
  other: {{value: 1.0}}
placements: {{home: {{offers: all, select: {{policy: epsilon_greedy, epsilon: 0.0}}}}}}
"""
FEATURES = """
  views_1h: {type: int, from: {count: product_view, window: 1h}}
  views_7d: {type: int, from: {count: product_view, window: 7d}}
  spend_90d: {type: float, from: {sum: purchase.value, window: 90d}}
  price_7d: {type: float, from: {mean: product_view.price, window: 7d}}
  category: {type: string, values: [shoes, hats, bags], from: {last: product_view.category, window: 30d}}
  first_category: {type: string, values: [shoes, hats, bags], from: {first: product_view.category, window: 30d}}
  ctr_30d: {type: float, from: {rate: click, per: exposure, window: 30d}}
  clicks: {type: float, from: {count: click, half_life: 1d}}
  since_purchase: {type: float, from: {recency: purchase, unit: d, window: 90d}}
  categories: {type: int, from: {distinct: product_view.category, window: 7d}}"""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured with so many features."""

    features: int
    per_s: float
    """Events acknowledged a second, median of the rounds."""
    cpu_us: float
    """CPU of the server an event, median of the rounds."""
    store_us: float
    """CPU of the store an event."""
    p50_ms: float
    """Of a call, with `AT_ONCE` in flight."""


def write(folder: Path, features: bool = True) -> Path:
    """Write the bundle to `folder/bundle` and return that."""
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "bundle.yaml").write_text(_BUNDLE.format(features=FEATURES if features else " {}"), encoding="utf-8")
    return bundle


def bodies(tag: str, batches: int, now_ms: int, size: int = BATCH) -> Iterator[bytes]:
    """Yield encoded requests of `size` new events: views, exposures, clicks and purchases of many people, over the last hour."""
    kinds = (EventKind.EVENT_KIND_CUSTOM, EventKind.EVENT_KIND_CUSTOM, EventKind.EVENT_KIND_EXPOSURE, EventKind.EVENT_KIND_CLICK)
    for b in range(batches):
        events = []
        for i in range(size):
            n = b * size + i
            kind = EventKind.EVENT_KIND_PURCHASE if n % 50 == 49 else kinds[n % 4]
            event = Event(
                event_id=f"{tag}-{n:016d}",
                kind=kind,
                person_id=f"person-{n * 7919 % PEOPLE:08d}",
                occurred_at_ms=now_ms - n * 7 % 3_600_000,
                channel="web",
            )
            if kind == EventKind.EVENT_KIND_CUSTOM:
                event.name = "product_view"
                event.properties["category"].CopyFrom(PropertyValue(string_value=("shoes", "hats", "bags")[n % 3]))
                event.properties["price"].CopyFrom(PropertyValue(double_value=9.5 + n % 40))
            else:
                event.offer_id = "gift" if n % 2 else "other"
                event.decision_id = f"{now_ms - 4_000_000:012x}7{n:019x}"
                if kind == EventKind.EVENT_KIND_PURCHASE:
                    event.value = 25.0
            events.append(event)
        yield RecordRequest(events=events).SerializeToString()


async def _drive(target: str, tag: str, seconds: float) -> tuple[int, float, list[float]]:
    """Send batches until the time is over. Returns (events, seconds, seconds of each call). Raises BenchError on a wrong answer."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.insecure_channel(target, options=options)
    call = channel.unary_unary("/liftgate.v1.EventService/Record")
    took: list[float] = []
    # Made before the clock starts: the caller shares its core with the store.
    ready = iter(list(bodies(tag, round(seconds * 30_000 / BATCH), time.time_ns() // 1_000_000)))
    started = time.perf_counter()

    async def loop() -> None:
        while time.perf_counter() - started < seconds and (body := next(ready, None)) is not None:
            began = time.perf_counter()
            answer = RecordResponse.FromString(await call(body, timeout=10))
            took.append(time.perf_counter() - began)
            if (answer.accepted, answer.uncounted, answer.duplicates) != (BATCH, 0, 0):
                raise BenchError(f"a batch was answered with {answer}")

    await asyncio.gather(*(loop() for _ in range(AT_ONCE)))
    lasted = time.perf_counter() - started
    await channel.close()
    return len(took) * BATCH, lasted, took


async def agree(url: str) -> None:
    """Everybody has agreed, so every event changes features."""
    client = connect(url, 10_000)
    agreed = document({"personalization": {"status": "granted", "given_at_ms": 1}})
    for first in range(0, PEOPLE, 1000):
        names = [f"person-{i:08d}" for i in range(first, first + 1000)]
        await client.call([("SET", redis_keys.consent(name), agreed) for name in names])
    await client.close()


def measure(rounds: int = 3, seconds: float = 4.0) -> list[Rate]:
    """Return events a second with ten features and with none."""
    server_core, other_core = cores()
    usual, found = os.sched_getaffinity(0), []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        os.sched_setaffinity(valkey.pid, {other_core})
        os.sched_setaffinity(0, {other_core})
        try:
            for features in (10, 0):
                folder = write(Path(name) / str(features), bool(features))
                port, metrics_port = free_ports()
                command = [
                    *(sys.executable, "-m", "liftgate.app.cli.main", "serve", "--bundle", str(folder)),
                    *("--redis", f"redis://127.0.0.1:{valkey.port}/0", "--log", str(Path(name) / f"log-{features}"), "--port", str(port)),
                    *("--workers", "1", "--metrics-port", str(metrics_port), "--lame-duck-s", "0"),
                    *("--pseudonym-key", "0123456789abcdef0123456789abcdef"),
                ]
                with (
                    serving(command, port, server_core, Path(name) / "output") as server,
                    asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
                ):
                    runner.run(agree(valkey.url))
                    runner.run(_drive(f"127.0.0.1:{port}", "warm", 1.0))
                    rates: list[tuple[float, float, float, float]] = []
                    for number in range(rounds):
                        before, store = cpu_s(server.pid), cpu_s(valkey.pid)
                        events, lasted, took = runner.run(_drive(f"127.0.0.1:{port}", f"r{number}", seconds))
                        spent = (cpu_s(server.pid) - before) / events * 1e6, (cpu_s(valkey.pid) - store) / events * 1e6
                        rates.append((events / lasted, *spent, median(took) * 1000))
                    found.append(Rate(features, *(median(column) for column in zip(*rates, strict=True))))
                    runner.run(_forget(valkey.url))
        finally:
            os.sched_setaffinity(0, usual)
    return found


async def _forget(url: str) -> None:
    client = connect(url, 10_000)
    await client.call([("FLUSHALL",)])
    await client.close()


def table(rates: list[Rate]) -> Table:
    """Return the figures as a table."""
    made = Table(title=f"Events, batches of {BATCH}, one server core; the store and the caller share the other.", title_justify="left")
    for head in ("features", "events/s", "server, CPU us/event", "events/s of a whole core", "store, CPU us/event", "call p50, ms"):
        made.add_column(head, justify="right")
    for one in rates:
        goal = f" (goal >= {GOAL:,})" if one.features else ""
        whole = f"{1e6 / one.cpu_us:,.0f}"
        made.add_row(str(one.features), f"{one.per_s:,.0f}{goal}", f"{one.cpu_us:.1f}", whole, f"{one.store_us:.1f}", f"{one.p50_ms:.1f}")
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    Console(width=140).print(table(measure(args.rounds, args.seconds)))


if __name__ == "__main__":
    main()
