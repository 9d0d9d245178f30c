"""What erasing promises, on every server: all of one person goes, nothing of anybody else, and a restored store forgets again."""

from __future__ import annotations

import asyncio
from datetime import date
from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.erasure_journal import KEPT_DAYS, NAME, ErasureJournal
from liftgate.adapters.redis_client import RedisClient
from liftgate.adapters.redis_controls import key_of
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.adapters.redis_review_queue import RedisReviewQueue
from liftgate.adapters.system import SystemClock
from liftgate.domain.errors import LogUnavailable, StoreUnavailable
from liftgate.domain.verdict import Asked, Verdict
from tests.contract.conftest import Backend

PEOPLE = ["ada@example.com", "c-[1]7*?", "a{b}c%", "", "päivi\\", "x"]
NEIGHBOURS = ["ada@example.co", "ada@example.com2", "c-17", "c-1", "ab", "y"]
NOW = 1_800_000_000_000


def hashed(person: str) -> bytes:
    """Return what stands for an id."""
    return sha256(b"key" + person.encode()).digest()[:16]


def erasure(client: RedisClient) -> RedisErasure:
    """Return erasures that do not wait for decisions under way."""
    return RedisErasure(client, hashed, settle_s=0.0)


def left() -> float:
    """Return plenty of time."""
    return 5.0


async def fill(client: RedisClient, person: str) -> None:
    """Store something under every key that a person can have."""
    tag = redis_keys.tag(person)
    strings = [tag + name for name in redis_keys.OWN if name not in (b"f", b"l")]
    strings += [redis_keys.request(person, "r-1"), redis_keys.request(person, "r:2"), redis_keys.event(person, "e-1")]
    commands = [("SET", key, b"x") for key in strings]
    await client.call([*commands, ("HSET", tag + b"f", "age", "1"), ("RPUSH", tag + b"l", "{}")], 5.0)


async def keys(client: RedisClient) -> set[bytes]:
    """Return every key there is."""
    found: set[bytes] = set()
    for server in await client.servers(5.0):
        (some,) = await server.call([("KEYS", "*")], 5.0)
        found |= set(some)
    return found


@pytest.mark.parametrize("person", PEOPLE, ids=ascii)
async def test_everything_of_one_person_goes_and_nothing_of_others(redis_backend: Backend, person: str) -> None:
    """Every kind of key of the person is gone, a tombstone without the id stands, and neighbours keep all they had."""
    client = redis_backend.client
    assert client is not None
    for neighbour in NEIGHBOURS:
        await fill(client, neighbour)
    others = await keys(client)
    await fill(client, person)
    held = await keys(client) - others
    removed = await erasure(client).erase(person, "", NOW, left)
    assert removed == len(held) == 13
    assert await keys(client) == others | {redis_keys.tombstone(hashed(person))}
    assert await erasure(client).erased_at([person, NEIGHBOURS[0]], 5.0) == [NOW, None]
    assert await erasure(client).erase(person, "", NOW + 1, left) == 0, "a repeat finds nothing"


async def test_the_accounts_counters_go_where_it_is_named(redis_backend: Backend) -> None:
    """An account's histories go only when the call names it; total counters stay in any case."""
    client = redis_backend.client
    assert client is not None
    own = set(redis_keys.of_account("acc-1"))
    others = {*redis_keys.of_account("acc-2"), redis_keys.total(b"cap-----", False), redis_keys.total(b"cap-----", True)}
    await client.call([("SET", key, b"x") for key in own | others], 5.0)
    await erasure(client).erase("ada", "", NOW, left)
    assert own | others <= await keys(client)
    await erasure(client).erase("ada", "acc-1", NOW, left)
    assert await keys(client) == others | {redis_keys.tombstone(hashed("ada"))}


