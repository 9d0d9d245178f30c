"""Features as the ContactEvents port changes them, on every backend."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.memory_contacts import MemoryContactEvents
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.domain.event import Event, EventKind
from liftgate.domain.feature import DAY, HOUR, Definition, Source
from liftgate.domain.input import Floats, Input, InputType
from liftgate.pipeline.contact_ports import CapCount, ContactEvent, ContactEvents, CountStatus
from liftgate.pipeline.event_ports import EventKey
from liftgate.signals.cell import State, apply, packed, unpacked
from liftgate.signals.evaluate import Evaluation
from liftgate.signals.plan import FeaturePlan
from tests.contract.conftest import BUDGET_MS, Backend
from tests.signals.streams import DEFINITIONS, NOW, PLAN, event, stream

APPLIED, KNOWN, IN_PART = CountStatus.COUNTED, CountStatus.KNOWN, CountStatus.IN_PART
EVALUATION = Evaluation(PLAN)


def contact(one: Event, plan: FeaturePlan = PLAN, caps: tuple[CapCount, ...] = ()) -> ContactEvent:
    """Return an event as the store counts it."""
    key = EventKey(one.person_id, one.event_id)
    return ContactEvent(key, b"", one.received_at_ms, one.occurred_at_ms, False, False, "", caps, features=plan.of(one))


def clean(events: Sequence[Event], now_ms: int = NOW) -> Floats:
    """Return the features after all events, each once and nothing let go of."""
    state: State = {}
    for one in events:
        apply(state, PLAN.changes(one)[0])
    found: Floats = EVALUATION([packed(state)], np.array([now_ms])).value[0]
    return found


class Store:
    """The port of a backend, and a look at what it keeps."""

    def __init__(self, backend: Backend) -> None:
        self.client = backend.client
        self._fake = MemoryContactEvents({}, {}, {})
        self.port: ContactEvents = self._fake if self.client is None else RedisContactEvents(self.client, budget_ms=BUDGET_MS)

    async def apply(self, events: Sequence[Event], plan: FeaturePlan = PLAN) -> list[CountStatus]:
        """Count events that change features, one by one."""
        found: list[CountStatus] = []
        for one in events:
            if plan.of(one):
                found += await self.port.count([contact(one, plan)])
        return found

    async def state(self, person_id: str) -> bytes | None:
        """Return what is kept of a person."""
        if self.client is None:
            return self._fake.features.get(person_id)
        (value,) = await self.client.call([("GET", redis_keys.windows(person_id))], 5.0)
        assert value is None or isinstance(value, bytes)
        return value

    async def values(self, person_id: str, now_ms: int = NOW) -> Floats:
        """Return the person's features."""
        found: Floats = EVALUATION([await self.state(person_id)], np.array([now_ms])).value[0]
        return found

    async def put(self, person_id: str, raw: bytes) -> None:
        """Store a state as it is."""
        if self.client is None:
            self._fake.features[person_id] = raw
        else:
            await self.client.call([("SET", redis_keys.windows(person_id), raw)], 5.0)


def view(event_id: str, at_ms: int = NOW, **more: object) -> Event:
    """Return a product view."""
    return event(event_id, EventKind.CUSTOM, at_ms, name="product_view", **more)  # type: ignore[arg-type]


async def test_an_event_is_applied_once(backend: Backend) -> None:
    """Again in the same call, in another, and after it is known as logged: nothing changes."""
    store = Store(backend)
    assert list(await store.port.count([contact(view("e1")), contact(view("e1"))])) == [APPLIED, KNOWN]
    before = await store.state("p")
    assert await store.apply([view("e1")]) == [KNOWN]
    assert await store.state("p") == before
    await store.port.count([], [EventKey("p", "e2")])
    assert await store.apply([view("e2")]) == [KNOWN]
    assert (await store.values("p"))[0] == 1


async def test_caps_and_features_are_one_step(backend: Backend) -> None:
    """An event that a cap counts too changes both, once."""
    store = Store(backend)
    both = contact(view("e1"), caps=(CapCount(b"cap-aaaa", NOW + DAY, False, False),))
    assert list(await store.port.count([both, both])) == [APPLIED, KNOWN]
    assert (await store.values("p"))[0] == 1
    assert len((await backend.history("p") if store.client else store.port.history["p", False]) or b"") == 32  # type: ignore[attr-defined]


