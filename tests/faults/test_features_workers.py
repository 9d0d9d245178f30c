"""Features and caps on two real workers: a decision sees what was acknowledged before it; order and repeats do not matter."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

import grpc.aio
import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import Command, connect
from liftgate.bundle.load import load_bundle
from liftgate.domain.contact_history import live_counts
from liftgate.domain.input import Floats
from liftgate.pipeline.live import Live
from liftgate.v1.decision_pb2 import DecideRequest
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse
from tests.faults.serving import Serving, decide_stub

CHANNELS, VIEWS, PEOPLE = 12, 5, 40
HOUR = 3_600_000
COUNTED = "\n".join(f"  n{n}: {{value: 1.0, eligible_if: 'profile.views_1h == {n}'}}" for n in range(VIEWS + 1))
BUNDLE = f"""bundle: features
currency: EUR
time_zone: UTC
profile_purpose: none
signals: {{product_view: {{}}}}
event_properties: {{category: {{type: string}}, price: {{type: float}}}}
features:
  views_1h: {{type: int, from: {{count: product_view, window: 1h}}}}
  spend_90d: {{type: float, from: {{sum: purchase.value, window: 90d}}}}
  basket_7d: {{type: float, from: {{mean: purchase.value, window: 7d}}}}
  ctr_30d: {{type: float, from: {{rate: click, per: exposure, window: 30d}}}}
  category: {{type: string, values: [shoes, hats], from: {{last: product_view.category, window: 30d}}}}
  entry: {{type: string, values: [shoes, hats], from: {{first: product_view.category, window: 1d}}}}
  hours_since_click: {{type: float, from: {{recency: click, unit: h, window: 7d}}}}
  offers_seen: {{type: int, from: {{distinct: exposure.offer, window: 7d, exact_up_to: 3}}}}
  interest: {{type: float, from: {{count: product_view, half_life: 1h}}}}
  dear_views: {{type: int, from: {{count: product_view, window: 1d, where: {{price: {{min: 50}}}}}}}}
offers:
{COUNTED}
  clicked: {{value: 0.5, caps: [{{max: 500, per: 7d, counts: click}}], pauses: [{{after: 2, of: dismiss, within: 1d, for: 30d}}]}}
placements:
  all: {{offers: all, select: {{policy: epsilon_greedy, epsilon: 0.0}}}}
layers:
  none-held: {{kind: holdout, unit: person, salt: features, share: 0.0, answer: none}}
