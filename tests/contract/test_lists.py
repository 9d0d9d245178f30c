"""Do-not-contact lists: what is changed is what a fetch reads, on every server and in both layouts."""

from __future__ import annotations

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_lists import RedisLists
from liftgate.adapters.redis_profiles import Layout
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.suppression import membership, stored
from liftgate.pipeline.ports import PersonKey
from tests.contract.conftest import Backend
from tests.contract.test_profile_store import AWKWARD_IDS

SCHEMA = InputSchema((Input("profile.age", InputType.INT),), ())


async def read(backend: Backend, *people: str, layout: Layout = "packed") -> list[frozenset[str] | None]:
    """Return what a fetch says of people's lists."""
    fetched = await backend.profiles(layout).fetch([PersonKey(person, False, lists=True) for person in people], SCHEMA)
    return [membership(fetched.lists[row]) for row in range(len(people))]


async def test_nothing_is_read_where_nobody_asks(backend: Backend) -> None:
    """Without `lists` a fetch says nothing of them, and beside others only of those who ask."""
    fetched = await backend.profiles().fetch(
        [PersonKey("a", False), PersonKey("b", False, lists=True), PersonKey("c", True, both=True)], SCHEMA
    )
    assert set(fetched.lists) == {1}
    assert set(fetched.real_history) == {2}


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_changes_are_what_the_next_fetch_reads(redis_backend: Backend, layout: Layout) -> None:
    """Put on two lists and taken off one: the other stays; taken off both, nothing is left in the store."""
    assert redis_backend.client is not None
    lists = RedisLists(redis_backend.client)
    changed = await lists.change("no-email", ["a", "b", "a"], on=True)
    assert (changed.changed, changed.same, changed.unreadable) == (2, 1, [])
    await lists.change("blocked", ["a"], on=True)
    assert await read(redis_backend, "a", "b", "c", layout=layout) == [
        frozenset({"blocked", "no-email"}),
        frozenset({"no-email"}),
        frozenset(),
    ]
    assert await lists.show("a") == frozenset({"blocked", "no-email"})
    changed = await lists.change("no-email", ["a", "b", "c"], on=False)
    assert (changed.changed, changed.same) == (2, 1)
    assert await read(redis_backend, "a", "b", layout=layout) == [frozenset({"blocked"}), frozenset()]
    (value,) = await redis_backend.client.call([("EXISTS", redis_keys.lists("b"))], 5.0)
    assert value == 0


async def test_awkward_ids_keep_their_own_lists(redis_backend: Backend) -> None:
    """Whatever an id holds, its lists are its own."""
    assert redis_backend.client is not None
    lists = RedisLists(redis_backend.client)
    people = [person for person in AWKWARD_IDS if person and "\udcff" not in person]
    for i, person in enumerate(people):
        await lists.change(f"list-{i}", [person], on=True)
    assert await read(redis_backend, *people) == [frozenset({f"list-{i}"}) for i in range(len(people))]


@pytest.mark.parametrize("layout", ["packed", "hash"])
@pytest.mark.parametrize("kind", ["text", "set"])
async def test_what_cannot_be_read_is_unknown_and_stays(redis_backend: Backend, layout: Layout, kind: str) -> None:
    """Damaged text and keys of another type read as unknown, never as on no list, and changes leave them as they are."""
    assert redis_backend.client is not None
    key = redis_keys.lists("odd")
    await redis_backend.client.call([("SET", key, b"lists9\nx") if kind == "text" else ("SADD", key, b"x")], 5.0)
    lists = RedisLists(redis_backend.client)
    await lists.change("blocked", ["fine"], on=True)
    assert await read(redis_backend, "odd", layout=layout) == [None]
    assert (await read(redis_backend, "odd", "fine", layout=layout))[0] is None
    changed = await lists.change("blocked", ["odd", "fine"], on=True)
    assert (changed.unreadable, changed.same) == ([0], 1)
    assert await lists.show("odd") is None


@pytest.mark.parametrize("raw", [b"", b"lists", b"lists2\nx", b"lists1\n", b"lists1\n\nx", b"lists1\nx\n", b"lists1\n\xff", b"\0"])
def test_any_other_bytes_are_no_membership(raw: bytes) -> None:
    """Only the stored form says who is on what."""
    assert membership(raw) is None
    assert membership(stored(["b", "a", "b"])) == frozenset({"a", "b"})
    assert membership(None) == frozenset()
