"""What every ControlStore promises, held against the fake and every server; and what a watch makes of it on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from liftgate.adapters.control_watch import ControlWatch
from liftgate.adapters.redis_address import address_of
from liftgate.adapters.redis_client import NodeClient, connect
from liftgate.adapters.redis_controls import CHANNEL, RedisControls, key_of
from liftgate.adapters.redis_subscription import Subscription, ended
from liftgate.domain.control import UNKNOWN, Controls, Stop
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.review import SUBMIT, Act, Need, ReviewItem
from liftgate.pipeline.controls import ITEMS, STOPS, TEXTS, Change, ControlPanel, ControlStore, Overtaken
from tests.contract.conftest import BUDGET_MS, Backend
from tests.fakes.controls import FakeControls

STOP = Stop("offer", "gold-card", "wrong rate", "anna", 1_800_000_000_000)
ITEM = ReviewItem(
    "a" * 64, "offer", "offer/loan", "bank", (Need("credit", 2, "compliance", 1000),), "o.yaml:3", (Act(SUBMIT, "anna", (), 5),)
)


def _store(backend: Backend) -> ControlStore:
    return FakeControls() if backend.client is None else RedisControls(backend.client, BUDGET_MS)


def _stopping(stop: Stop = STOP, before: bytes | None = None) -> Change:
    return Change(STOPS, stop.subject, before, stop.stored())


async def test_an_empty_store_stops_and_approves_nothing(backend: Backend) -> None:
    """Version 0, no stops, no items; and it is known."""
    store = _store(backend)
    controls = await store.read()
    assert (controls.known, controls.version, controls.stops, dict(controls.items)) == (True, 0, (), {})
    assert await store.version() == 0
    assert await store.get(STOPS, "offer/none") is None


async def test_what_is_changed_is_read_back(backend: Backend) -> None:
    """Stops, items and texts come back as they went in, names of any letters included, and each change raises the version by one."""
    store, odd = _store(backend), Stop("group", "a/b{c}é", "why\nnot", "ben", 7)
    assert await store.change([_stopping(), _stopping(odd), Change(ITEMS, ITEM.digest, None, ITEM.stored())]) == 1
    assert await store.change([Change(TEXTS, ITEM.digest, None, b"{}")]) == 2
    controls = await store.read()
    assert (controls.version, set(controls.stops), dict(controls.items)) == (2, {STOP, odd}, {ITEM.digest: ITEM})
    assert await store.get(TEXTS, ITEM.digest) == b"{}"
    assert await store.change([Change(STOPS, STOP.subject, STOP.stored(), None)]) == 3
    assert (await store.read()).stops == (odd,)


async def test_changes_are_made_all_or_none(backend: Backend) -> None:
    """When one value is not what it was, nothing changes: not the others, not the version."""
    store = _store(backend)
    await store.change([_stopping()])
    for wrong in (
        _stopping(),
        _stopping(before=b"something else"),
        Change(STOPS, "offer/absent", b"x", b"y"),
        Change(STOPS, "x", b"", None),
    ):
        with pytest.raises(Overtaken):
            await store.change([Change(ITEMS, ITEM.digest, None, ITEM.stored()), wrong])
    controls = await store.read()
    assert (controls.version, controls.stops, dict(controls.items)) == (1, (STOP,), {})


async def test_of_two_at_once_one_is_overtaken(backend: Backend) -> None:
    """Sixteen that saw the same value: one change is made."""
    store = _store(backend)
    outcomes = await asyncio.gather(*(store.change([_stopping()]) for _ in range(16)), return_exceptions=True)
    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [1]
    assert sum(isinstance(outcome, Overtaken) for outcome in outcomes) == 15
    assert await store.version() == 1


async def test_what_cannot_be_read_stops_and_approves_nothing(redis_backend: Backend) -> None:
    """A damaged stop stops by its name all the same; a damaged review item is none."""
    assert redis_backend.client is not None
    await redis_backend.client.call([("HSET", key_of(STOPS), "offer/x", b"\xff"), ("HSET", key_of(ITEMS), "b" * 64, b"[]")])
    controls = await _store(redis_backend).read()
    assert [(stop.kind, stop.name) for stop in controls.stops] == [("offer", "x")]
    assert dict(controls.items) == {}


async def test_a_store_that_is_away_says_so() -> None:
    """Every call raises StoreUnavailable, in the fake and against a port where nothing listens."""
    away, fake = connect("redis://127.0.0.1:1", 500), FakeControls()
    fake.down = True
    for store in (fake, RedisControls(away, 500)):
        for call in (store.read(), store.version(), store.get(STOPS, "x"), store.change([_stopping()])):
            with pytest.raises(StoreUnavailable):
                await call
    await away.close()


class Watched:
    """A panel kept true by a watch over its own connections, as a worker has it."""

    def __init__(self, url: str, heartbeat_s: float) -> None:
        self.client = connect(url, BUDGET_MS)
        self.panel = ControlPanel(UNKNOWN)
        self.put: list[Controls] = []
        self.said: list[str] = []
        self.watch = ControlWatch(
            RedisControls(self.client, BUDGET_MS),
            self.panel,
            max_age_s=0.5,
            heartbeat_s=heartbeat_s,
            say=lambda event, fields: self.said.append(event),
            changed=self.put.append,
        )
        self.subscription = Subscription(address_of(url), CHANNEL, self.watch.told)

    async def until(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)

    def stopped(self) -> set[str]:
        """Return what this worker knows as stopped."""
        return {stop.name for stop in self.panel.controls.stops}


@asynccontextmanager
async def watched(url: str, heartbeat_s: float = 0.2, deaf: bool = False) -> AsyncIterator[Watched]:
    """Give a watched panel that knows its controls; `deaf`: it does not listen to the channel."""
    one = Watched(url, heartbeat_s)
    await one.watch.refresh()
    listening = asyncio.ensure_future(one.subscription.run() if not deaf else asyncio.sleep(3600))
    one.watch.start()
    try:
        await one.until(lambda: deaf or one.subscription.connected)
        yield one
    finally:
        await ended(listening)
        await one.watch.close()
        await one.client.close()


async def test_a_push_reaches_every_watch(redis_backend: Backend, servers: dict[str, str]) -> None:
    """With a heartbeat of an hour, two watches know of a stop: it was pushed to both."""
    url = servers[redis_backend.name]
    async with watched(url, 3600.0) as one, watched(url, 3600.0) as other:
        await _store(redis_backend).change([_stopping()])
        await one.until(lambda: one.stopped() == other.stopped() == {"gold-card"})


async def test_a_watch_without_push_and_heartbeat_learns_nothing(redis_backend: Backend, servers: dict[str, str]) -> None:
    """The control: deaf, with a heartbeat of an hour, a stop stays unknown, so the tests beside this one can fail."""
    async with watched(servers[redis_backend.name], 3600.0, deaf=True) as one:
        await _store(redis_backend).change([_stopping()])
        await asyncio.sleep(0.3)
        assert one.stopped() == set()


async def test_the_heartbeat_finds_what_no_message_brought(redis_backend: Backend, servers: dict[str, str]) -> None:
    """A deaf watch finds a stop by its heartbeat alone."""
    async with watched(servers[redis_backend.name], 0.05, deaf=True) as one:
        await _store(redis_backend).change([_stopping()])
        await one.until(lambda: one.stopped() == {"gold-card"})


async def test_a_message_missed_while_the_connection_was_killed_is_made_up_for(redis_backend: Backend, servers: dict[str, str]) -> None:
    """CLIENT KILL cuts the listening connection again and again; every stop made meanwhile is known after it is back, heartbeat or not."""
    client = redis_backend.client
    if not isinstance(client, NodeClient):
        pytest.skip("CLIENT KILL is told to one server")
    async with watched(servers[redis_backend.name], 3600.0) as one:
        for round_ in range(5):
            joined = one.subscription.connections
            (killed,) = await client.call([("CLIENT", "KILL", "TYPE", "pubsub")])
            stop = Stop("offer", f"offer-{round_}", "why", "anna", round_)
            await _store(redis_backend).change([_stopping(stop)])
            assert killed >= 1
            await one.until(lambda joined=joined, name=stop.name: one.subscription.connections > joined and name in one.stopped())  # type: ignore[misc]


async def test_silence_becomes_unknown_and_an_answer_ends_it() -> None:
    """No answer for longer than the declared age makes everything unknown, before that the last known holds; then it is known again."""
    store, panel = FakeControls(), ControlPanel(UNKNOWN)
    watch = ControlWatch(store, panel, max_age_s=2.0, heartbeat_s=0.02)
    store.listeners.append(watch.told)
    await watch.refresh()
    watch.start()
    await store.change([_stopping()])
    async with asyncio.timeout(20):
        while not panel.controls.stops:
            await asyncio.sleep(0.005)
        store.down = True
        await asyncio.sleep(0.1)
        assert panel.controls.known
        while panel.controls.known:
            await asyncio.sleep(0.005)
        store.down = False
        while not panel.controls.known:
            await asyncio.sleep(0.005)
    assert [stop.name for stop in panel.controls.stops] == ["gold-card"]
    await watch.close()


async def test_a_store_that_lost_its_memory_lifts_no_stop(redis_backend: Backend, servers: dict[str, str]) -> None:
    """After a flush a worker that knew of a stop keeps it and says so, whatever is changed later, until it is stopped anew and started."""
    if not isinstance(redis_backend.client, NodeClient):
        pytest.skip("one server is flushed")
    store = _store(redis_backend)
    async with watched(servers[redis_backend.name], 0.05) as one:
        await store.change([_stopping()])
        await store.change([_stopping(Stop("offer", "other", "why", "anna", 1))])
        await one.until(lambda: len(one.stopped()) == 2)
        await redis_backend.client.call([("FLUSHALL",)])
        await one.until(lambda: "controls_went_back" in one.said)
        assert one.stopped() == {"gold-card", "other"}
        for at in range(3):
            await store.change([_stopping(Stop("offer", f"new-{at}", "why", "anna", 1))])
        await one.until(lambda: one.stopped() == {"gold-card", "other", "new-0", "new-1", "new-2"})
        version = await store.change([_stopping()])
        await one.until(lambda: one.panel.controls.version == version)
        await store.change([Change(STOPS, STOP.subject, STOP.stored(), None)])
        await one.until(lambda: one.stopped() == {"other", "new-0", "new-1", "new-2"})


async def test_a_store_that_lost_changes_and_counts_as_far_again_is_read_for_what_it_says() -> None:
    """After a failover the same version may stand for other stops: what is read counts, whatever the version is."""
    store, panel = FakeControls(), ControlPanel(UNKNOWN)
    watch = ControlWatch(store, panel)
    await store.change([_stopping()])
    await watch.refresh()
    other = FakeControls()
    await other.change([_stopping(Stop("offer", "other", "why", "anna", 1))])
    watch._store = other  # where the failover led
    await watch.refresh()
    assert {stop.name for stop in panel.controls.stops} >= {"other"}


async def test_stops_are_kept_through_a_silence_that_ends_with_an_empty_store() -> None:
    """Long enough silence makes everything unknown; a store that comes back empty after it lifts no stop either."""
    store, panel = FakeControls(), ControlPanel(UNKNOWN)
    watch = ControlWatch(store, panel)
    await store.change([_stopping()])
    await watch.refresh()
    panel.put(UNKNOWN)
    watch._store = FakeControls()
    await watch.refresh()
    assert {stop.name for stop in panel.controls.stops} == {"gold-card"}
