"""What every EventsSeen promises, held against the fake and every server."""

from __future__ import annotations

import asyncio

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_events import RedisEventsSeen
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.event_ports import EventKey, EventsSeen, Looked, Seen
from tests.contract.conftest import BUDGET_MS, Backend
from tests.fakes.events import FakeEventsSeen

UNKNOWN, LOGGED, REVOKED = Seen.UNKNOWN, Seen.LOGGED, Seen.REVOKED
ONE, OTHER = EventKey("person-1", "e-1"), EventKey("person-2", "e-2")


def _events(backend: Backend, horizon_ms: int = 60_000) -> EventsSeen:
    if backend.client is None:
        return FakeEventsSeen(horizon_ms)
    return RedisEventsSeen(backend.client, budget_ms=BUDGET_MS, horizon_ms=horizon_ms)


async def known(events: EventsSeen, *keys: EventKey) -> list[Seen]:
    """Return what is known of each."""
    return list((await events.look(keys)).seen)


async def test_what_is_confirmed_is_logged_and_nothing_else(backend: Backend) -> None:
    """Answers come in the order asked, for many people at once."""
    events = _events(backend)
    many = [EventKey(f"person-{i}", "e") for i in range(100)]
    assert await known(events, ONE, OTHER) == [UNKNOWN, UNKNOWN]
    await events.confirm([OTHER, *many])
    assert await known(events, ONE, OTHER, *many) == [UNKNOWN, LOGGED, *[LOGGED] * 100]


async def test_asking_changes_nothing(backend: Backend) -> None:
    """An event that was only asked about is not logged."""
    events = _events(backend)
    await events.look([ONE])
    assert await known(events, ONE) == [UNKNOWN]


async def test_an_event_belongs_to_its_person(backend: Backend) -> None:
    """The same id about another person is another event, braces and all."""
    events = _events(backend)
    await events.confirm([EventKey("a}", "e"), EventKey("b", "e:x")])
    asked = [EventKey("a", "e"), EventKey("a}", "e"), EventKey("b", "e"), EventKey("b", "e:x")]
    assert await known(events, *asked) == [UNKNOWN, LOGGED, UNKNOWN, LOGGED]


async def test_confirming_twice_is_confirming_once(backend: Backend) -> None:
    """Confirm is idempotent, also within one call."""
    events = _events(backend)
    await events.confirm([ONE, ONE])
    await events.confirm([ONE])
    assert await known(events, ONE, ONE) == [LOGGED, LOGGED]


async def test_a_revoked_event_stays_revoked(backend: Backend) -> None:
    """What was answered first is what a repetition is answered."""
    events = _events(backend)
    await events.confirm([ONE], REVOKED)
    await events.confirm([OTHER])
    assert await known(events, ONE, OTHER) == [REVOKED, LOGGED]


async def test_consent_comes_along(backend: Backend) -> None:
    """Documents of people are read in the same round trip, in the order asked; None where none is stored."""
    events = _events(backend)
    if isinstance(events, FakeEventsSeen):
        events.consent["person-2"] = b"{}"
    elif backend.client is not None:
        await backend.client.call([("SET", redis_keys.consent("person-2"), b"{}")], 5.0)
        await backend.client.call([("HSET", redis_keys.consent("person-3"), "a", "b")], 5.0)
    found = await events.look([ONE], ["person-1", "person-2", "person-1"])
    assert (list(found.seen), list(found.documents)) == ([UNKNOWN], [None, b"{}", None])
    if backend.client is not None:
        assert await events.look([], ["person-3"]) == Looked([], [b""]), "what is no document is not the absence of one"


async def test_the_horizon_ends(backend: Backend) -> None:
    """After its horizon an event is no longer known."""
    events = _events(backend, horizon_ms=40)
    await events.confirm([ONE])
    await asyncio.sleep(0.1)
    assert await known(events, ONE) == [UNKNOWN]


async def test_no_keys_need_no_store(backend: Backend) -> None:
    """Nothing asked is nothing answered."""
    events = _events(backend)
    assert await events.look([]) == Looked([], [])
    await events.confirm([])


async def test_damaged_values_are_not_logged(backend: Backend) -> None:
    """A key that says anything but what we write does not count as logged."""
    if backend.client is None:
        pytest.skip("the fake stores no bytes")
    await backend.client.call([("SET", redis_keys.event(ONE.person_id, ONE.event_id), b"garbage")], 5.0)
    assert await known(_events(backend), ONE) == [UNKNOWN]


async def test_a_store_that_is_away_says_so() -> None:
    """Both calls raise StoreUnavailable, in the fake and against a port where nothing listens."""
    away = connect("redis://127.0.0.1:1", 500)
    for events in (FakeEventsSeen(down=True), RedisEventsSeen(away, budget_ms=500)):
        with pytest.raises(StoreUnavailable):
            await events.look([ONE])
        with pytest.raises(StoreUnavailable):
            await events.confirm([ONE])
    await away.close()


def test_a_horizon_of_nothing_is_refused() -> None:
    """A time to live of 0 would mean for ever."""
    with pytest.raises(ValueError, match="horizon"):
        RedisEventsSeen(connect("redis://127.0.0.1:1"), horizon_ms=0)
