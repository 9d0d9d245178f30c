"""A stream that is shuffled, told twice in part, and partly late, through two workers at once, ends as the clean ordered one does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.grpc_events import EventService
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_events import RedisEventsSeen
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.bundle.load import load_bundle
from liftgate.pipeline.live import Live
from liftgate.record.parquet import read_log
from liftgate.v1.event_service_pb2 import Event, EventKind, PropertyValue, RecordRequest, RecordResponse
from tests.adapters.event_desk import Call, Calls, Clock

NOW_MS = 1_781_524_800_000
DAY = 86_400_000
PEOPLE, EVENTS = 25, 1200
BUNDLE = """
bundle: b
currency: EUR
time_zone: UTC
profile_purpose: none
signals: {product_view: {}, email_opened: {reliability: unreliable}}
event_properties: {category: {type: string}}
events: {late_after: 7d}
features:
  views: {type: int, from: {count: product_view, window: 7d}}
  spend: {type: float, from: {sum: purchase.value, window: 7d}}
  category: {type: string, values: [a, b, c], from: {last: product_view.category, window: 7d}}
  ctr: {type: float, from: {rate: click, per: exposure, window: 7d}}
  heat: {type: float, from: {count: click, half_life: 1d}}
  categories: {type: int, from: {distinct: product_view.category, window: 7d}}
offers:
  gift:
    value: 1.0
    caps: [{max: 500, per: 30d, counts: exposure}, {max: 500, per: 30d, counts: click}]
    pauses: [{after: 2, of: dismiss, within: 2d, for: 30d}]
placements: {home: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.0}}}
"""


class _NoModels:
    def score(self, model: Any, matrix: Any) -> Any:
        raise AssertionError("no event needs a model")


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    """A store for all tests."""
    with EmbeddedValkey() as server:
        yield server


@dataclass
class Worker:
    """One EventService with a log writer of its own."""

    service: EventService
    log: SegmentLog

    async def tell(self, events: Sequence[Event]) -> RecordResponse:
        """Return the answer to one call."""
        return RecordResponse.FromString(await self.service.record(RecordRequest(events=events).SerializeToString(), Call()))


@pytest.fixture
async def client(valkey: EmbeddedValkey) -> AsyncIterator[RedisClient]:
    """A connection."""
    made = connect(valkey.url, 10_000)
    yield made
    await made.close()


def worker(directory: Path, client: RedisClient) -> Worker:
    """Return a worker whose log is open."""
    folder = directory.parent / "bundle"
    folder.mkdir(exist_ok=True)
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    live = Live(load_bundle(folder), _NoModels())
    log = SegmentLog(directory, "event", "write")
    log.open()
    service = EventService(
        lambda: live,
        log,
        RedisEventsSeen(client, budget_ms=10_000),
        Pseudonyms("k1", b"k" * 32),
        Clock(NOW_MS),
        Calls(),
        contacts=RedisContactEvents(client, budget_ms=10_000),
        features=lambda live: live.features,
    )
    return Worker(service, log)


def stream(tag: str) -> list[Event]:
    """Return the events in the order in which they happened; a tenth of them lies before what is late. `tag` begins the people's ids."""
    rng = random.Random(5)
    kinds = ["custom", "exposure", "click", "purchase", "dismiss", "email_opened"]
    events = []
    for i in range(EVENTS):
        kind = rng.choice(kinds)
        age = rng.randint(7 * DAY + 1, 20 * DAY) if rng.random() < 0.1 else rng.randint(0, 7 * DAY)
        event = Event(
            event_id=f"e-{i}",
            kind=EventKind.Value(f"EVENT_KIND_{kind.upper()}"),  # type: ignore[arg-type]
            person_id=f"{tag}-{rng.randrange(PEOPLE)}",
            offer_id="gift",
            occurred_at_ms=NOW_MS - age,
        )
        if kind == "custom":
            event.name, event.offer_id = "product_view", ""
            event.properties["category"].CopyFrom(PropertyValue(string_value=rng.choice("abc")))
        elif kind == "purchase":
            event.value = rng.randint(1, 100)
        events.append(event)
    return sorted(events, key=lambda event: event.occurred_at_ms)


async def ends(client: RedisClient, tag: str) -> dict[str, list[tuple[bytes, ...]]]:
    """Return what is stored of each person: contact history and feature cells, as sets of entries."""
    found = {}
    for i in range(PEOPLE):
        history, cells = await client.call([("GET", redis_keys.history(f"{tag}-{i}", False)), ("GET", redis_keys.windows(f"{tag}-{i}"))])
        history, cells = history or b"", cells or b""
        entries = sorted(history[at : at + 32] for at in range(0, len(history), 32))
        # The first cell is the header: how long the state was when it was last pruned.
        found[str(i)] = [tuple(entries), tuple(sorted(cells[at : at + 16] for at in range(16, len(cells), 16)))]
    return found


def rows(log: Path) -> dict[tuple[str, str], bool]:
    """Return (event, kind) to whether it is late, of every row that a reader of the log keeps."""
    return {(row["event_id"], row["kind"]): row["late"] for row in read_log(log, "event")}


async def _clean(client: RedisClient, directory: Path, tag: str) -> None:
    one = worker(directory, client)
    events = stream(tag)
    for i in range(0, len(events), 50):
        answer = await one.tell(events[i : i + 50])
        assert (answer.accepted, answer.uncounted) == (50, 0)
    await one.log.close()


async def test_two_workers_and_a_messy_stream_end_as_the_clean_one(client: RedisClient, tmp_path: Path) -> None:
    """Features, caps, pauses and the log's rows are the same, entry for entry."""
    await _clean(client, tmp_path / "clean", "clean")
    rng = random.Random(7)
    messy = stream("messy")
    messy += rng.sample(messy, k=3 * EVENTS // 10)
    rng.shuffle(messy)
    workers = [worker(tmp_path / "messy", client) for _ in range(2)]
    batches = [messy[i : i + 40] for i in range(0, len(messy), 40)]

    async def lane(number: int) -> int:
        duplicates = 0
        for batch in batches[number::6]:
            answer = await workers[number % 2].tell(batch)
            assert (answer.accepted, answer.uncounted) == (len(batch), 0)
            duplicates += answer.duplicates
        return duplicates

    assert sum(await asyncio.gather(*map(lane, range(6)))) > 0
    for each in workers:
        await each.log.close()
    assert await ends(client, "messy") == await ends(client, "clean")
    assert rows(tmp_path / "messy") == rows(tmp_path / "clean")
    assert sum(rows(tmp_path / "clean").values()) > EVENTS // 20, "some of it was late"


async def test_the_comparison_sees_one_event_less(client: RedisClient, tmp_path: Path) -> None:
    """Were a single event lost, the two ends would differ."""
    await _clean(client, tmp_path / "whole", "whole")
    one = worker(tmp_path / "less", client)
    events = stream("less")
    dropped = next(event for event in reversed(events) if event.kind == EventKind.EVENT_KIND_CLICK)
    await one.tell([event for event in events if event is not dropped][:900])
    await one.tell([event for event in events if event is not dropped][900:])
    await one.log.close()
    assert await ends(client, "less") != await ends(client, "whole")
