"""What every ConsentStore promises, held against the fake and every server."""

from __future__ import annotations

import asyncio

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_consent import NOT_TEXT, RedisConsent
from liftgate.domain.consent_history import KEPT
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.consent_store import ConsentStore
from liftgate.pipeline.ports import PersonKey
from tests.contract.conftest import Backend
from tests.contract.test_profile_store import AWKWARD_IDS, SCHEMA
from tests.fakes.consent import FakeConsentStore

BUDGET_S = 5.0


def _store(backend: Backend) -> ConsentStore:
    return FakeConsentStore(backend.fake_profiles.consent) if backend.client is None else RedisConsent(backend.client)


async def test_what_is_swapped_in_is_what_deciding_reads(backend: Backend) -> None:
    """A document that was stored is the one that `get` and the profile store return, for awkward ids too, byte for byte."""
    store = _store(backend)
    for i, person_id in enumerate(AWKWARD_IDS):
        assert await store.get(person_id, BUDGET_S) is None
        assert await store.swap(person_id, None, b"\0\xff%d" % i, BUDGET_S)
    fetched = await backend.profiles().fetch([PersonKey(person_id, False) for person_id in AWKWARD_IDS], SCHEMA)
    assert list(fetched.consent) == [b"\0\xff%d" % i for i in range(len(AWKWARD_IDS))]
    assert [await store.get(person_id, BUDGET_S) for person_id in AWKWARD_IDS] == list(fetched.consent)


async def test_a_swap_from_something_else_changes_nothing(backend: Backend) -> None:
    """A swap goes through only from what is stored, and nothing counts as nothing alone, not as an empty document."""
    store = _store(backend)
    assert not await store.swap("a", b"old", b"new", BUDGET_S)
    assert not await store.swap("a", b"", b"new", BUDGET_S)
    assert await store.get("a", BUDGET_S) is None
    assert await store.swap("a", None, b"", BUDGET_S)
    assert not await store.swap("a", None, b"new", BUDGET_S)
    assert await store.swap("a", b"", b"new", BUDGET_S)
    assert not await store.swap("a", b"newer", b"newest", BUDGET_S)
    assert await store.get("a", BUDGET_S) == b"new"


async def test_of_many_swaps_at_once_one_goes_through(backend: Backend) -> None:
    """Twenty changes from one document, made at once: one is stored, nineteen are told."""
    store = _store(backend)
    done = await asyncio.gather(*(store.swap("a", None, b"%d" % i, BUDGET_S) for i in range(20)))
    assert sum(done) == 1
    assert await store.get("a", BUDGET_S) == b"%d" % done.index(True)


async def test_no_time_left_is_no_answer(backend: Backend) -> None:
    """Without a budget nothing is asked and nothing is changed."""
    store = _store(backend)
    with pytest.raises(StoreUnavailable):
        await store.swap("a", None, b"new", 0.0)
    with pytest.raises(StoreUnavailable):
        await store.get("a", 0.0)
    assert await store.get("a", BUDGET_S) is None


async def test_a_key_of_another_type_is_never_written_over(redis_backend: Backend) -> None:
    """A HASH under the consent key is no document, and no change can start from it."""
    client = redis_backend.client
    assert client is not None
    store = RedisConsent(client)
    await client.call([("HSET", redis_keys.consent("a"), "status", "granted")])
    assert await store.get("a", BUDGET_S) == NOT_TEXT
    for before in (None, NOT_TEXT, b""):
        assert not await store.swap("a", before, b"new", BUDGET_S)
    assert (await client.call([("HGET", redis_keys.consent("a"), "status")])) == [b"granted"]


async def test_a_store_that_is_away_says_so() -> None:
    """Nobody listens: StoreUnavailable from both calls."""
    client = connect("redis://127.0.0.1:1/0", 200)
    store = RedisConsent(client)
    with pytest.raises(StoreUnavailable):
        await store.get("a", 0.2)
    with pytest.raises(StoreUnavailable):
        await store.swap("a", None, b"new", 0.2)
    await client.close()


async def test_an_entry_is_added_with_the_change_or_not_at_all(backend: Backend) -> None:
    """A swap adds its entry while the history ends as was said, in the same step; else neither document nor history changes."""
    store = _store(backend)
    assert await store.last("a", BUDGET_S) is None
    assert await store.history("a", BUDGET_S) == []
    assert await store.swap("a", None, b"1", BUDGET_S, last=None, entry=b"first")
    assert not await store.swap("a", b"1", b"2", BUDGET_S, last=None, entry=b"second")
    assert not await store.swap("a", b"0", b"2", BUDGET_S, last=b"first", entry=b"second")
    assert await store.get("a", BUDGET_S) == b"1"
    assert await store.swap("a", b"1", b"2", BUDGET_S, last=b"first", entry=b"second")
    assert await store.last("a", BUDGET_S) == b"second"
    for number in range(KEPT + 2):
        last = await store.last("a", BUDGET_S)
        assert await store.swap("a", b"2", b"2", BUDGET_S, last=last, entry=b"%d" % number)
    assert await store.history("a", BUDGET_S) == [b"%d" % number for number in range(2, KEPT + 2)]


async def test_what_events_say_goes_with_the_change_or_stays(backend: Backend) -> None:
    """A swap that is to forget removes the person's feature state in the same step; one that fails, or is not to, leaves it."""
    store = _store(backend)
    if backend.client is None:
        assert await store.swap("a", None, b"1", BUDGET_S, forget=True)
        return
    client = backend.client
    keys = [redis_keys.windows("a"), redis_keys.windows("b")]
    await client.call([("SET", key, b"x") for key in keys], BUDGET_S)
    assert await store.swap("a", None, b"1", BUDGET_S)
    assert not await store.swap("a", b"0", b"2", BUDGET_S, forget=True)
    assert await client.call([("EXISTS", key) for key in keys], BUDGET_S) == [1, 1]
    assert await store.swap("a", b"1", b"2", BUDGET_S, forget=True)
    assert await client.call([("EXISTS", key) for key in keys], BUDGET_S) == [0, 1]