"""
KINDS = (
    EventKind.EVENT_KIND_CUSTOM,
    EventKind.EVENT_KIND_CLICK,
    EventKind.EVENT_KIND_EXPOSURE,
    EventKind.EVENT_KIND_PURCHASE,
    EventKind.EVENT_KIND_DISMISS,
)
CATEGORIES = ("shoes", "hats", "else")


def bundle_in(folder: Path) -> Path:
    """Write the bundle."""
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    return folder


def flags(bundle: Path, workers: int) -> tuple[str, ...]:
    """Return flags of a server that has all the time it wants."""
    budgets = ("--reserve-budget-ms", "2000", "--fetch-budget-ms", "2000")
    return ("--bundle", str(bundle), "--models", str(bundle.parent), "--workers", str(workers), *budgets)


def channels_to(server: Serving, count: int = CHANNELS) -> list[grpc.aio.Channel]:
    """Return channels with a connection each: the kernel spreads them over the workers."""
    return [grpc.aio.insecure_channel(server.target, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(count)]


async def record(channel: grpc.aio.Channel, events: Sequence[Event]) -> RecordResponse:
    """Record events; all must be taken and counted."""
    call = channel.unary_unary(
        "/liftgate.v1.EventService/Record",
        request_serializer=RecordRequest.SerializeToString,
        response_deserializer=RecordResponse.FromString,
    )
    answer: RecordResponse = await call(RecordRequest(events=events), timeout=20)
    assert not answer.rejections
    assert answer.uncounted == 0
    return answer


@pytest.mark.slow
async def test_the_next_decision_sees_an_acknowledged_event(tmp_path: Path) -> None:
    """Each of 200 acknowledged views is in the very next decision, over another connection and so often by the other worker."""
    bundle = bundle_in(tmp_path / "bundle")
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags(bundle, 2)) as server:
        channels = channels_to(server)
        seen: list[tuple[int, str]] = []

        async def person(i: int) -> None:
            for n in range(1, VIEWS + 1):
                view = Event(event_id=f"{i}-{n}", kind=EventKind.EVENT_KIND_CUSTOM, name="product_view", person_id=f"p{i}")
                await record(channels[(i + n) % CHANNELS], [view])
                request = DecideRequest(request_id=f"{i}-{n}", person_id=f"p{i}", placement_id="all")
                answer = await decide_stub(channels[(i * 5 + n * 7) % CHANNELS])(request, timeout=20)
                assert not answer.degraded
                seen.append((n, answer.slots[0].offer_id))

        try:
            await asyncio.gather(*(person(i) for i in range(PEOPLE)))
        finally:
            for channel in channels:
                await channel.close()
    assert len(seen) == PEOPLE * VIEWS
    assert [(n, offer) for n, offer in seen if offer != f"n{n}"] == []


def stream(dice: random.Random, now_ms: int, count: int) -> list[Event]:
    """Return events in the order in which they happened, some hours and some days ago."""
    found = []
    for i in range(count):
        at = now_ms - dice.choice([dice.randrange(HOUR), dice.randrange(24 * HOUR), dice.randrange(20 * 24 * HOUR)])
        person, offer = f"p{dice.randrange(25)}", dice.choice(["", "clicked", "n1", "n2", "n3", "n4"])
        kind = dice.choice(KINDS)
        event = Event(event_id=f"e{i}", kind=kind, person_id=person, offer_id=offer, occurred_at_ms=at)
        if kind == EventKind.EVENT_KIND_CUSTOM:
            event.name = "product_view"
            event.properties["category"].string_value = dice.choice(CATEGORIES)
            event.properties["price"].double_value = round(dice.random() * 100, 2)
        if kind == EventKind.EVENT_KIND_PURCHASE:
            event.value = round(dice.expovariate(0.02), 2)
        found.append(event)
    return sorted(found, key=lambda event: event.occurred_at_ms)


async def outcome(url: str, live: Live, now_ms: int) -> tuple[Floats, Floats, np.ndarray]:
    """Return values and times of the features, and what counts against caps and pauses, of everyone."""
    people = [f"p{i}" for i in range(25)]
    client = connect(url, 5_000.0)
    reads: list[Command] = [("GET", redis_keys.windows(person)) for person in people]
    reads += [("GET", redis_keys.history(person, False)) for person in people]
    replies = await client.call(reads, 5.0)
    await client.close()
    moments = np.full(len(people), now_ms)
    assert live.evaluation is not None
    found = live.evaluation(replies[: len(people)], moments)
    return found.value, found.at_s, live_counts(replies[len(people) :], live.bundle.cap_ids, moments)


def _under_another_id(event: Event) -> Event:
    made = Event.FromString(event.SerializeToString())
    made.event_id += "-again"
    return made


@pytest.mark.slow
async def test_a_messy_stream_through_two_workers_ends_like_the_clean_one(tmp_path: Path) -> None:
    """3,000 events shuffled, 30 % of them twice, mostly hours and days late, through two workers at once: the same features and caps.

    The control arm tells them twice under ids of their own: then both differ, so the test can tell.
    """
    bundle = bundle_in(tmp_path / "bundle")
    dice, now_ms = random.Random(11), time.time_ns() // 1_000_000
    clean = stream(dice, now_ms, 3_000)
    again = dice.sample(clean, len(clean) * 3 // 10)
    messy, control = [*clean, *again], [*clean, *(_under_another_id(event) for event in again)]
    dice.shuffle(messy)
    live = Live(load_bundle(bundle, tmp_path), models=None)  # type: ignore[arg-type]
    ends = []
    for name, events, workers, at_once in (("clean", clean, 1, 1), ("messy", messy, 2, CHANNELS), ("control", control, 2, CHANNELS)):
        with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / name, *flags(bundle, workers)) as server:
            channels = channels_to(server, at_once)
            batches = [events[i : i + 50] for i in range(0, len(events), 50)]
            try:
                for i in range(0, len(batches), at_once):
                    answers = await asyncio.gather(*(record(c, b) for c, b in zip(channels, batches[i : i + at_once], strict=False)))
                    assert name == "messy" or not any(answer.duplicates for answer in answers)
                ends.append(await outcome(valkey.url, live, now_ms + HOUR // 2))
            finally:
                for channel in channels:
                    await channel.close()
    for one, other in zip(*ends[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(ends[0][0], ends[2][0], equal_nan=True), "features that count twice are not seen"
    assert not np.array_equal(ends[0][2], ends[2][2]), "caps that count twice are not seen"
    assert np.isnan(ends[0][0]).mean() < 0.2, "too little to compare"
    assert ends[0][2].sum() > 100, "nothing counts against caps"
