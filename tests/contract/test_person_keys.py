"""People's keys, on every server: one a person whoever asks first, none for who was erased, and what holds while the store is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.person_keys import FRESH_S, KEY_BYTES, PersonKeys
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.adapters.redis_person_keys import RedisPersonKeys
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.app.unit_table import read_memberships, rows_of
from liftgate.domain import consent
from liftgate.domain.errors import BadInput
from liftgate.domain.profile import ProfileState, pack
from liftgate.pipeline.ports import Fetched, PersonKey
from tests.contract.conftest import BUDGET_MS, Backend
from tests.contract.test_profile_store import AWKWARD_IDS, SCHEMA

HASHED = Pseudonyms("", b"h" * 32)


def ring(**options: Any) -> PersonKeys:
    """Return what a worker knows at its start."""
    return PersonKeys(Pseudonyms.of_people(b"k" * 32), HASHED, units=Pseudonyms.of_peoples_units(b"k" * 32), **options)


async def fetch(client: RedisClient, keys: PersonKeys, people: list[str], layout: Any = "packed", keyed: bool = True) -> Fetched:
    """Read some people as a worker does."""
    store = RedisProfiles(client, layout, budget_ms=BUDGET_MS, keys=keys)
    return await store.fetch([PersonKey(person, False, keyed=keyed) for person in people], SCHEMA)


async def fetched(
    client: RedisClient, keys: PersonKeys, people: list[str], layout: Any = "packed", keyed: bool = True
) -> list[bytes | None]:
    """Return their keys."""
    return list((await fetch(client, keys, people, layout, keyed)).keys)


@pytest.mark.parametrize("layout", ["packed", "hash"])
async def test_one_key_a_person_whoever_asks_first(redis_backend: Backend, layout: Any) -> None:
    """Twenty workers meet the same people at once: all see the same key of each, and see it again."""
    client = redis_backend.client
    assert client is not None
    workers = [ring() for _ in range(20)]
    people = [*AWKWARD_IDS, AWKWARD_IDS[0]]
    seen = await asyncio.gather(*(fetched(client, worker, people, layout) for worker in workers))
    again = await fetched(client, workers[0], people, layout)
    assert {tuple(keys) for keys in seen} == {tuple(again)}
    assert len(set(again)) == len(AWKWARD_IDS)
    assert all(key is not None and len(key) == KEY_BYTES for key in again)
    named = await RedisPersonKeys(client, ring()).named(people)
    assert [one.pseudonym for one in named] == [workers[0].pseudonym(p, key)[0] for p, key in zip(people, again, strict=True)]


async def test_dry_runs_make_none(redis_backend: Backend) -> None:
    """Who is only asked about for a dry run gets no key, and has theirs read where there is one."""
    client = redis_backend.client
    assert client is not None
    assert await fetched(client, ring(), ["a"], keyed=False) == [None]
    (made,) = await fetched(client, ring(), ["a"])
    assert await fetched(client, ring(), ["a"], keyed=False) == [made]


@pytest.mark.parametrize("met", [False, True])
async def test_nobody_brings_an_erased_person_back(redis_backend: Backend, met: bool) -> None:
    """Asked about after the erasure, they get no key and leave none; what a late load stored of them is not read until they come back."""
    client = redis_backend.client
    assert client is not None
    worker = ring()
    if met:
        await fetched(client, worker, ["a", "b"])
    erasure = RedisErasure(client, HASHED, settle_s=0.0)
    await erasure.erase("a", "", 1_800_000_000_000, lambda: 5.0)
    granted = consent.document({"p": {"status": "granted"}})
    await client.call([("SET", redis_keys.profile("a"), pack(SCHEMA, [1.0] * SCHEMA.profile_count, 1))], 5.0)
    await client.call([("SET", redis_keys.consent("a"), granted)], 5.0)
    found = await fetch(client, worker, ["a", "b"])
    assert found.keys[0] is None
    assert found.keys[1] is not None
    assert (found.profiles.state[0], found.consent[0]) == (ProfileState.MISSING, None)
    assert (await client.call([("EXISTS", redis_keys.person_key("a"))], 5.0)) == [0]
    first, second = (await RedisPersonKeys(client, ring()).named(["a", "a"]))[:2]
    assert first.once
    assert first.erased_at_ms == 1_800_000_000_000
    assert first.pseudonym != second.pseudonym
    await erasure.lift("a", 5.0)
    back = await fetch(client, worker, ["a"])
    assert back.keys[0] is not None
    assert (back.profiles.state[0], back.consent[0]) == (ProfileState.FOUND, granted)


async def test_while_the_store_is_away(redis_backend: Backend) -> None:
    """A worker goes on with keys that it read lately; whoever it does not know gets a pseudonym for once, marked so."""
    client = redis_backend.client
    assert client is not None
    now = [0.0]
    worker = ring(clock=lambda: now[0])
    (key,) = await fetched(client, worker, ["a"])
    away = connect("redis://127.0.0.1:1/0", 200)
    naming = RedisPersonKeys(away, worker, budget_ms=200)
    (known,) = await naming.named(["a"])
    assert tuple(known) == (worker.pseudonym("a", key)[0], False, None, None)
    assert worker.pseudonyms(["a", "a"], [key, key]) == ([known.pseudonym] * 2, [])
    (unread, nobody), once_alone = worker.pseudonyms(["a", "b"], [None, None])
    assert (unread, len(nobody), once_alone) == (known.pseudonym, 16, [1])
    now[0] = FRESH_S + 1
    for person in ("a", "b"):
        once, again = (await naming.named([person]))[0], (await naming.named([person]))[0]
        assert once.once
        assert again.once
        assert once.pseudonym != again.pseudonym
    await away.close()


async def test_keys_that_were_destroyed_elsewhere_are_forgotten_here(redis_backend: Backend) -> None:
    """A worker that is asked about others keeps no key longer than two times that it counts as fresh, whoever destroyed it meanwhile."""
    client = redis_backend.client
    assert client is not None
    now = [0.0]
    worker = ring(clock=lambda: now[0])
    (key,) = await fetched(client, worker, ["a"])
    await RedisErasure(client, HASHED, settle_s=0.0).erase("a", "", 1, lambda: 5.0)
    assert key in {value for value, _ in (worker._known | worker._older).values()}
    for _ in range(2):
        now[0] += FRESH_S + 1
        await fetched(client, worker, ["b"])
    assert key not in {value for value, _ in (worker._known | worker._older).values()}


async def test_a_damaged_key_is_no_key(redis_backend: Backend) -> None:
    """A value of another length or type stands for nobody, and harms no neighbour."""
    client = redis_backend.client
    assert client is not None
    await client.call([("SET", redis_keys.person_key("a"), b"short"), ("HSET", redis_keys.person_key("b"), "x", "y")], 5.0)
    first = await fetched(client, ring(), ["a", "b", "c"])
    assert first[:2] == [None, None]
    assert first[2] is not None


async def test_units_of_a_person_are_theirs_alone_and_go_with_them(redis_backend: Backend) -> None:
    """An account has one pseudonym with a person, whoever asks, another with each person and kind, and after an erasure a new one a row."""
    client = redis_backend.client
    assert client is not None
    worker, other = ring(), ring()
    ada, bob = await fetched(client, worker, ["ada", "bob"])
    own = worker.unit("account", "home", "ada", ada)
    assert len(own) == 16
    different = {
        worker.unit("account", "home", "bob", bob),
        worker.unit("visitor", "home", "ada", ada),
        worker.unit("account", "x", "ada", ada),
    }
    assert len({own, *different, worker.pseudonym("ada", ada)[0]}) == 5
    (named,) = await RedisPersonKeys(client, other).named(["ada"])
    assert RedisPersonKeys(client, other).account("home", "ada", named) == own, "decisions and events of one account join"
    await RedisErasure(client, HASHED, settle_s=0.0).erase("ada", "", 1, lambda: 5.0)
    (gone,) = await fetched(client, worker, ["ada"])
    assert gone is None
    assert len({own, *(worker.unit("account", "home", "ada", gone) for _ in range(2))}) == 3
    shared = RedisPersonKeys(client, PersonKeys(Pseudonyms.of_people(b"k" * 32), HASHED))
    assert shared.account("home", "ada", named) is None, "where units are shared the log's key alone makes them"


async def test_a_table_joins_what_people_share_and_knows_nobody_who_was_erased(redis_backend: Backend, tmp_path: Path) -> None:
    """Pseudonyms of an account with each of its people, and the shared one, get one unit; an erased person's own is not made again."""
    client = redis_backend.client
    assert client is not None
    worker, key = ring(), b"k" * 32
    ada, bob = await fetched(client, worker, ["ada", "bob"])
    listed = tmp_path / "members.csv"
    listed.write_text("person_id,account_id,visitor_id\nada,home,browser-1\nbob,home,\neve,home,browser-1\n")
    of_ada, of_bob = worker.unit("account", "home", "ada", ada), worker.unit("account", "home", "bob", bob)
    made = {row.pseudonym: row.unit for row in await rows_of(client, key, read_memberships(listed)) if row.kind == "account"}
    assert set(made) == {of_ada, of_bob, Pseudonyms.of_accounts("", key)("home")}
    assert len(set(made.values())) == 1
    await RedisErasure(client, HASHED, settle_s=0.0).erase("ada", "", 1, lambda: 5.0)
    again = await rows_of(client, key, read_memberships(listed))
    assert of_ada not in {row.pseudonym for row in again}
    assert not {row.unit for row in again} & set(made.values()), "units of two tables cannot be compared"
    listed.write_text("person,account_id\nada,home\n")
    with pytest.raises(BadInput, match="person_id"):
        list(read_memberships(listed))