async def test_decisions_under_review_go_too(redis_backend: Backend) -> None:
    """What waits for a reviewer and what a verdict stands about is gone for the person, and there for others."""
    client = redis_backend.client
    assert client is not None
    clock = SystemClock()
    queue = RedisReviewQueue(client, clock)
    people = (("d-1", "ada"), ("d-2", "ada"), ("d-3", "bob"), ("d-4", "bob"))
    asked = [_asked(review_id=review, person_id=person) for review, person in people]
    assert await queue.put(asked) == 0
    for settled in (asked[1], asked[3]):
        now = clock.now_ms()
        await queue.settle(settled, Verdict(True, "ben", now, now, now + 600_000, settled.review_id, "x"))
    await erasure(client).erase("ada", "", NOW, left)
    assert [waits.review_id for waits in await queue.waiting()] == ["d-3"]
    assert await queue.settled("d-2") is None
    assert await queue.settled("d-4") is not None
    stored = await client.call([("GET", key) for key in await keys(client) if b"control{lg}:d:" in key or b"control{lg}:s:" in key], 5.0)
    assert {orjson.loads(raw)["person_id"] for raw in stored} == {"bob"}
    assert (await client.call([("ZRANGE", key_of("queue"), 0, -1)], 5.0)) == [[b"d-3"]]


def _asked(**known: str) -> Asked:
    named = ("decision_id", "pseudonym", "offer_id", "placement_id", "bundle", "digest", "role", "explanation")
    return Asked(**dict.fromkeys(named, "x"), valid_for_ms=1, asked_at_ms=1, **known)


async def test_a_restored_store_forgets_again(redis_backend: Backend, tmp_path: Path) -> None:
    """A store that is older than an erasure is noticed by its newest tombstone, and only who was erased is erased in it again."""
    client = redis_backend.client
    assert client is not None
    journal = ErasureJournal(tmp_path, hashed)
    today = date(2027, 1, 15)
    for person in ("ada", "a{b}c%"):
        await fill(client, person)
        await journal.add(person, NOW)
    await fill(client, "bob")
    known = journal.read(today)
    assert await erasure(client).forgot(next(reversed(known)))
    assert await erasure(client).erase_again(known) == (2, 26)
    assert {redis_keys.person_of(key) for key in await keys(client)} == {None, "bob"}
    assert not await erasure(client).forgot(next(reversed(known)))
    assert await erasure(client).erase_again(known) == (0, 0)


async def test_lifting_a_tombstone(redis_backend: Backend) -> None:
    """Who came back is not erased any more."""
    client = redis_backend.client
    assert client is not None
    await erasure(client).erase("ada", "", NOW, left)
    await erasure(client).lift("ada", 5.0)
    assert await erasure(client).erased_at(["ada"], 5.0) == [None]


async def test_without_time_it_says_so(redis_backend: Backend) -> None:
    """An erasure whose time runs out raises; what is left goes with a repeat."""
    client = redis_backend.client
    assert client is not None
    await fill(client, "ada")
    with pytest.raises(StoreUnavailable):
        await erasure(client).erase("ada", "", NOW, lambda: 0.0)
    assert await erasure(client).erase("ada", "", NOW, left) == 13


async def test_the_journal_keeps_hashes_and_days(tmp_path: Path) -> None:
    """Lines of many at once are whole, hold no id, and end to matter with the tombstones; what cannot be read is passed over."""
    journal = ErasureJournal(tmp_path, hashed)
    await asyncio.gather(*(journal.add(f"person-{i}", NOW) for i in range(20)))
    path = tmp_path / NAME
    assert b"person" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    with path.open("ab") as file:
        file.write(b"nonsense\n\xff\xff 2027-01-01\n0badc0de 2027-01-15")
    assert set(journal.read(date(2027, 1, 15))) == {hashed(f"person-{i}") for i in range(20)}
    assert journal.read(date.fromordinal(date(2027, 1, 15).toordinal() + KEPT_DAYS + 1)) == {}
    with pytest.raises(LogUnavailable):
        await ErasureJournal(tmp_path / "nowhere", hashed).add("ada", NOW)


def test_every_key_says_whose_it_is() -> None:
    """Keys of people lead back to the id; keys of accounts, totals, tombstones and the rest to nobody."""
    for person in PEOPLE:
        assert redis_keys.person_of(redis_keys.profile(person)) == person
        assert redis_keys.person_of(redis_keys.request(person, "}:{")) == person
    for key in (*redis_keys.of_account("a"), redis_keys.total(b"x", False), redis_keys.tombstone(b"x"), b"lg:fleet", key_of("d:1")):
        assert redis_keys.person_of(key) is None