async def test_people_are_kept_apart(backend: Backend) -> None:
    """The same event_id of another person is another event, and changes nobody else."""
    store = Store(backend)
    assert await store.apply([view("e1"), view("e1", person_id="q"), view("e2", person_id="q")]) == [APPLIED] * 3
    assert [(await store.values(person))[0] for person in ("p", "q", "r")] == [1, 2, 0]


async def test_a_batch_is_one_call(backend: Backend) -> None:
    """Many events of one person and of others in one call end as they do one by one."""
    store, events = Store(backend), stream(random.Random(4), people=3, events=200)
    assert set(await store.port.count([contact(one) for one in events if PLAN.of(one)])) == {APPLIED}
    for person in ("p0", "p1", "p2"):
        np.testing.assert_array_equal(await store.values(person), clean([one for one in events if one.person_id == person]))


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_does_not_matter(backend: Backend, seed: int) -> None:
    """The same events shuffled and a third of them twice end in the same features, bit for bit."""
    dice = random.Random(seed)
    events = [one for one in stream(dice, people=1, events=250, span_ms=6 * HOUR) if not one.late]
    again = [*events, *dice.sample(events, len(events) // 3)]
    dice.shuffle(again)
    store = Store(backend)
    # All are received at the end: what a later receipt lets go of could not matter by then.
    await store.apply([replace(one, received_at_ms=NOW) for one in again])
    for later in (0, 5 * 60_000, HOUR, DAY):
        np.testing.assert_array_equal(await store.values("p0", NOW + later), clean(events, NOW + later))


async def test_what_is_of_no_more_use_goes(backend: Backend) -> None:
    """A busy person's state stays within the plan's bound, however long events come, and keeps everything that can matter."""
    store = Store(backend)
    dice = random.Random(9)
    events = [one for one in stream(dice, people=1, events=1500, span_ms=40 * DAY) if not one.late]
    await store.apply(events)
    state = await store.state("p0")
    assert state is not None
    assert len(state) <= PLAN.most_bytes
    found = unpacked(state)
    assert found is not None
    everything: State = {}
    for one in events:
        apply(everything, PLAN.changes(one)[0])
    assert len(found) < len(everything) * 0.8, "nothing was let go of"
    np.testing.assert_array_equal(await store.values("p0"), clean(events))


async def test_a_state_ends_with_its_longest_feature(redis_backend: Backend) -> None:
    """The key has a lifetime: that of what the event can matter for, never shortened by a later event that matters less long."""
    store = Store(redis_backend)
    assert redis_backend.client is not None
    key = redis_keys.windows("p")
    await store.apply([event("e1", EventKind.CLICK, NOW)])
    (first,) = await redis_backend.client.call([("PTTL", key)], 5.0)
    assert 30 * DAY < first < 31 * DAY
    await store.apply([view("e2")])
    (second,) = await redis_backend.client.call([("PTTL", key)], 5.0)
    assert first - 60_000 < second <= first


async def test_cells_of_another_bundle_stay_for_a_while(backend: Backend) -> None:
    """Two bundles during a reload do not take away each other's features; what nobody names goes once the state is crowded."""
    other = Definition(Input("profile.other", InputType.INT), 0, "count", Source("product_view"), window_ms=2 * HOUR)
    plan = FeaturePlan((other,), {}, "EUR")
    store = Store(backend)
    await store.apply([view("e1")], plan)
    await store.apply([view(f"v{i}", NOW - i * 60_000, received_at_ms=NOW) for i in range(60)])
    assert Evaluation(plan)([await store.state("p")], np.array([NOW])).value[0, 0] == 1
    assert (await store.values("p"))[0] == 60


@pytest.mark.parametrize("raw", [b"x", b"", b"\0" * 16, b"\0\0\0\0\2\0\0\0" + b"\0" * 24])
async def test_what_is_no_state_begins_anew(backend: Backend, raw: bytes) -> None:
    """A damaged value is replaced by one that holds the event alone, and the caller is told."""
    store = Store(backend)
    await store.put("p", raw)
    assert await store.apply([view("e1")]) == [IN_PART]
    assert (await store.values("p"))[0] == 1
    assert unpacked(raw) is None


def test_every_aggregate_is_among_the_definitions() -> None:
    """What is tested here is everything that can be declared."""
    assert {definition.aggregate for definition in DEFINITIONS} == {
        "count", "sum", "mean", "rate", "last", "first", "recency", "distinct"
    }  # fmt: skip
